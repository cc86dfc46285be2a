"""What a token does not permit is no packet for anybody, and what ends takes its packets along (row 29)."""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.attacks.call import Call, Caller, call, terms_of, watching
from tests.browser.parley import Parley

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

SOON_S = 1.0
"""Four times what taking a permission away may need until the last packet."""


class Member(Caller):
    """Somebody with a WebSocket who publishes."""

    def __init__(self, running: Call, identity: str, grants: tuple[str, ...]) -> None:
        super().__init__()
        self.running, self.identity, self.grants = running, identity, grants
        self.told: list[tuple[str, Any]] = []
        self.publish_refused: dict[str, Any] | None = None
        self._numbers = itertools.count()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._answers: dict[int, dict[str, Any]] = {}

    def token(self, grants: tuple[str, ...] | None = None, **claims: object) -> str:
        return self.running.parley.token(
            self.running.room, self.identity, grants=grants or self.grants, **claims
        )

    async def enter(self, **params: Any) -> dict[str, Any]:
        url = f"{self.running.parley.url}/v1/rtc"
        self._socket = await self.running.http.ws_connect(url, protocols=["parley.v1.json"])
        terms = await terms_of(self.running.http, self.running.parley)
        accept = {"terms_version": terms["version"], "age_18": True}
        return await self.call("join", token=self.token(), accept=accept, **params)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole answer, result or error."""
        assert self._socket is not None
        number = next(self._numbers)
        await self._socket.send_json({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        async with asyncio.timeout(10):
            while number not in self._answers:
                message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(f"closed with {self._socket.close_code}")
                value = json.loads(message.data)
                if "id" in value:
                    self._answers[value["id"]] = value
                else:
                    self.told.append((value["method"], value["params"]))
        return self._answers.pop(number)

    async def publish(self, *, session: int | None = None) -> dict[str, Any]:
        """Publish, by another peer connection when `session` says so, and connect when that is let."""
        sdp = self.offer("chromium-offer-sendonly-av")
        if session is not None:
            sdp = re.sub(r"(?m)^o=(\S+) \d+", rf"o=\1 {session}", sdp)
        answer = await self.call("publish", sdp=sdp)
        if "result" in answer:
            self.sessions = None
            sdp = answer["result"]["sdp"]
            self.line.target = self.running.target
            await self.connect(sdp)
        return answer

    async def end(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        self.line.close()


@contextlib.asynccontextmanager
async def member(
    running: Call, identity: str, grants: tuple[str, ...] = ("join", "publish", "chat")
) -> AsyncIterator[Member]:
    """Somebody inside, not publishing yet."""
    made = Member(running, identity, grants)
    try:
        answer = await made.enter()
        assert "result" in answer, answer
        yield made
    finally:
        await made.end()


class Talk:
    """Sends numbered audio from one to another, step by step."""

    def __init__(self, sender: Caller, viewer: Caller, first: int = 1_000) -> None:
        self.sender, self.viewer, self.number = sender, viewer, first

    async def step(self) -> int:
        """Send one packet; its number."""
        self.number += 1
        self.sender.send(self.sender.audio(self.number))
        await asyncio.gather(self.sender.pump(0.02), self.viewer.pump(0.02))
        return self.number

    async def until_heard(self) -> None:
        async with asyncio.timeout(5):
            while not self.viewer.heard():
                await self.step()

    async def assert_silent(self) -> None:
        """After `SOON_S` no packet that is sent comes through."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SOON_S
        while loop.time() < until:
            await self.step()
        self.viewer.received.clear()
        first = self.number + 1
        for _ in range(15):
            await self.step()
        assert [number for number in self.viewer.heard() if number >= first] == []


async def test_without_publish_an_offer_is_refused_and_packets_of_a_viewer_go_nowhere(parley: Parley) -> None:
    async with call(parley) as running, member(running, "eve", ("join", "subscribe", "chat")) as eve:
        refused = await eve.publish()
        assert refused["error"]["data"]["code"] == "forbidden"
        # By WHIP with the same token, and by the connection that she has as a viewer.
        headers = {"Authorization": f"Bearer {eve.token()}", "Content-Type": "application/sdp"}
        offer = eve.offer("chromium-offer-sendonly-av").encode()
        url = f"{parley.url}/whip/{running.room}"
        async with running.http.post(url, data=offer, headers=headers) as response:
            assert response.status == 403
        running.viewer.received.clear()
        for number in range(90_000, 90_050):
            running.viewer.send(running.viewer.audio(number))
            running.viewer.send(running.viewer.audio(number, ssrc=number))
        await running.listen(0.4)
        assert running.viewer.heard() == []
        _, page = await parley.api("GET", f"/rooms/{running.room}/participants/eve")
        assert page["tracks"] == []
        assert await running.talk(0.3) == 0


