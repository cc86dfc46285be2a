"""Rooms and tokens over REST."""

import time

import pytest

from policy import DEFAULT_TERMS, Permission
from signaling.rest import BASE
from tests.signaling.rig import rig


async def test_a_room_is_made_changed_and_closed() -> None:
    async with rig() as house:
        admin = house.admin()
        body = {"name": "hall", "mode": "explicit", "max_participants": 5, "uses": ["record"]}
        status, room = await house.request("POST", f"{BASE}/rooms", json=body, headers=admin)
        assert status == 201
        assert room["settings"]["mode"] == "explicit"
        assert room["settings"]["uses"] == ["record"]
        assert (await house.request("POST", f"{BASE}/rooms", json=body, headers=admin))[0] == 409
        status, room = await house.request("PATCH", f"{BASE}/rooms/hall", json={"chat": False}, headers=admin)
        assert (status, room["settings"]["chat"], room["settings"]["mode"]) == (200, False, "explicit")
        assert (await house.request("DELETE", f"{BASE}/rooms/hall", headers=admin))[0] == 204
        assert (await house.request("DELETE", f"{BASE}/rooms/hall", headers=admin))[0] == 404
        assert (await house.request("PATCH", f"{BASE}/rooms/hall", json={}, headers=admin))[0] == 404


async def test_rooms_come_in_pages() -> None:
    async with rig() as house:
        admin = house.admin()
        for name in ("c", "a", "b"):
            await house.request("POST", f"{BASE}/rooms", json={"name": name}, headers=admin)
        status, page = await house.get(f"{BASE}/rooms?limit=2", headers=admin)
        assert ([room["name"] for room in page["items"]], page["next"]) == (["a", "b"], "b")
        _, page = await house.get(f"{BASE}/rooms?limit=2&after=b", headers=admin)
        assert ([room["name"] for room in page["items"]], page["next"]) == (["c"], None)
        for limit in ("0", "201", "-1", "x", "9" * 30, "1e2"):
            status, _ = await house.get(f"{BASE}/rooms?limit={limit}", headers=admin)
            assert status == 422


async def test_a_moderator_sees_and_acts_in_the_own_room_only() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        await house.join("ada", room="other")
        moderator = house.bearer("mod", permissions=(Permission.MODERATE,))
        assert (await house.get(f"{BASE}/rooms/demo/participants", headers=moderator))[0] == 200
        assert (await house.get(f"{BASE}/rooms/other/participants", headers=moderator))[0] == 403
        assert (await house.get(f"{BASE}/rooms", headers=moderator))[0] == 403
        path = f"{BASE}/rooms/demo/participants/ada/actions"
        status, _ = await house.request("POST", path, json={"action": "remove"}, headers=moderator)
        assert status == 204
        assert (await ada.hears("removed"))["reason"] == "removed"
        status, _ = await house.request("POST", path, json={"action": "remove"}, headers=moderator)
        assert status == 404
        recorder = house.bearer("rec", permissions=(Permission.RECORD,))
        assert (await house.request("POST", path, json={"action": "remove"}, headers=recorder))[0] == 403


async def test_the_door_tells_what_a_join_will_ask() -> None:
    async with rig() as house:
        await house.request(
            "POST",
            f"{BASE}/rooms",
            json={"name": "hall", "mode": "explicit", "uses": ["live"]},
            headers=house.admin(),
        )
        status, door = await house.get(f"{BASE}/rooms/hall/door", headers=house.bearer(room="hall"))
        assert status == 200
        assert (door["mode"], door["uses"], door["ask_name"]) == ("explicit", ["live"], True)
        assert door["terms"]["version"] == DEFAULT_TERMS.version
        assert door["terms"]["age_statement"]
        _, door = await house.get(f"{BASE}/rooms/new/door", headers=house.bearer(room="new", name="Ada"))
        assert door["ask_name"] is False
        assert house.services.rooms.room("new") is None


async def test_a_minted_token_joins_and_its_link_keeps_it_in_the_fragment() -> None:
    async with rig() as house:
        body = {"identity": "bo", "room": "demo", "grants": ["join", "chat"], "ttl_s": 60, "uses": ["live"]}
        status, made = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert status == 201
        assert made["join_url"] == f"{house.url}/r/demo#token={made['token']}"
        assert abs(made["expires_at"] - time.time() - 60) < 5
        bo = await house.join("bo", token=made["token"], accept=None)
        assert bo.result["permissions"] == ["chat", "join"]
        assert bo.result["terms"]["accepted"] is True
        assert bo.result["consent"]["live"] == "granted"
        assert bo.result["consent"]["record"] != "granted"
        body |= {"external": True}
        _, made = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert made["join_url"].startswith(f"{house.url}/embed/demo#token=")


@pytest.mark.parametrize(
    "changes",
    [
        {"ttl_s": 90_000},
        {"ttl_s": 0},
        {"grants": ["root"]},
        {"grants": []},
        {"room": None},
        {"room": "../x"},
        {"identity": ""},
        {"identity": "a\nb"},
        {"name": "\u202e"},
    ],
)
async def test_a_token_that_would_not_be_accepted_is_not_minted(changes: dict[str, object]) -> None:
    async with rig() as house:
        body = {"identity": "bo", "room": "demo", "grants": ["join"]} | changes
        status, problem = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert status == 422, problem
