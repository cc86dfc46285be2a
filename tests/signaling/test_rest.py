"""The REST API: every endpoint, who may call it, and the document that describes it."""

import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from policy import DEFAULT_TERMS, Permission
from signaling import Rate
from signaling.hls import signed_url, with_parameters
from signaling.openapi import document
from signaling.rest import BASE, ENDPOINTS
from tests.signaling.rig import HOST, RpcError, rig
from tests.signaling.services import Broadcasts, Hls, Recorder

DOCUMENT = document("Parley", "1")


def test_the_document_is_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_endpoint_is_described_once() -> None:
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(endpoint.method, BASE + endpoint.path) for endpoint in ENDPOINTS}
    names = [endpoint.name for endpoint in ENDPOINTS]
    assert len(names) == len(set(names))


def test_every_endpoint_but_the_public_ones_says_which_grant_it_needs() -> None:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if operation["security"]:
                assert "grants" in operation["description"], (method, path)
                assert {"401", "403"} <= set(operation["responses"])


async def test_the_document_is_served() -> None:
    async with rig() as house:
        status, served = await house.get(f"{BASE}/openapi.json")
        assert status == 200
        assert served["paths"].keys() == DOCUMENT["paths"].keys()


def concrete(path: str) -> str:
    return BASE + re.sub(r"\{(\w+)\}", r"x\1", path)


PROTECTED = [endpoint for endpoint in ENDPOINTS if not endpoint.is_public]


# Row 26: nothing but the public endpoints answers without a grant.


async def test_without_a_token_every_endpoint_but_the_public_ones_is_401() -> None:
    async with rig(failures=Rate(per_s=1_000, burst=1_000)) as house:
        for endpoint in PROTECTED:
            for headers in (
                {},
                {"Authorization": "Bearer x"},
                {"Authorization": "Basic eDp5"},
                {"Authorization": "x"},
            ):
                status, body = await house.request(endpoint.method, concrete(endpoint.path), headers=headers)
                assert (status, body["code"]) == (401, "unauthorized"), endpoint.name


async def test_with_a_guests_token_every_endpoint_but_the_door_is_403() -> None:
    async with rig() as house:
        for endpoint in PROTECTED:
            if endpoint.name == "getDoor":
                continue
            status, body = await house.request(
                endpoint.method, concrete(endpoint.path), headers=house.bearer()
            )
            assert (status, body["code"]) == (403, "forbidden"), endpoint.name


async def test_a_token_in_the_query_is_not_a_token() -> None:
    async with rig() as house:
        token = house.token(permissions=(Permission.ADMIN,), room=None)
        assert (await house.get(f"{BASE}/rooms?token={token}&access_token={token}"))[0] == 401


async def test_answers_fit_their_schema(tmp_path: Path) -> None:
    results = {endpoint.name: endpoint.result for endpoint in ENDPOINTS}
    async with everything(tmp_path) as house:
        await house.join("ada")
        admin = house.admin()
        for name, method, path, body in SUCCESSES:
            status, answer = await house.request(method, BASE + path, json=body, headers=admin)
            assert status in {200, 201, 204}, (name, answer)
            if results[name] is not None:
                msgspec.convert(answer, results[name])


