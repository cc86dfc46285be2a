"""How a connection to a site ends when one of both goes away without a word."""

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import pytest

from bench.studio.rtmp_site import RtmpSite
from rebroadcast.worker.link import Address, LinkError
from rebroadcast.worker.rtmp import RtmpTarget
from rebroadcast.worker.rtmp.client import RtmpConnection

PUBLISHER = """
import asyncio, os, signal, sys, time
from rebroadcast.worker.rtmp import RtmpTarget
from rebroadcast.worker.link import Address
from rebroadcast.worker.rtmp.client import RtmpConnection

async def main(port):
    target = RtmpTarget.parse(f"rtmp://127.0.0.1:{port}/live/key")
    connection = await RtmpConnection.open(target, Address("127.0.0.1", port), clock=time.monotonic)
    print("open", flush=True)
    sys.stdin.readline()
    for index in range(20):
        connection.send_video(b"\\x27\\x01\\0\\0\\0" + bytes(60_000), index)
    await asyncio.sleep(0.2)
    print("sent", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(int(sys.argv[1])))
"""


def unsent_to(port):
    """Bytes that the kernel would still send to that port of this machine, by any socket."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[0], 16) for row in rows if int(row[2].split(":")[1], 16) == port)


async def test_what_the_kernel_holds_of_a_killed_process_is_not_sent(tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUBLISHER, str(server.port), stdin=-1, stdout=-1, cwd=Path.cwd()
    )
    try:
        assert await process.stdout.readline() == b"open\n"
        server.freeze()
        process.stdin.write(b"go\n")
        assert await process.stdout.readline() == b"sent\n"
        assert await process.wait() == -signal.SIGKILL
        assert unsent_to(server.port) == 0
    finally:
        server.thaw()
        process.stdin.close()
        process._transport.close()
        await server.stop()


@pytest.mark.parametrize("after_bytes", [0, 1537, 3073])
async def test_a_site_that_resets_during_the_handshake_is_an_error_of_its_own(after_bytes):
    async def reset(reader, writer):
        if after_bytes:
            await reader.readexactly(min(after_bytes, 1537))
            writer.write(b"\x03" + os.urandom(after_bytes - 1))
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    listener = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    target = RtmpTarget.parse(f"rtmp://127.0.0.1:{port}/live/key")
    with pytest.raises(LinkError):
        await RtmpConnection.open(target, Address("127.0.0.1", port), clock=time.monotonic)
    listener.close()
    await listener.wait_closed()


async def test_a_site_that_stops_reading_holds_no_polite_end_up(tmp_path):
    server = RtmpSite(tmp_path)
    await server.start()
    try:
        target = RtmpTarget.parse(f"rtmp://127.0.0.1:{server.port}/live/key")
        connection = await RtmpConnection.open(
            target, Address("127.0.0.1", server.port), clock=time.monotonic
        )
        server.freeze()
        for index in range(400):
            connection.send_video(b"\x27\x01\0\0\0" + bytes(60_000), index)
        began = time.monotonic()
        await connection.aclose()
        assert time.monotonic() - began < 4.0
        assert unsent_to(server.port) == 0
    finally:
        server.thaw()
        await server.stop()
