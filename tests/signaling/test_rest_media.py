"""Recordings, destinations and broadcasts over REST."""

import base64
from pathlib import Path
from typing import Any

import pytest

from policy import Permission
from rebroadcast import PartnerChange
from signaling.rest import BASE
from tests.signaling.rig import HOST, RpcError, rig
from tests.signaling.services import everything


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
        assert (await house.request("POST", f"{path}/pause", headers=other))[0] == 404
        for verb, state in (("pause", "paused"), ("resume", "recording")):
            status, told = await house.request("POST", f"{path}/{verb}", headers=own)
            assert (status, told["state"]) == (200, state)
        assert (await house.request("DELETE", path, headers=own))[0] == 409
        assert (await house.request("POST", f"{path}/stop", headers=own))[1]["state"] == "finished"
        _, files = await house.get(f"{path}/files", headers=own)
        url = files["items"][0]["url"]
        async with house.http.get(house.url + url, headers=own | {"Range": "bytes=2-4"}) as response:
            assert (response.status, await response.read()) == (206, b"234")
            assert response.headers["Content-Disposition"].startswith("attachment")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        for asked, status, content in (
            ({"Range": "bytes=-3"}, 206, b"789"),
            ({"Range": "bytes=8-99"}, 206, b"89"),
            ({"Range": "bytes=2-4", "If-Range": '"another"'}, 200, b"0123456789"),
            ({"Range": "lines=1"}, 200, b"0123456789"),
            ({"If-None-Match": f'"{"ab" * 32}"'}, 304, b""),
        ):
            async with house.http.get(house.url + url, headers=own | asked) as response:
                assert (response.status, await response.read()) == (status, content), asked
        async with house.http.get(house.url + url, headers=own | {"Range": "bytes=10-"}) as response:
            assert response.status == 416
        assert (await house.get(url))[0] == 401
        assert (await house.get(url, headers=other))[0] == 404
        for name in ("link.mp4", "..%2fsecret.txt", "secret%00.txt", ".hidden", "nope.mp4"):
            assert (await house.get(f"{path}/files/{name}", headers=own))[0] == 404, name
        _, page = await house.get(f"{BASE}/recordings", headers=other)
        assert page["items"] == []
        assert (await house.get(f"{BASE}/recordings?room=demo", headers=other))[0] == 403
        assert (await house.request("DELETE", path, headers=own))[0] == 204


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
        assert started["hls_url"].startswith(f"/live/{started['broadcast']}/index.m3u8?for=")
        change = {"layout": "single", "person": "host", "chat": False, "gains": {"host": 0.5}}
        assert await client.call("broadcast_change", broadcast=started["broadcast"], **change) == {}
        _, seen = await house.get(f"{BASE}/broadcasts/{started['broadcast']}", headers=own)
        assert {name: seen["look"][name] for name in change} == change
        assert seen["look"]["names"]
        assert await client.call("broadcast_stop", broadcast=started["broadcast"]) == {}
        with pytest.raises(RpcError) as refused:
            await client.call("broadcast_start", destinations=["dst_none"])
        assert refused.value.code == "forbidden"
        elsewhere = await house.join("host", room="other", permissions=HOST)
        with pytest.raises(RpcError) as refused:
            await elsewhere.call("broadcast_change", broadcast=started["broadcast"], layout="speaker")
        assert refused.value.code == "not_found"
        with pytest.raises(RpcError) as refused:
            await elsewhere.call("broadcast_stop", broadcast=started["broadcast"])
        assert refused.value.code == "not_found"