SUCCESSES: tuple[tuple[str, str, str, Any], ...] = (
    ("createRoom", "POST", "/rooms", {"name": "hall", "mode": "explicit", "max_participants": 5}),
    ("listRooms", "GET", "/rooms", None),
    ("getRoom", "GET", "/rooms/hall", None),
    ("changeRoom", "PATCH", "/rooms/hall", {"chat": False, "uses": ["record"]}),
    ("listParticipants", "GET", "/rooms/demo/participants", None),
    ("getParticipant", "GET", "/rooms/demo/participants/ada", None),
    ("getDoor", "GET", "/rooms/demo/door", None),
    ("moderate", "POST", "/rooms/demo/participants/ada/actions", {"action": "mute"}),
    (
        "createToken",
        "POST",
        "/tokens",
        {"identity": "bo", "room": "demo", "grants": ["join"], "uses": ["live"]},
    ),
    ("createInvitation", "POST", "/rooms/demo/invitations", {"ttl_s": 60}),
    ("getSite", "GET", "/site", None),
    ("startRecording", "POST", "/recordings", {"room": "demo"}),
    ("listRecordings", "GET", "/recordings?room=demo", None),
    ("getRecording", "GET", "/recordings/rec_1", None),
    ("listFiles", "GET", "/recordings/rec_1/files", None),
    ("stopRecording", "POST", "/recordings/rec_1/stop", None),
    ("deleteRecording", "DELETE", "/recordings/rec_1", None),
    (
        "addPartner",
        "POST",
        "/partners",
        {
            "name": "TV",
            "site": "tv.example",
            "policy_url": "https://tv.example/privacy",
            "uses": ["live"],
            "terms_version": "1",
        },
    ),
    ("listPartners", "GET", "/partners", None),
    (
        "addDestination",
        "POST",
        "/destinations",
        {
            "name": "Main",
            "partner": "par_1",
            "kind": "rtmp",
            "url": "rtmp://tv.example/app",
            "key": "k4nary-1234",
        },
    ),
    ("listDestinations", "GET", "/destinations", None),
    ("startBroadcast", "POST", "/broadcasts", {"room": "demo", "destinations": ["dst_2"]}),
    ("listBroadcasts", "GET", "/broadcasts", None),
    ("getBroadcast", "GET", "/broadcasts/bc_3", None),
    ("stopBroadcast", "POST", "/broadcasts/bc_3/stop", None),
    ("removeDestination", "DELETE", "/destinations/dst_2", None),
    ("removePartner", "DELETE", "/partners/par_1", None),
    ("getTerms", "GET", "/terms", None),
    ("getTermsVersion", "GET", f"/terms/{DEFAULT_TERMS.version}", None),
    (
        "publishTerms",
        "POST",
        "/terms",
        {
            "version": "2027-01",
            "title": "New terms",
            "paragraphs": ["One."],
            "age_statement": "I am 18.",
            "uses": [{"use": "live", "title": "Live", "text": "Live.", "media": ["audio"]}],
            "effective_ms": 4_000_000_000_000,
            "material": True,
        },
    ),
    ("listConsents", "GET", "/consents?room=demo", None),
    ("closeRoom", "DELETE", "/rooms/demo", None),
)


def test_every_endpoint_has_a_success_here() -> None:
    elsewhere = {"getFile", "createDevelopmentToken", "createGuest"}
    assert {name for name, *_ in SUCCESSES} | elsewhere == {endpoint.name for endpoint in ENDPOINTS}


def everything(tmp_path: Path, **changes: Any) -> Any:
    return rig(recorder=Recorder(tmp_path), broadcasts=Broadcasts(), **changes)


# Rooms.


async def test_a_room_is_made_changed_and_closed() -> None:
    async with rig() as house:
        admin = house.admin()
        body = {"name": "hall", "mode": "explicit", "max_participants": 5, "uses": ["record"]}
        status, room = await house.request("POST", f"{BASE}/rooms", json=body, headers=admin)
        assert status == 201
        assert room["settings"]["mode"] == "explicit"
        assert room["settings"]["uses"] == ["record"]
        assert (await house.request("POST", f"{BASE}/rooms", json=body, headers=admin))[0] == 409
        status, room = await house.request("PATCH", f"{BASE}/rooms/hall", json={"chat": False}, headers=admin)
        assert (status, room["settings"]["chat"], room["settings"]["mode"]) == (200, False, "explicit")
        assert (await house.request("DELETE", f"{BASE}/rooms/hall", headers=admin))[0] == 204
        assert (await house.request("DELETE", f"{BASE}/rooms/hall", headers=admin))[0] == 404
        assert (await house.request("PATCH", f"{BASE}/rooms/hall", json={}, headers=admin))[0] == 404


