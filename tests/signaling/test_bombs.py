"""Messages that are small on the wire and large in memory (rows 32, 33)."""

import asyncio
import struct
import time
import zlib

import aiohttp
import pytest

from signaling import Rate
from signaling.wire import MAX_MESSAGE_BYTES, Encoding
from tests.signaling.rig import Rig, rig
from tests.signaling.test_wire import JSON_BOMBS, MSGPACK_BOMBS
from tests.signaling.upgrade import UPGRADE


@pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())
async def test_a_bomb_closes_its_connection_with_a_code_and_hurts_nobody(encoding: Encoding) -> None:
    is_json = encoding is Encoding.JSON
    kind = aiohttp.WSMsgType.TEXT if is_json else aiohttp.WSMsgType.BINARY
    async with rig(joins=Rate(1e6, 1e6)) as house:
        ada = await house.join("ada")
        for name, bomb in (JSON_BOMBS if is_json else MSGPACK_BOMBS).items():
            socket = await house.http.ws_connect(
                f"{house.url}/v1/rtc", protocols=[encoding.value], max_msg_size=0
            )
            started = time.monotonic()
            await socket._writer.send_frame(bomb, kind)
            async for _ in socket:
                pass
            assert socket.close_code in {1007, 1009}, name
            assert time.monotonic() - started < 2.0, name
            assert (await ada.call("ping"))["now_ms"]


def _frame(payload: bytes, first: int) -> bytes:
    """A masked client frame with a mask of zeros."""
    if len(payload) < 126:
        head = struct.pack(">BB", first, 0x80 | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, len(payload))
    return head + b"\0\0\0\0" + payload


async def _raw_socket(
    house: Rig, extensions: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
    headers = UPGRADE | {"Host": f"127.0.0.1:{house.listener.port}"}
    if extensions:
        headers["Sec-WebSocket-Extensions"] = extensions
    writer.write(
        b"GET /v1/rtc HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return reader, writer, answer


async def test_a_deflate_bomb_finds_no_decompressor() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(50 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    async with rig() as house:
        reader, writer, answer = await _raw_socket(house, "permessage-deflate")
        try:
            assert b"permessage-deflate" not in answer
            started = time.monotonic()
            writer.write(_frame(bomb[:-4], 0xC1))
            closing = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert closing[:1] == b"\x88"
        assert struct.unpack(">H", closing[2:4])[0] in {1002, 1009}
        assert time.monotonic() - started < 2.0


async def test_a_message_over_the_limit_is_closed_with_its_code() -> None:
    async with rig() as house:
        socket = await house.http.ws_connect(f"{house.url}/v1/rtc", protocols=["parley.v1.json"])
        await socket.send_str(" " * (MAX_MESSAGE_BYTES + 1))
        async for _ in socket:
            pass
        assert socket.close_code == 1009


async def test_a_frame_that_claims_exabytes_is_closed() -> None:
    async with rig() as house:
        reader, writer, _ = await _raw_socket(house)
        try:
            writer.write(struct.pack(">BBQ", 0x81, 0x80 | 127, 1 << 62) + b"\0\0\0\0" + b"x" * 1_000)
            closing = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert struct.unpack(">H", closing[2:4])[0] in {1002, 1009}
