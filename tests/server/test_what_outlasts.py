"""What outlasts a room and an API key: recordings do, for whoever has rights to them; tokens do not."""

import asyncio

import aiohttp
import pytest

from bench.rpc import CallRefused, Rpc
from tests.browser.parley import serve

pytestmark = pytest.mark.slow
HOST = ("join", "publish", "subscribe", "chat", "record")
ROOM, OTHER = "hall", "attic"


class As:
    """Calls of the API with one token."""

    def __init__(self, http, parley, token):
        self._http, self._url = http, f"{parley.url}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def __call__(self, method, path, body=None):
        request = self._http.request(method, self._url + path, json=body, headers=self._headers)
        async with request as response:
            return response.status, (await response.json() if "json" in response.content_type else None)


async def join(http, parley, token, **more):
    """What a join is answered; the connection is closed behind it."""
    rpc = await Rpc.open(http, parley.url)

    async def listen():
        async for _ in rpc.notifications():
            pass
        rpc.end()

    listening = asyncio.create_task(listen())
    try:
        return await rpc.call("join", {"token": token, "client": {"name": "test"}, **more})
    finally:
        await rpc.close()
        await listening


async def test_recordings_of_a_deleted_room_are_there_for_whoever_has_rights_to_them(tmp_path):
    async with serve(tmp_path / "data") as parley, aiohttp.ClientSession() as http:
        assert (await parley.api("POST", "/rooms", {"name": ROOM}))[0] == 201
        host = As(http, parley, parley.token(ROOM, "host", grants=HOST))
        _, recording = await host("POST", "/recordings", {"room": ROOM})
        path = f"/recordings/{recording['id']}"
        assert (await parley.api("DELETE", f"/rooms/{ROOM}"))[0] == 204
        assert (await host("POST", f"{path}/stop"))[1]["state"] == "finished"
        assert (await host("GET", path))[1]["reason"] == "room_closed"
        assert [item["id"] for item in (await host("GET", "/recordings"))[1]["items"]] == [recording["id"]]
        files = (await host("GET", f"{path}/files"))[1]["items"]
        assert "events.jsonl" in [file["name"] for file in files]
        stranger = As(http, parley, parley.token(OTHER, "host", grants=HOST))
        guest = As(http, parley, parley.token(ROOM, "guest"))
        assert (await stranger("GET", path))[0] == 404
        assert (await stranger("GET", "/recordings"))[1]["items"] == []
        assert (await guest("GET", path))[0] == 403
        assert (await host("DELETE", path))[0] == 204
        assert (await host("GET", path))[0] == 404
        assert not list((parley.data_dir / "blobs" / "recordings").iterdir())


async def test_a_key_that_is_taken_away_opens_nothing_any_more_and_recordings_stay(tmp_path):
    data = tmp_path / "data"
    async with aiohttp.ClientSession() as http:
        async with serve(data) as parley:
            tokens = {"host": parley.token(ROOM, "host", grants=HOST)}
            tokens["admin"] = parley.token(ROOM, "root", grants=("admin",))
            await parley.api("POST", "/rooms", {"name": ROOM})
            host = As(http, parley, tokens["host"])
            _, recording = await host("POST", "/recordings", {"room": ROOM})
            path = f"/recordings/{recording['id']}"
            await host("POST", f"{path}/stop")
            assert (await host("GET", path))[0] == 200
            tokens["viewer"] = (await host("POST", f"{path}/links", {"ttl_s": 600}))[1]["token"]
            assert (await As(http, parley, tokens["viewer"])("GET", path))[0] == 200
            answer = await join(http, parley, tokens["host"])
        (data / "dev-key.json").unlink()
        async with serve(data) as parley:
            for name, token in tokens.items():
                assert (await As(http, parley, token)("GET", path))[0] == 401, name
            for more in ({}, {"resume": answer["resume"]}):
                with pytest.raises(CallRefused, match="key id is not known"):
                    await join(http, parley, tokens["host"], **more)
            assert (await parley.api("GET", path))[1]["state"] == "finished"
            host = As(http, parley, parley.token(ROOM, "host", grants=HOST))
            assert (await host("GET", path))[0] == 200