async def test_rooms_come_in_pages() -> None:
    async with rig() as house:
        admin = house.admin()
        for name in ("c", "a", "b"):
            await house.request("POST", f"{BASE}/rooms", json={"name": name}, headers=admin)
        status, page = await house.get(f"{BASE}/rooms?limit=2", headers=admin)
        assert ([room["name"] for room in page["items"]], page["next"]) == (["a", "b"], "b")
        _, page = await house.get(f"{BASE}/rooms?limit=2&after=b", headers=admin)
        assert ([room["name"] for room in page["items"]], page["next"]) == (["c"], None)
        for limit in ("0", "201", "-1", "x", "9" * 30, "1e2"):
            status, _ = await house.get(f"{BASE}/rooms?limit={limit}", headers=admin)
            assert status == 422


async def test_a_moderator_sees_and_acts_in_the_own_room_only() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        await house.join("ada", room="other")
        moderator = house.bearer("mod", permissions=(Permission.MODERATE,))
        assert (await house.get(f"{BASE}/rooms/demo/participants", headers=moderator))[0] == 200
        assert (await house.get(f"{BASE}/rooms/other/participants", headers=moderator))[0] == 403
        assert (await house.get(f"{BASE}/rooms", headers=moderator))[0] == 403
        path = f"{BASE}/rooms/demo/participants/ada/actions"
        status, _ = await house.request("POST", path, json={"action": "remove"}, headers=moderator)
        assert status == 204
        assert (await ada.hears("removed"))["reason"] == "removed"
        status, _ = await house.request("POST", path, json={"action": "remove"}, headers=moderator)
        assert status == 404
        recorder = house.bearer("rec", permissions=(Permission.RECORD,))
        assert (await house.request("POST", path, json={"action": "remove"}, headers=recorder))[0] == 403


async def test_the_door_tells_what_a_join_will_ask() -> None:
    async with rig() as house:
        await house.request(
            "POST",
            f"{BASE}/rooms",
            json={"name": "hall", "mode": "explicit", "uses": ["live"]},
            headers=house.admin(),
        )
        status, door = await house.get(f"{BASE}/rooms/hall/door", headers=house.bearer(room="hall"))
        assert status == 200
        assert (door["mode"], door["uses"], door["ask_name"]) == ("explicit", ["live"], True)
        assert door["terms"]["version"] == DEFAULT_TERMS.version
        assert door["terms"]["age_statement"]
        _, door = await house.get(f"{BASE}/rooms/new/door", headers=house.bearer(room="new", name="Ada"))
        assert door["ask_name"] is False
        assert house.services.rooms.room("new") is None


# Tokens.


async def test_a_minted_token_joins_and_its_link_keeps_it_in_the_fragment() -> None:
    async with rig() as house:
        body = {"identity": "bo", "room": "demo", "grants": ["join", "chat"], "ttl_s": 60, "uses": ["live"]}
        status, made = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert status == 201
        assert made["join_url"] == f"{house.url}/r/demo#token={made['token']}"
        assert abs(made["expires_at"] - time.time() - 60) < 5
        bo = await house.join("bo", token=made["token"], accept=None)
        assert bo.result["permissions"] == ["chat", "join"]
        assert bo.result["terms"]["accepted"] is True
        assert bo.result["consent"]["live"] == "granted"
        assert bo.result["consent"]["record"] != "granted"
        body |= {"external": True}
        _, made = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert made["join_url"].startswith(f"{house.url}/embed/demo#token=")


@pytest.mark.parametrize(
    "changes",
    [
        {"ttl_s": 90_000},
        {"ttl_s": 0},
        {"grants": ["root"]},
        {"grants": []},
        {"room": None},
        {"room": "../x"},
        {"identity": ""},
        {"identity": "a\nb"},
        {"name": "\u202e"},
    ],
)
async def test_a_token_that_would_not_be_accepted_is_not_minted(changes: dict[str, object]) -> None:
    async with rig() as house:
        body = {"identity": "bo", "room": "demo", "grants": ["join"]} | changes
        status, problem = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert status == 422, problem


