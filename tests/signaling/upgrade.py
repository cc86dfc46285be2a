"""A WebSocket upgrade as bytes, with whatever headers a test wants."""

import asyncio

from tests.signaling.rig import Rig

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "parley.v1.json",
}


async def upgrade(house: Rig, **headers: str) -> int:
    """The status of a raw upgrade request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (UPGRADE | headers).items())
    host = "" if "Host" in headers else f"Host: 127.0.0.1:{house.listener.port}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
    try:
        writer.write(f"GET /v1/rtc HTTP/1.1\r\n{host}{lines}\r\n".encode())
        answer = await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.transport.abort()
    return int(answer.split()[1])
