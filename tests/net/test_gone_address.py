"""An address that the machine had when the server started, and loses: who is beside the server is served."""

import aiohttp
import pytest

from bench.studio.peer import RtpPeer
from tests.attacks.call import terms_of
from tests.browser.parley import serve
from tests.net.namespace import MACHINE

pytestmark = pytest.mark.slow

_GONE = "10.0.78.1"
"""By its number before those of other tests, and before 127.0.0.1."""


async def test_a_publisher_of_one_address_reaches_a_server_whose_network_went(tmp_path):
    MACHINE.ip("addr", "add", f"{_GONE}/32", "dev", "lo")
    is_there = True
    try:
        async with serve(tmp_path / "data") as parley, aiohttp.ClientSession() as http:
            MACHINE.ip("addr", "del", f"{_GONE}/32", "dev", "lo")
            is_there = False
            await parley.api("POST", "/rooms", {"name": "room"})
            token = parley.token("room", "ada", grants=("publish",), terms=await terms_of(http, parley))
            peer = RtpPeer(f"{parley.url}/whip/room", token)
            try:
                await peer.connect(http)
            finally:
                await peer.close()
    finally:
        if is_there:
            MACHINE.ip("addr", "del", f"{_GONE}/32", "dev", "lo")