# Recordings.


async def test_a_recorder_of_a_room_handles_its_recordings_only(tmp_path: Path) -> None:
    (tmp_path / "p1-video.mp4").write_bytes(b"0123456789")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "secret.txt")
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        other = house.bearer("rec", room="other", permissions=(Permission.RECORD,))
        body = {"room": "demo"}
        assert (await house.request("POST", f"{BASE}/recordings", json=body, headers=other))[0] == 403
        status, made = await house.request("POST", f"{BASE}/recordings", json=body, headers=own)
        assert (status, made["state"]) == (201, "recording")
        assert (await house.request("POST", f"{BASE}/recordings", json=body, headers=own))[0] == 409
        path = f"{BASE}/recordings/{made['id']}"
        unknown = await house.get(f"{BASE}/recordings/rec_99", headers=other)
        assert await house.get(path, headers=other) == unknown
        assert unknown[0] == 404
        for method, tail in (("GET", "/files"), ("POST", "/stop"), ("DELETE", "")):
            assert (await house.request(method, path + tail, headers=other))[0] == 404
        assert (await house.request("DELETE", path, headers=own))[0] == 409
        assert (await house.request("POST", f"{path}/stop", headers=own))[1]["state"] == "finished"
        _, files = await house.get(f"{path}/files", headers=own)
        url = files["items"][0]["url"]
        async with house.http.get(house.url + url, headers=own | {"Range": "bytes=2-4"}) as response:
            assert (response.status, await response.read()) == (206, b"234")
            assert response.headers["Content-Disposition"].startswith("attachment")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (await house.get(url))[0] == 401
        assert (await house.get(url, headers=other))[0] == 404
        for name in ("link.mp4", "..%2fsecret.txt", "secret%00.txt", ".hidden", "nope.mp4"):
            assert (await house.get(f"{path}/files/{name}", headers=own))[0] == 404, name
        _, page = await house.get(f"{BASE}/recordings", headers=other)
        assert page["items"] == []
        assert (await house.get(f"{BASE}/recordings?room=demo", headers=other))[0] == 403
        assert (await house.request("DELETE", path, headers=own))[0] == 204


# Destinations and broadcasts.


