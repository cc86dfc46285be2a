"""Invitations: one link for many people, each with an identity of their own."""

import re

import pytest

from signaling.rest import BASE
from tests.signaling.rig import HOST, RpcError, rig


async def test_an_invitation_gives_each_who_opens_it_an_identity_of_their_own() -> None:
    async with rig() as house:
        host = house.bearer("host", permissions=HOST)
        status, made = await house.request("POST", f"{BASE}/rooms/demo/invitations", json={}, headers=host)
        assert (status, made["join_url"]) == (201, f"{house.url}/r/demo#token={made['token']}")
        invited = {"Authorization": f"Bearer {made['token']}"}
        guests = []
        for _ in range(2):
            status, guest = await house.request("POST", f"{BASE}/rooms/demo/guests", headers=invited)
            assert status == 201, guest
            assert re.fullmatch("guest-[0-9a-f]{8}", guest["identity"])
            assert guest["expires_at"] <= made["expires_at"]
            guests.append(await house.join(guest["identity"], token=guest["token"]))
        assert guests[0].result["identity"] != guests[1].result["identity"]
        assert guests[0].result["permissions"] == ["chat", "join", "publish", "subscribe"]


async def test_an_invitation_serves_for_nothing_else_and_no_other_room() -> None:
    async with rig() as house:
        host = house.bearer("host", permissions=HOST)
        _, made = await house.request("POST", f"{BASE}/rooms/demo/invitations", json={}, headers=host)
        invited = {"Authorization": f"Bearer {made['token']}"}
        with pytest.raises(RpcError) as refused:
            await house.join("guest", token=made["token"])
        assert refused.value.code == "forbidden"
        for method, path, headers in (
            ("GET", "/rooms/demo/door", invited),
            ("POST", "/rooms/other/guests", invited),
            ("POST", "/rooms/demo/guests", host),
            ("POST", "/rooms/demo/guests", house.admin()),
            ("POST", "/rooms/other/invitations", host),
            ("POST", "/rooms/demo/invitations", house.bearer()),
        ):
            body = {} if path.endswith("invitations") else None
            status, problem = await house.request(method, BASE + path, json=body, headers=headers)
            assert (status, problem["code"]) == (403, "forbidden"), path
        assert (await house.request("POST", f"{BASE}/rooms/demo/guests"))[0] == 401


async def test_an_invitation_lives_no_longer_than_its_makers_token() -> None:
    async with rig() as house:
        host = house.bearer("host", permissions=HOST, ttl_s=60)
        _, made = await house.request(
            "POST", f"{BASE}/rooms/demo/invitations", json={"ttl_s": 3600}, headers=host
        )
        _, forever = await house.request(
            "POST", f"{BASE}/rooms/demo/invitations", json={"ttl_s": 3600}, headers=house.admin()
        )
        assert forever["expires_at"] - made["expires_at"] > 3000


async def test_an_api_key_makes_an_invitation_with_grants_of_its_choice() -> None:
    async with rig() as house:
        body = {"identity": "viewer", "room": "demo", "grants": ["join", "subscribe"], "guests": True}
        status, made = await house.request("POST", f"{BASE}/tokens", json=body, headers=house.admin())
        assert status == 201
        invited = {"Authorization": f"Bearer {made['token']}"}
        _, guest = await house.request("POST", f"{BASE}/rooms/demo/guests", headers=invited)
        assert guest["identity"].startswith("viewer-")
        joined = await house.join(guest["identity"], token=guest["token"])
        assert joined.result["permissions"] == ["join", "subscribe"]
