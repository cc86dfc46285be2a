"""Who asks too often is told when to come back, at every entry, and nobody else is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from signaling import Rate
from tests.signaling.rig import Rig, rig
from tests.signaling.upgrade import UPGRADE

ENTRIES = {
    "REST": ("GET", "/api/v1/rooms"),
    "WHIP": ("POST", "/whip/demo"),
    "WHEP": ("POST", "/whep/demo"),
    "WebSocket": ("GET", "/v1/rtc"),
}
ONCE_IN_TEN_SECONDS = Rate(per_s=0.1, burst=2)


@asynccontextmanager
async def neighbour() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody at another address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http


async def asked(house: Rig, http: aiohttp.ClientSession, entry: str, token: str) -> tuple[int, str | None]:
    """What an entry answers: status and `Retry-After`."""
    method, path = ENTRIES[entry]
    headers = {"Authorization": f"Bearer {token}"} | (UPGRADE if entry == "WebSocket" else {})
    async with http.request(method, house.url + path, headers=headers) as response:
        return response.status, response.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("limit", "entry"),
    [
        *(("requests", entry) for entry in ENTRIES),
        *(("joins", entry) for entry in ("WHIP", "WHEP", "WebSocket")),
        *(("failures", entry) for entry in ("REST", "WHIP", "WHEP")),
    ],
)
async def test_who_asks_too_often_is_told_when_to_come_back(limit: str, entry: str) -> None:
    async with rig(**{limit: ONCE_IN_TEN_SECONDS}) as house, neighbour() as other:
        token = "nonsense" if limit == "failures" else house.token(permissions=())
        for _ in range(2):
            status, wait = await asked(house, house.http, entry, token)
            assert (status == 429, wait) == (False, None)
        for _ in range(2):
            status, wait = await asked(house, house.http, entry, token)
            assert status == 429
            assert wait is not None
            assert 1 <= int(wait) <= 10
        status, wait = await asked(house, other, entry, token)
        assert (status == 429, wait) == (False, None)


async def test_a_refused_join_over_the_websocket_is_told_when_to_come_back() -> None:
    async with rig(failures=ONCE_IN_TEN_SECONDS) as house, neighbour() as other:

        async def join(http: aiohttp.ClientSession) -> dict[str, object]:
            async with http.ws_connect(f"{house.url}/v1/rtc", protocols=["parley.v1.json"]) as socket:
                params = {"token": "nonsense"}
                await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": params})
                data: dict[str, object] = (await socket.receive_json(timeout=5))["error"]["data"]
                return data

        assert [(await join(house.http))["code"] for _ in range(2)] == ["unauthorized"] * 2
        refused = await join(house.http)
        assert refused["code"] == "rate_limited"
        assert 1 <= refused["retry_after_s"] <= 10
        assert (await join(other))["code"] == "unauthorized"


async def test_who_waits_as_told_is_served() -> None:
    async with rig(requests=Rate(per_s=0.5, burst=2)) as house:
        token = house.token()
        answers = [await asked(house, house.http, "REST", token) for _ in range(3)]
        assert [status for status, _ in answers] == [403, 403, 429]
        assert answers[-1][1] in {"1", "2"}
        await asyncio.sleep(float(answers[-1][1]))
        assert await asked(house, house.http, "REST", token) == (403, None)