@pytest.mark.parametrize("way", ["renewal", "mute", "removal", "ban", "replacement"])
async def test_a_permission_that_ends_in_a_call_ends_its_packets(parley: Parley, way: str) -> None:
    async with call(parley) as running, member(running, "eve") as eve:
        assert "result" in await eve.publish()
        async with watching(running, "eve") as viewer:
            talk = Talk(eve, viewer)
            await talk.until_heard()
            path = f"/rooms/{running.room}/participants/eve/actions"
            match way:
                case "renewal":
                    answer = await eve.call("renew", token=eve.token(("join", "chat")))
                    assert "publish" not in answer["result"]["permissions"]
                case "mute" | "ban":
                    assert (await parley.api("POST", path, {"action": way}))[0] == 204
                case "removal":
                    assert (await parley.api("POST", path, {"action": "remove"}))[0] == 204
                case _:
                    # A second session of the identity takes the place: the first one's media ends with it.
                    async with member(running, "eve") as second:
                        await talk.assert_silent()
                        assert (await second.call("ping"))["result"]
                    return
            await talk.assert_silent()
            if way == "renewal":
                refused = await eve.call("publish", sdp=eve.offer("chromium-offer-sendonly-av"))
                assert refused["error"]["data"]["code"] == "forbidden"
            if way == "ban":
                again = Member(running, "eve", ("join", "publish"))
                assert (await again.enter())["error"]["data"]["code"] == "banned"
                await again.end()
        assert await running.talk(0.3) == 0


async def test_an_enforced_mute_is_not_lifted_by_its_owner_also_by_publishing_anew(parley: Parley) -> None:
    async with call(parley) as running, member(running, "eve") as eve:
        answer = await eve.publish()
        async with watching(running, "eve") as viewer:
            talk = Talk(eve, viewer)
            await talk.until_heard()
            path = f"/rooms/{running.room}/participants/eve/actions"
            assert (await parley.api("POST", path, {"action": "mute"}))[0] == 204
            [mic] = [track["track"] for track in answer["result"]["tracks"] if track["mid"] == "0"]
            refused = await eve.call("mute", track=mic, muted=False)
            assert refused["error"]["data"]["code"] == "forbidden"
            await talk.assert_silent()
            assert (await parley.api("POST", path, {"action": "unmute"}))[0] == 204
            viewer.received.clear()
            await talk.until_heard()
            assert (await parley.api("POST", path, {"action": "mute"}))[0] == 204
        # Another peer connection, with tracks that nobody has muted yet.
        assert "result" in await eve.publish(session=4_711)
        async with watching(running, "eve") as viewer:
            talk = Talk(eve, viewer)
            await talk.assert_silent()
            assert (await parley.api("POST", path, {"action": "unmute"}))[0] == 204
            await talk.until_heard()


async def test_a_name_like_anothers_identity_gives_nothing_of_theirs(parley: Parley) -> None:
    async with call(parley) as running:
        eve = Member(running, "eve", ("join", "publish", "chat"))
        try:
            assert "result" in await eve.enter(name="ada")
            for action in ("mute", "remove", "ban"):
                refused = await eve.call("moderate", action=action, identity="ada")
                assert refused["error"]["data"]["code"] == "forbidden"
            assert "error" in await eve.call("renew", token=running.parley.token(running.room, "ada"))
            assert "error" in await eve.call("renew", token=running.parley.token("another", "eve"))
            _, ada = await parley.api("GET", f"/rooms/{running.room}/participants/ada")
            for track in ada["tracks"]:
                refused = await eve.call("mute", track=track["track"], muted=True)
                assert refused["error"]["data"]["code"] == "not_found"
            # The identity is ada's alone: whoever watches `ada` sees the one with that token.
            assert "result" in await eve.publish()
            for number in range(80_000, 80_030):
                eve.send(eve.audio(number))
                await eve.pump(0.01)
            assert await running.talk(0.5) == 0
            assert not {number for number in running.viewer.heard() if number >= 80_000}
        finally:
            await eve.end()


async def test_another_rooms_token_gets_no_packet_of_this_one(parley: Parley) -> None:
    async with call(parley) as running:
        eve = Caller()
        token = parley.token("elsewhere", "eve", grants=("join", "subscribe", "publish"))
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        offer = eve.offer("chromium-offer-recvonly-av").encode()
        for path in (f"/whep/{running.room}/ada", f"/whep/{running.room}", f"/whip/{running.room}"):
            async with running.http.post(f"{parley.url}{path}", data=offer, headers=headers) as response:
                assert response.status == 403, path
        resource = running.viewer.resource
        for method in ("PATCH", "DELETE"):
            async with running.http.request(
                method,
                f"{parley.url}{resource}",
                headers={"Authorization": f"Bearer {token}", "If-Match": "*"}
                | {"Content-Type": "application/trickle-ice-sdpfrag"},
                data=b"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n",
            ) as response:
                assert response.status in {403, 404}, method
        assert await running.talk(0.4) == 0
        eve.line.close()
