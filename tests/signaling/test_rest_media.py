"""Recordings, destinations and broadcasts over REST."""

from pathlib import Path

import pytest

from policy import Permission
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
        assert (await house.request("DELETE", path, headers=own))[0] == 409
        assert (await house.request("POST", f"{path}/stop", headers=own))[1]["state"] == "finished"
        _, files = await house.get(f"{path}/files", headers=own)
        url = files["items"][0]["url"]
        async with house.http.get(house.url + url, headers=own | {"Range": "bytes=2-4"}) as response:
            assert (response.status, await response.read()) == (206, b"234")
            assert response.headers["Content-Disposition"].startswith("attachment")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
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
        assert started["hls_url"].startswith(f"/live/{started['broadcast']}/index.m3u8?expires=")
        assert await client.call("broadcast_stop", broadcast=started["broadcast"]) == {}
        with pytest.raises(RpcError) as refused:
            await client.call("broadcast_start", destinations=["dst_none"])
        assert refused.value.code == "not_found"
        elsewhere = await house.join("host", room="other", permissions=HOST)
        with pytest.raises(RpcError) as refused:
            await elsewhere.call("broadcast_stop", broadcast=started["broadcast"])
        assert refused.value.code == "not_found"


async def test_recording_over_the_websocket_is_bound_to_the_room(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        host = await house.join("host", permissions=HOST)
        other = await house.join("host", room="other", permissions=HOST)
        started = await host.call("record_start")
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
