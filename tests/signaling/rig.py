"""The real application on a loopback port, over a real room service on the engine in memory."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from policy import DEFAULT_TERMS, Permission, RoomSettings, Use
from rooms import RoomsConfig, RoomService
from server.listen import Doorkeeper, Listener
from sfu import MediaConfig, MediaPlane
from sfu.engine.fake import FakeEngine
from signaling import (
    ApiKey,
    KeyRing,
    Services,
    SignalingConfig,
    VouchedTerms,
    create_app,
    mint,
)
from signaling.wire import Encoding
from store import Store, StoreConfig

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "fixtures" / "sdp"
KEY = ApiKey("app", "k4naryk4naryk4nary-k4naryk4naryk4nary-secret")
PERSON = (Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT)
HOST = (*PERSON, Permission.MODERATE, Permission.RECORD, Permission.BROADCAST)
ACCEPT = {"terms_version": DEFAULT_TERMS.version, "age_18": True}
VOUCHED = VouchedTerms(DEFAULT_TERMS.version, frozenset({Use("live"), Use("record"), Use("replay")}))
MEDIA = MediaConfig(
    addresses=("127.0.0.1",), port=0, gate_slots=4096, join_timeout_s=600, answer_timeout_s=600
)

NEW_TERMS = {
    "version": "2027-01",
    "title": "New terms",
    "paragraphs": ["One."],
    "age_statement": "I am 18.",
    "uses": [{"use": "live", "title": "Live", "text": "Live.", "media": ["audio"]}],
    "effective_ms": 4_000_000_000_000,
    "material": True,
}
"""A version of the terms to publish."""

_sdp_sessions = itertools.count(1_000)


async def until(condition: Callable[[], object], what: str = "condition", patience_s: float = 5.0) -> None:
    """Poll a condition; fails the test when it does not come true in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


def offer(capture: str = "chromium-offer-sendonly-av") -> str:
    """A captured offer as of a new peer connection."""
    sdp = (CAPTURES / f"{capture}.txt").read_text().replace("\r\n", "\n").replace("\n", "\r\n")
    return re.sub(r"(?m)^o=(\S+) \d+", rf"o=\1 {next(_sdp_sessions)}", sdp, count=1)


