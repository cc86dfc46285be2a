"""WHIP (RFC 9725) and WHEP: every status, and real media through the native core with aiortc as client."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from policy import LIVE, Permission, Site, Use
from sfu import MediaConfig
from signaling import IceServers, Rate, VouchedTerms
from tests.sfu.aiortc_client import Colour, ColourTrack, ToneTrack
from tests.signaling.rig import DEFAULT_TERMS, HOST, PERSON, VOUCHED, Rig, offer, rig, until

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
RED: Colour = (200, 40, 40)
GREEN: Colour = (40, 160, 60)


async def post(house: Rig, path: str, sdp: str, **headers: str) -> tuple[int, str, Any]:
    async with house.http.post(house.url + path, data=sdp.encode(), headers=SDP | headers) as response:
        return response.status, await response.text(), response.headers


async def whip(
    house: Rig, identity: str = "cam", *, room: str = "demo", sdp: str | None = None, **more: Any
) -> Any:
    """A publisher's resource: (status, body, headers)."""
    sdp = offer() if sdp is None else sdp
    return await post(house, f"/whip/{room}", sdp, **house.bearer(identity, room=room, **more))


async def whep(house: Rig, identity: str = "eye", path: str = "/whep/demo", **more: Any) -> Any:
    return await post(house, path, offer("chromium-offer-recvonly-av"), **house.bearer(identity, **more))


# Conformance.


async def test_a_publisher_gets_its_resource() -> None:
    async with rig(
        ice_servers=IceServers(urls=("turn:turn.example:3478",), username="u", credential="c")
    ) as house:
        ada = await house.join("ada")
        status, body, headers = await whip(house)
        assert status == 201
        assert headers["Content-Type"].startswith("application/sdp")
        assert body.startswith("v=0\r\n")
        assert "a=setup:passive" in body
        assert "a=candidate:" in body
        assert re.fullmatch(r"/whip/demo/sessions/[\w-]{30,}", headers["Location"])
        assert re.fullmatch(r'"[0-9a-f]+"', headers["ETag"])
        assert headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
        assert headers["Link"] == (
            '<turn:turn.example:3478>; rel="ice-server"; username="u"; credential="c"; '
            'credential-type="password"'
        )
        joined = await ada.hears("participant_joined")
        assert joined["participant"]["identity"] == "cam"
        assert {(await ada.hears("track_published"))["track"]["kind"] for _ in range(2)} == {"audio", "video"}
        async with house.http.delete(
            house.url + headers["Location"], headers=house.bearer("cam")
        ) as response:
            assert response.status == 200
        assert (await ada.hears("participant_left"))["reason"] == "left"
        async with house.http.delete(
            house.url + headers["Location"], headers=house.bearer("cam")
        ) as response:
            assert response.status == 404


@pytest.mark.parametrize("path", ["/whip/demo", "/whep/demo", "/whep/demo/ada"])
async def test_options_tell_what_to_post(path: str) -> None:
    async with rig() as house, house.http.options(house.url + path) as response:
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize(
    "path", ["/whip/demo", "/whip/demo/sessions/x", "/whep/demo", "/whep/demo/sessions/x"]
)
async def test_other_methods_are_not_allowed(method: str, path: str) -> None:
    async with rig() as house, house.http.request(method, house.url + path) as response:
        assert response.status == 405
        assert response.headers["Allow"]
        if method != "HEAD":
            assert (await response.json(content_type=None))["code"] == "method_not_allowed"