async def test_a_rendition_is_asked_for_looked_at_fetched_and_removed(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        own = house.bearer("rec", permissions=(Permission.RECORD,))
        other = house.bearer("rec", room="other", permissions=(Permission.RECORD,))
        _, recording = await house.request("POST", f"{BASE}/recordings", json={"room": "demo"}, headers=own)
        base = f"{BASE}/recordings/{recording['id']}/renditions"
        wish = {"format": "webm", "layout": "speaker", "chat": "webvtt"}
        status, made = await house.request("POST", base, json=wish, headers=own)
        assert (status, made["layout"], made["url"]) == (202, "speaker", f"{base}/{made['id']}/file")
        for wrong in ({"layout": "round"}, {"width": 161}, {"fps": 1}, {"format": "avi"}):
            status, problem = await house.request("POST", base, json=wrong, headers=own)
            assert (status, problem["code"]) == (422, "unprocessable")
        assert (await house.get(base, headers=own))[1]["items"] == [made]
        assert (await house.get(f"{base}/{made['id']}", headers=own))[1] == made
        assert (await house.get(base, headers=other))[0] == 404
        async with house.http.get(house.url + made["url"], headers=own) as response:
            assert (await response.read(), response.content_type) == (b"films", "video/webm")
        assert (made["captions_url"], made["poster_url"]) == (None, f"{base}/{made['id']}/stills/poster.jpg")
        assert (await house.get(f"{base}/{made['id']}/captions", headers=own))[0] == 404
        assert (await house.get(made["poster_url"], headers=own)) == (200, "poster")
        assert (await house.get(made["poster_url"], headers=other))[0] == 404
        for name in ("rendition.webm", "..%2frendition.webm", "poster.png", "stills-%00.jpg"):
            assert (await house.get(f"{base}/{made['id']}/stills/{name}", headers=own))[0] == 404, name
        status, _ = await house.request("DELETE", f"{base}/{made['id']}", headers=own)
        assert status == 204
        assert (await house.get(f"{base}/{made['id']}", headers=own))[0] == 404


async def test_a_destination_may_ask_for_sizes_and_tells_them_again(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        wanted = [{"height": 720}, {"height": 360, "fps": 15, "video_bps": 600_000, "codec": "h264"}]
        body = {"name": "tv", "partner": "p", "kind": "hls", "encodings": wanted}
        status, place = await house.request("POST", f"{BASE}/destinations", json=body, headers=house.admin())
        assert status == 201
        assert place["encodings"] == [
            {"height": 720, "fps": None, "video_bps": None, "codec": "h264"},
            wanted[1],
        ]
        for wrong in ({"height": "tall"}, {"codec": "hevc"}, {"fps": 0}):
            body = {"name": "tv", "partner": "p", "kind": "hls", "encodings": [wrong]}
            status, problem = await house.request(
                "POST", f"{BASE}/destinations", json=body, headers=house.admin()
            )
            assert (status, problem["code"]) == (422, "unprocessable")


async def test_the_look_of_a_program_is_changed_over_rest(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        body = {"name": "tv", "partner": "p", "kind": "hls", "rooms": []}
        admin = house.admin()
        _, place = await house.request("POST", f"{BASE}/destinations", json=body, headers=admin)
        body = {"room": "demo", "destinations": [place["id"]], "layout": "speaker", "names": False}
        _, started = await house.request("POST", f"{BASE}/broadcasts", json=body, headers=admin)
        assert (started["look"]["layout"], started["look"]["names"]) == ("speaker", False)
        url = f"{BASE}/broadcasts/{started['id']}"
        logo = base64.b64encode(b"any bytes").decode()
        status, changed = await house.request("PATCH", url, json={"logo": logo}, headers=admin)
        assert (status, changed["look"]["has_logo"], changed["look"]["layout"]) == (200, True, "speaker")
        for wrong in ({"logo": "no base64"}, {"layout": "round"}, {"gains": {"ada": 9}}, {"person": 5}):
            status, problem = await house.request("PATCH", url, json=wrong, headers=admin)
            assert (status, problem["code"]) == (422, "unprocessable")
        elsewhere = house.bearer("b", room="other", permissions=(Permission.BROADCAST,))
        status, _ = await house.request("PATCH", url, json={"chat": False}, headers=elsewhere)
        assert status == 404
        _, after = await house.get(url, headers=admin)
        assert after["look"] == changed["look"]


async def test_recording_over_the_websocket_is_bound_to_the_room(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        host = await house.join("host", permissions=HOST)
        other = await house.join("host", room="other", permissions=HOST)
        started = await host.call("record_start")
        for method, state in (("record_pause", "paused"), ("record_resume", "recording")):
            assert await host.call(method, recording=started["recording"]) == {}
            _, seen = await house.get(f"{BASE}/recordings/{started['recording']}", headers=house.admin())
            assert seen["state"] == state
            with pytest.raises(RpcError) as refused:
                await other.call(method, recording=started["recording"])
            assert refused.value.code == "not_found"
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


async def test_a_partner_is_changed_as_far_as_the_call_says(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        admin, broadcasts = house.admin(), house.services.broadcasts
        body = {"name": "TV", "site": "tv.example", "policy_url": "https://tv.example/privacy",
                "uses": ["replay"], "terms_version": "1"}  # fmt: skip
        _, partner = await house.request("POST", f"{BASE}/partners", json=body, headers=admin)
        url = f"{BASE}/partners/{partner['id']}"
        given: dict[str, Any]
        for given, change in (
            ({}, PartnerChange()),
            ({"takedown_url": None, "until_ms": None}, PartnerChange(takedown_url="", until_ms=None)),
            ({"uses": ["live"], "origins": []}, PartnerChange(uses=["live"], origins=[])),
            ({"from_ms": 5, "until_ms": 9}, PartnerChange(from_ms=5, until_ms=9)),
        ):
            assert (await house.request("PATCH", url, json=given, headers=admin))[0] == 200
            assert broadcasts.partners.changes[-1] == change
        for given in ({"from_ms": -1}, {"until_ms": "soon"}, {"takedown_url": ""}, {"uses": "live"}):
            assert (await house.request("PATCH", url, json=given, headers=admin))[0] == 422
        assert (await house.request("PATCH", f"{BASE}/partners/par_none", json={}, headers=admin))[0] == 404


async def test_a_recording_is_broadcast_again_by_whoever_may_broadcast_its_room(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        admin = house.admin()
        _, made = await house.request("POST", f"{BASE}/recordings", json={"room": "demo"}, headers=admin)
        body = {"name": "TV", "site": "tv.example", "policy_url": "https://tv.example/privacy",
                "uses": ["replay"], "terms_version": "1"}  # fmt: skip
        _, partner = await house.request("POST", f"{BASE}/partners", json=body, headers=admin)
        body = {"name": "There", "partner": partner["id"], "kind": "hls"}
        _, there = await house.request("POST", f"{BASE}/destinations", json=body, headers=admin)
        own = house.bearer("mod", permissions=(Permission.BROADCAST,))
        wish = {"recording": made["id"], "destinations": [there["id"]]}
        url = f"{BASE}/broadcasts"
        for headers, status in (
            (house.bearer("mod", permissions=(Permission.RECORD,)), 403),
            (house.bearer("mod", room="other", permissions=(Permission.BROADCAST,)), 404),
        ):
            assert (await house.request("POST", url, json=wish, headers=headers))[0] == status
        for wrong, status in (
            ({"recording": "rec_99"}, 404),
            ({"room": "demo"}, 422),
            ({"recording": None}, 422),
            ({"recording": None, "room": "demo", "loop": True}, 422),
            ({"recording": None, "room": "demo", "at": "2027-01-31T20:00:00Z"}, 422),
            ({"mode": "passthrough"}, 422),
            ({"publisher": "ada"}, 422),
            ({"at": "2027-01-31T20:00:00"}, 422),
            ({"at": "tomorrow"}, 422),
            ({"loop": "yes"}, 422),
        ):
            answer = await house.request("POST", url, json=wish | wrong, headers=own)
            assert answer[0] == status, answer
        status, begun = await house.request("POST", url, json=wish, headers=own)
        assert (status, begun["state"], begun["room"]) == (201, "running", "demo")
        assert begun["replay"] == {
            "recording": made["id"], "at_ms": None, "loop": False,
            "position_ms": 0, "duration_ms": 9, "turn": 0, "fetching": None,
        }  # fmt: skip
        later = wish | {"at": "2027-01-31T20:00:00+01:00", "loop": True, "layout": "speaker"}
        status, planned = await house.request("POST", url, json=later, headers=own)
        assert (status, planned["state"], planned["look"]["layout"]) == (201, "scheduled", "speaker")
        assert (planned["replay"]["at_ms"], planned["replay"]["loop"]) == (1_801_422_000_000, True)
        _, seen = await house.get(f"{url}/{planned['id']}", headers=own)
        assert seen["replay"] == planned["replay"]