class RpcError(Exception):
    """A JSON-RPC error that the server answered."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.number: int = error["code"]
        self.data: dict[str, Any] = error.get("data") or {}
        self.code: str | None = self.data.get("code")


class Client:
    """One WebSocket of the protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, encoding: Encoding) -> None:
        self.socket = socket
        self.encoding = encoding
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.result: dict[str, Any] = {}
        self.close_code: int | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[object, dict[str, Any]] = {}
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                break
            data = message.data.encode() if isinstance(message.data, str) else message.data
            value: Any = self.encoding.decode(data)
            if "method" in value:
                self.told.append((value["method"], value["params"]))
            else:
                self._answers[value["id"]] = value
        self.close_code = self.socket.close_code

    async def send(self, value: object) -> None:
        data = self.encoding.encode(value)
        if self.encoding is Encoding.JSON:
            await self.socket.send_str(data.decode())
        else:
            await self.socket.send_bytes(data)

    async def answer(self, number: object, patience_s: float = 10.0) -> dict[str, Any]:
        await until(lambda: number in self._answers, f"answer {number}", patience_s)
        value = self._answers.pop(number)
        if "error" in value:
            raise RpcError(value["error"])
        result: dict[str, Any] = value["result"]
        return result

    async def call(self, method: str, patience_s: float = 10.0, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return await self.answer(number, patience_s)

    async def hears(self, method: str, **wanted: Any) -> dict[str, Any]:
        """The first notification of that name whose params hold `wanted`; it is taken out."""

        def found() -> int | None:
            for index, (name, params) in enumerate(self.told):
                if name == method and wanted.items() <= params.items():
                    return index
            return None

        await until(lambda: found() is not None, f"{method} {wanted}, only {[name for name, _ in self.told]}")
        index = found()
        assert index is not None
        return self.told.pop(index)[1]

    async def ends(self, patience_s: float = 5.0) -> int | None:
        """The close code, once the server closed."""
        await until(self._reading.done, "close", patience_s)
        self._reading.result()
        return self.close_code

    async def close(self) -> None:
        await self.socket.close()
        await asyncio.wait({self._reading})

    def drop(self) -> None:
        """Cut the connection without a word."""
        transport = self.socket._response.connection.transport
        transport.abort()


class Rig:
    """The application with what it stands on."""

    def __init__(
        self, listener: Listener, services: Services, http: aiohttp.ClientSession, plane: MediaPlane
    ) -> None:
        self.listener = listener
        self.services = services
        self.http = http
        self.plane = plane
        self.url = f"http://127.0.0.1:{listener.port}"
        self.clients: list[Client] = []

    def token(
        self,
        identity: str = "ada",
        *,
        room: str | None = "demo",
        permissions: tuple[Permission, ...] = PERSON,
        ttl_s: int = 600,
        **more: Any,
    ) -> str:
        return mint(
            KEY, identity=identity, room=room, permissions=permissions, now=time.time(), ttl_s=ttl_s, **more
        )

    def bearer(self, identity: str = "ada", **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(identity, **more)}"}

    def admin(self) -> dict[str, str]:
        return self.bearer("root", room=None, permissions=(Permission.ADMIN,))

    async def connect(self, encoding: Encoding = Encoding.JSON, **options: Any) -> Client:
        socket = await self.http.ws_connect(f"{self.url}/v1/rtc", protocols=[encoding.value], **options)
        client = Client(socket, encoding)
        self.clients.append(client)
        return client

    async def join(
        self,
        identity: str = "ada",
        *,
        encoding: Encoding = Encoding.JSON,
        token: str | None = None,
        permissions: tuple[Permission, ...] = PERSON,
        room: str = "demo",
        **params: Any,
    ) -> Client:
        client = await self.connect(encoding)
        token = token or self.token(identity, room=room, permissions=permissions)
        client.result = await client.call("join", token=token, **({"accept": ACCEPT} | params))
        return client

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.request("GET", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, **options) as response:
            text = await response.text()
            is_json = "json" in response.content_type
            return response.status, (await response.json(content_type=None) if is_json and text else text)


@asynccontextmanager
async def rig(
    *,
    settings: RoomSettings | None = None,
    recorder: Any = None,
    broadcasts: Any = None,
    hls: Any = None,
    takedowns: Any = None,
    doorkeeper: Doorkeeper | None = None,
    engine: Any = FakeEngine,
    media: MediaConfig = MEDIA,
    **changes: Any,
) -> AsyncIterator[Rig]:
    """A running application; `changes` are fields of `SignalingConfig`."""
    store = await Store.open(StoreConfig(data_dir=None))
    plane = await MediaPlane.start(media, engine=engine)
    config = RoomsConfig() if settings is None else RoomsConfig(defaults=settings)
    rooms = await RoomService.start(plane, store, config)
    services = Services(
        rooms=rooms,
        keys=KeyRing([KEY]),
        store=store,
        recorder=recorder,
        broadcasts=broadcasts,
        hls=hls,
        takedowns=takedowns,
    )
    base = SignalingConfig(web_root=ROOT / "web", hls_secret=b"h" * 32)
    app = create_app(services, replace(base, **changes))
    listener = await Listener.open(app, "127.0.0.1", 0, doorkeeper=doorkeeper)
    http = aiohttp.ClientSession()
    made = Rig(listener, services, http, plane)
    try:
        yield made
    finally:
        for client in made.clients:
            await client.close()
        await http.close()
        await listener.close()
        await rooms.close()
        await plane.close()
        await store.close()