async def test_a_stream_key_never_comes_back(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        admin = house.admin()
        body = {
            "name": "Main",
            "partner": "p",
            "kind": "rtmp",
            "url": "rtmp://tv.example/app",
            "key": "k4nary-5678",
        }
        texts = []
        for method, path, sent in (
            ("POST", "/destinations", body),
            ("GET", "/destinations", None),
            ("POST", "/broadcasts", {"room": "demo", "destinations": ["dst_1"]}),
            ("GET", "/broadcasts", None),
        ):
            async with house.http.request(
                method, house.url + BASE + path, json=sent, headers=admin
            ) as response:
                texts.append(await response.text())
        _, metrics = await house.get("/metrics")
        assert '"key_hint":"5678"' in texts[0]
        assert not [text for text in [*texts, metrics] if "k4nary" in text]


async def test_a_broadcaster_uses_what_the_room_may(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        for rooms in ([], ["demo"], ["other"]):
            body = {"name": f"for {rooms}", "partner": "p", "kind": "hls", "rooms": rooms}
            await house.request("POST", f"{BASE}/destinations", json=body, headers=house.admin())
        own = house.bearer("b", permissions=(Permission.BROADCAST,))
        _, page = await house.get(f"{BASE}/destinations", headers=own)
        assert [item["rooms"] for item in page["items"]] == [[], ["demo"]]
        client = await house.join("host", permissions=HOST)
        listed = (await client.call("destinations"))["destinations"]
        assert {tuple(item) for item in listed} == {("id", "name", "site", "kind")}
        assert len(listed) == 2
        started = await client.call("broadcast_start", destinations=[listed[0]["id"]])
        assert started["hls_url"].startswith(f"/live/{started['broadcast']}/index.m3u8?expires=")
        assert await client.call("broadcast_stop", broadcast=started["broadcast"]) == {}
        with pytest.raises(RpcError) as refused:
            await client.call("broadcast_start", destinations=["dst_none"])
        assert refused.value.code == "not_found"
        elsewhere = await house.join("host", room="other", permissions=HOST)
        with pytest.raises(RpcError) as refused:
            await elsewhere.call("broadcast_stop", broadcast=started["broadcast"])
        assert refused.value.code == "not_found"


async def test_recording_over_the_websocket_is_bound_to_the_room(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        host = await house.join("host", permissions=HOST)
        other = await house.join("host", room="other", permissions=HOST)
        started = await host.call("record_start")
        with pytest.raises(RpcError) as refused:
            await other.call("record_stop", recording=started["recording"])
        assert refused.value.code == "not_found"
        with pytest.raises(RpcError) as refused:
            await host.call("record_start")
        assert refused.value.code == "conflict"
        assert await host.call("record_stop", recording=started["recording"]) == {}


async def test_services_that_do_not_run_are_unavailable() -> None:
    async with rig() as house:
        for path in ("/recordings", "/recordings/rec_1", "/destinations", "/partners", "/broadcasts"):
            status, body = await house.get(BASE + path, headers=house.admin())
            assert (status, body["code"]) == (503, "unavailable")


# Terms and consents.


async def test_terms_are_public_and_published_ones_do_not_change() -> None:
    async with rig() as house:
        status, terms = await house.get(f"{BASE}/terms")
        assert (status, terms["version"]) == (200, DEFAULT_TERMS.version)
        assert terms["text"]
        assert {use["use"] for use in terms["uses"]} == {"live", "record", "replay"}
        body = next(item[3] for item in SUCCESSES if item[0] == "publishTerms")
        assert (await house.request("POST", f"{BASE}/terms", json=body, headers=house.admin()))[0] == 201
        assert (await house.request("POST", f"{BASE}/terms", json=body, headers=house.admin()))[0] == 409
        assert (await house.get(f"{BASE}/terms/2027-01"))[1]["title"] == "New terms"
        assert (await house.get(f"{BASE}/terms"))[1]["version"] == DEFAULT_TERMS.version
        assert (await house.get(f"{BASE}/terms/none"))[0] == 404
        bad = body | {"version": "../x"}
        assert (await house.request("POST", f"{BASE}/terms", json=bad, headers=house.admin()))[0] == 422


async def test_the_ledger_holds_no_name(tmp_path: Path) -> None:
    async with rig() as house:
        ada = await house.join("canary-identity", name="Canary Name")
        await ada.call("consent", uses={"record": False})
        _, page = await house.get(f"{BASE}/consents?room=demo", headers=house.admin())
        assert page["items"]
        text = str(page)
        assert "anary" not in text
        assert [item["seq"] for item in page["items"]] == sorted(item["seq"] for item in page["items"])
        _, first = await house.get(f"{BASE}/consents?limit=1", headers=house.admin())
        _, second = await house.get(f"{BASE}/consents?limit=1&after={first['next']}", headers=house.admin())
        assert second["items"][0]["seq"] == first["items"][0]["seq"] + 1
        assert (await house.get(f"{BASE}/consents?room=none", headers=house.admin()))[1]["items"] == []


# HLS.


PLAYLIST = b'#EXTM3U\n#EXT-X-MAP:URI="init_1.mp4"\n#EXTINF:2.0,\nseg_7.m4s\n'


@pytest.fixture
def store() -> Hls:
    return Hls(
        {("bc_1", "index.m3u8"): PLAYLIST, ("bc_1", "seg_7.m4s"): b"media", ("bc_1", "seg_6.m4s"): "gone"}
    )


async def test_a_signed_link_plays_and_its_playlists_links_carry_it_on(store: Hls) -> None:
    async with rig(hls=store) as house:
        link = signed_url(b"h" * 32, "bc_1", now=time.time(), ttl_s=60)
        async with house.http.get(house.url + link) as response:
            assert response.status == 200
            assert response.content_type == "application/vnd.apple.mpegurl"
            assert response.headers["Cache-Control"] == "no-store"
            playlist = await response.text()
        segment = next(line for line in playlist.splitlines() if line.startswith("seg_"))
        assert (await house.get(f"/live/bc_1/{segment}"))[1] == "media"
        query = segment.partition("?")[2]
        assert f'URI="init_1.mp4?{query}"' in playlist
        assert (await house.get(f"/live/bc_1/seg_6.m4s?{query}"))[0] == 410
        assert (await house.get(f"/live/bc_1/seg_9.m4s?{query}"))[0] == 404
        assert (await house.get(f"/live/bc_1/..%2fx.m4s?{query}"))[0] in {403, 404}


async def test_a_link_that_is_not_ours_or_not_of_now_does_not_play(store: Hls) -> None:
    async with rig(hls=store) as house:
        good = signed_url(b"h" * 32, "bc_1", now=time.time(), ttl_s=60)
        late = signed_url(b"h" * 32, "bc_1", now=time.time() - 100, ttl_s=60)
        other = signed_url(b"h" * 32, "bc_2", now=time.time(), ttl_s=60)
        forged = signed_url(b"x" * 32, "bc_1", now=time.time(), ttl_s=60)
        longer = re.sub(r"expires=\d+", lambda found: found.group() + "0", good)
        for link in (
            "/live/bc_1/index.m3u8",
            late,
            forged,
            longer,
            other.replace("bc_2", "bc_1"),
            good[:-1],
            good.replace("expires=", "expires=\u0663"),
            "/live/bc_1/seg_7.m4s",
            "/live/bc_1/index.m3u8?expires=1e9&sig=x",
        ):
            assert (await house.get(link))[0] == 403, link


def test_links_that_have_parameters_keep_them() -> None:
    assert with_parameters(b"a.m4s?x=1\n", b"q=2") == b"a.m4s?x=1\n"
    assert with_parameters(PLAYLIST.replace(b"\n", b"\r\n"), b"q=2").count(b"?q=2") == 2


# Pages.


async def test_pages_are_served_with_an_etag_and_files_with_their_type() -> None:
    async with rig() as house:
        for path, content_type in (
            ("/", "text/html"),
            ("/r/demo", "text/html"),
            ("/embed/demo", "text/html"),
            ("/terms", "text/html"),
            ("/terms/2026-11", "text/html"),
            ("/static/sdk/parley.js", "text/javascript"),
            ("/static/ui/base.css", "text/css"),
            ("/static/ui/mark.svg", "image/svg+xml"),
        ):
            async with house.http.get(house.url + path) as response:
                assert (response.status, response.content_type) == (200, content_type)
                etag = response.headers["ETag"]
            async with house.http.get(house.url + path, headers={"If-None-Match": etag}) as response:
                assert response.status == 304


async def test_health_is_told() -> None:
    async with rig() as house:
        assert await house.get("/healthz") == (200, "ok\n")
        assert await house.get("/readyz") == (200, {"ready": True, "missing": []})


async def test_what_is_not_there_is_a_problem() -> None:
    async with rig() as house:
        for path in ("/nowhere", "/api/v1/nowhere", "/api/v2/rooms", "/static/"):
            status, body = await house.get(path)
            assert (status, body["code"]) == (404, "not_found")
        status, body = await house.request("PUT", "/api/v1/rooms", headers=house.admin())
        assert (status, body["code"]) == (405, "method_not_allowed")