BAD_OFFERS: dict[str, tuple[str, int]] = {
    "empty": ("", 400),
    "not SDP": ("hello", 400),
    "cut short": (offer()[:200], 400),
    "a megabyte": ("v=0\r\n" + "a=x\r\n" * 200_000, 413),
    "five hundred sections": (offer() + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 500, 413),
    "a line break in the ufrag": (re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:x\r\ra=evil", offer()), 400),
    "no codec in common": (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n"
        "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n"
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=rtpmap:0 PCMU/8000\r\n",
        422,
    ),
}


@pytest.mark.parametrize("name", BAD_OFFERS)
async def test_a_bad_offer_is_a_problem_and_leaves_nobody_behind(name: str) -> None:
    sdp, expected = BAD_OFFERS[name]
    async with rig() as house:
        await house.join("ada")
        status, body, _ = await whip(house, sdp=sdp)
        assert status == expected, body
        problem = json.loads(body)
        assert problem["code"] in {"invalid_sdp", "too_large", "unsupported_codec"}
        assert len(problem["detail"]) > 5
        room = house.services.rooms.room("demo")
        await until(lambda: [info.identity for info in room.participants()] == ["ada"], "nobody stays")


async def test_content_type_and_accept_are_looked_at() -> None:
    async with rig() as house:
        bearer = house.bearer("cam")
        for headers, expected in (
            ({"Content-Type": "text/plain"}, 415),
            ({"Content-Type": "application/json"}, 415),
            (SDP | {"Accept": "text/html"}, 406),
            (SDP | {"Accept": "text/html, */*;q=0.1"}, 201),
            (SDP | {"Accept": "application/*"}, 201),
        ):
            async with house.http.post(
                f"{house.url}/whip/demo", data=offer().encode(), headers=bearer | headers
            ) as response:
                assert response.status == expected


async def test_who_may_not_publish_is_told_so() -> None:
    async with rig() as house:
        for token, expected in (
            (None, 401),
            ("nonsense", 401),
            (house.token("cam", room="other"), 403),
            (house.token("cam", permissions=(Permission.JOIN, Permission.SUBSCRIBE)), 403),
            (house.token("cam", is_external=True), 403),
            (house.token("cam", permissions=(Permission.PUBLISH,)), 201),
        ):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            status, body, answered = await post(house, "/whip/demo", offer(), **headers)
            assert status == expected, body
            if status == 401:
                assert answered["WWW-Authenticate"].startswith("Bearer")


async def test_trickle_and_restart_follow_the_etag() -> None:
    sdp = offer()
    ufrag = re.search(r"a=ice-ufrag:(\S+)", sdp).group(1)  # type: ignore[union-attr]
    pwd = re.search(r"a=ice-pwd:(\S+)", sdp).group(1)  # type: ignore[union-attr]
    candidate = "a=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host\r\n"
    trickle = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{candidate}"
    restart = trickle.replace(ufrag, "newu").replace(pwd, "n" * 24)
    async with rig() as house:
        _, _, headers = await whip(house, sdp=sdp)
        url, etag = house.url + headers["Location"], headers["ETag"]
        bearer = house.bearer("cam")

        async def patch(body: str, expected: int, **more: str) -> Any:
            async with house.http.patch(
                url, data=body.encode(), headers=bearer | FRAGMENT | more
            ) as response:
                assert response.status == expected, await response.text()
                return response.headers, await response.text()

        await patch(trickle, 204, **{"If-Match": etag})
        await patch(trickle, 428)
        await patch(trickle, 412, **{"If-Match": '"other"'})
        await patch(trickle, 415, **{"If-Match": etag, "Content-Type": "application/sdp"})
        await patch("nonsense", 400, **{"If-Match": etag})
        await patch("a" * 20_000, 413, **{"If-Match": etag})
        answered, body = await patch(restart, 200, **{"If-Match": '"*"'})
        assert answered["Content-Type"].startswith("application/trickle-ice-sdpfrag")
        assert answered["ETag"] != etag
        assert "a=ice-ufrag:" in body
        assert "a=ice-pwd:" in body
        await patch(trickle, 412, **{"If-Match": etag})
        await patch(restart, 204, **{"If-Match": answered["ETag"]})


async def test_a_resource_is_its_makers_only() -> None:
    async with rig() as house:
        _, _, headers = await whip(house)
        url = house.url + headers["Location"]
        for method in ("PATCH", "DELETE"):
            for bearer, expected in (
                ({}, 401),
                (house.bearer("eve"), 403),
                (house.bearer("cam", room="other"), 403),
            ):
                async with house.http.request(
                    method, url, headers=bearer | FRAGMENT | {"If-Match": "*"}
                ) as response:
                    assert response.status == expected
        async with house.http.delete(
            url.replace("/whip/", "/whep/"), headers=house.bearer("cam")
        ) as response:
            assert response.status == 404
        async with house.http.delete(url, headers=house.admin()) as response:
            assert response.status == 200


async def test_limits_answer_with_retry_after() -> None:
    async with rig(joins=Rate(per_s=0.01, burst=1), http_sessions=1) as house:
        assert (await whip(house))[0] == 201
        status, _, headers = await whip(house)
        assert status == 429
        assert int(headers["Retry-After"]) >= 1
    async with rig(http_sessions=1) as house:
        assert (await whip(house))[0] == 201
        status, body, headers = await whip(house, "other")
        assert (status, json.loads(body)["code"]) == (503, "room_full")
        assert int(headers["Retry-After"]) >= 1


async def test_a_removed_publisher_has_no_resource_any_more() -> None:
    async with rig() as house:
        ada = await house.join("ada", permissions=HOST)
        _, _, headers = await whip(house)
        await ada.call("moderate", action="remove", identity="cam")
        await ada.hears("participant_left")
        async with house.http.delete(
            house.url + headers["Location"], headers=house.bearer("cam")
        ) as response:
            assert response.status == 404


# Broadcast terms.


class _Activity:
    """A running use of the room, opened as the recorder opens it."""

    def __init__(self, house: Rig, use: Use) -> None:
        self.house, self.use = house, use

    async def __aenter__(self) -> Any:
        self.activity = await self.house.services.rooms.open_activity(
            "demo",
            self.use,
            (Site(id="tv.example", name="TV"),),
            permissions=frozenset(HOST),
            kill=lambda _: None,
        )
        return self.activity

    async def __aexit__(self, *_: object) -> None:
        await self.activity.close()


async def test_a_publisher_nobody_vouches_for_is_refused_while_something_runs() -> None:
    async with rig() as house:
        await house.join("ada")
        async with _Activity(house, LIVE):
            status, body, _ = await whip(house)
            problem = json.loads(body)
            assert (status, problem["code"]) == (403, "notice_required")
            assert problem["uses"] == ["live"]
            status, body, _ = await whip(house, terms=VOUCHED)
            assert status == 201, body
            old = VouchedTerms("1999-01", frozenset({LIVE}))
            assert (await whip(house, "older", terms=old))[0] == 403
        assert (await whip(house))[0] == 201
    assert VOUCHED.version == DEFAULT_TERMS.version


async def test_an_external_viewer_sees_only_whom_a_grant_shows() -> None:
    async with rig() as house:
        ada = await house.join("ada", accept=None)
        status, body, _ = await whep(house, path="/whep/demo/ada", is_external=True)
        assert status == 403
        assert "no_live_grant" in json.loads(body)["detail"]
        status, _, headers = await whep(house, is_external=True)
        assert status == 201
        assert ada.result["participants"] == []
        assert (await whep(house, is_external=True))[0] == 201
        async with house.http.get(
            house.url + headers["Location"] + "/chat", headers=house.bearer("eye")
        ) as feed:
            assert feed.status == 200
            assert feed.content_type == "text/event-stream"


async def test_the_chat_feed_carries_granted_lines_by_screen_name_only() -> None:
    async with rig() as house:
        await whep(house, is_external=True)
        ada = await house.join("ada", name="Ada")
        eve = await house.join("eve", name="Eve", uses={"live": False})
        _, _, headers = await whep(house, is_external=True)
        for client in (ada, eve):
            with contextlib.suppress(AssertionError):
                notice = client.result["notice"] or await client.hears("notice")
                await client.call("acknowledge", notice=notice["notice"])
        url = house.url + headers["Location"] + "/chat"
        async with house.http.get(url, headers=house.bearer("eye")) as feed:
            await eve.call("chat", text="not for outside")
            await ada.call("chat", text="for everyone")
            line = b""
            async with asyncio.timeout(5):
                while not line.startswith(b"data: "):
                    line = await feed.content.readline()
            shown = json.loads(line[6:])
            assert (shown["name"], shown["text"]) == ("Ada", "for everyone")
            assert set(shown) == {"id", "name", "text", "at_ms"}
            await ada.call("chat_delete", id=shown["id"])
            line = b""
            async with asyncio.timeout(5):
                while not line.startswith(b"data: "):
                    line = await feed.content.readline()
            assert json.loads(line[6:]) == {"deleted": shown["id"]}
            async with house.http.get(url, headers=house.bearer("eye")) as second:
                assert second.status == 409
            async with house.http.delete(
                house.url + headers["Location"], headers=house.bearer("eye")
            ) as response:
                assert response.status == 200
            async with asyncio.timeout(5):
                rest = await feed.content.read()
            assert b"not for outside" not in rest
        async with house.http.get(url, headers=house.bearer("eye")) as gone:
            assert gone.status == 410


# Media.


class Viewer:
    """What a viewing peer connection decodes."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.colours: list[Colour] = []
        self.heard = 0
        self._readers: list[asyncio.Task[None]] = []
        self.pc.on("track", self._read)

    def _read(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.get_running_loop().create_task(self._decode(track)))

    async def _decode(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    red, green, blue = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
                    self.colours.append((round(red), round(green), round(blue)))
                else:
                    self.heard += 1

    def sees(self, colour: Colour) -> bool:
        return bool(self.colours) and all(
            abs(seen - wanted) < 30 for seen, wanted in zip(self.colours[-1], colour, strict=True)
        )

    async def close(self) -> None:
        await self.pc.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


async def _negotiate(house: Rig, pc: RTCPeerConnection, path: str, bearer: dict[str, str]) -> str:
    """Offer, take the answer; the resource's URL. A viewer waits for the publisher's grant."""
    await pc.setLocalDescription(await pc.createOffer())
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        status, body, headers = await post(house, path, pc.localDescription.sdp, **bearer)
        if "no_live_grant" not in body or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.05)
    assert status == 201, body
    await pc.setRemoteDescription(RTCSessionDescription(body, "answer"))
    return house.url + str(headers["Location"])


@contextlib.asynccontextmanager
async def publisher(house: Rig, identity: str, colour: Colour, **more: Any) -> AsyncIterator[str]:
    """A WHIP publisher of one colour and a tone; gives its resource's URL."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(ToneTrack(440))
    pc.addTrack(ColourTrack(colour))
    try:
        yield await _negotiate(house, pc, "/whip/demo", house.bearer(identity, **more))
    finally:
        await pc.close()


@contextlib.asynccontextmanager
async def viewer(house: Rig, path: str, **more: Any) -> AsyncIterator[tuple[Viewer, str]]:
    """A WHEP viewer; gives what it decodes and its resource's URL."""
    view = Viewer()
    view.pc.addTransceiver("audio", "recvonly")
    view.pc.addTransceiver("video", "recvonly")
    try:
        yield view, await _negotiate(house, view.pc, path, house.bearer("eye", **more))
    finally:
        await view.close()


NATIVE: dict[str, Any] = {
    "engine": None,
    "media": MediaConfig(addresses=("127.0.0.1",), port=0, gate_slots=4096),
}


async def _goes_dark(view: Viewer) -> None:
    """What is in the decoder comes out, and then nothing for half a second."""
    seen = -1
    async with asyncio.timeout(10):
        while seen != len(view.colours):
            seen = len(view.colours)
            await asyncio.sleep(0.5)


async def test_media_goes_from_whip_to_whep_and_ends_with_delete() -> None:
    async with (
        rig(**NATIVE) as house,
        publisher(house, "cam", RED) as resource,
        viewer(house, "/whep/demo/cam", permissions=PERSON) as (view, _),
    ):
        await until(lambda: view.sees(RED), "red", 15)
        await until(lambda: view.heard > 10, "sound", 15)
        async with house.http.delete(resource, headers=house.bearer("cam")) as response:
            assert response.status == 200
        await _goes_dark(view)


async def test_a_viewer_that_waits_gets_the_first_publisher() -> None:
    async with (
        rig(**NATIVE) as house,
        viewer(house, "/whep/demo", permissions=PERSON) as (view, _),
        publisher(house, "cam", GREEN),
    ):
        await until(lambda: view.sees(GREEN), "green", 15)


async def test_an_external_viewer_goes_dark_when_the_grant_ends() -> None:
    async with (
        rig(**NATIVE) as house,
        publisher(house, "cam", RED, terms=VOUCHED),
        viewer(house, "/whep/demo/cam", is_external=True) as (view, _),
    ):
        await until(lambda: view.sees(RED), "red", 15)
        room = house.services.rooms.room("demo")
        member = room.by_identity("cam")
        await house.services.rooms.consent.choose(room, member, {LIVE: False})
        await _goes_dark(view)
