"""Terms, the ledger and withdrawals over REST."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from policy import DEFAULT_TERMS, RECORD, Permission
from rooms import Cut
from signaling.rest import BASE
from store import Head, LedgerKind, LedgerReport, LedgerRow
from tests.signaling.rig import NEW_TERMS, Rig, rig
from tests.signaling.services import everything


async def test_terms_are_public_and_published_ones_do_not_change() -> None:
    async with rig() as house:
        status, terms = await house.get(f"{BASE}/terms")
        assert (status, terms["version"]) == (200, DEFAULT_TERMS.version)
        assert terms["text"]
        assert {use["use"] for use in terms["uses"]} == {"live", "record", "replay"}
        assert (await house.request("POST", f"{BASE}/terms", json=NEW_TERMS, headers=house.admin()))[0] == 201
        assert (await house.request("POST", f"{BASE}/terms", json=NEW_TERMS, headers=house.admin()))[0] == 409
        assert (await house.get(f"{BASE}/terms/2027-01"))[1]["title"] == "New terms"
        assert (await house.get(f"{BASE}/terms"))[1]["version"] == DEFAULT_TERMS.version
        assert (await house.get(f"{BASE}/terms/none"))[0] == 404
        bad = NEW_TERMS | {"version": "../x"}
        assert (await house.request("POST", f"{BASE}/terms", json=bad, headers=house.admin()))[0] == 422


async def test_the_ledger_holds_no_name(tmp_path: Path) -> None:
    async with rig() as house:
        ada = await house.join("canary-identity", name="Canary Name")
        await ada.call("consent", uses={"record": False})
        _, page = await house.get(f"{BASE}/consents?room=demo", headers=house.admin())
        assert page["items"]
        text = str(page)
        assert "anary" not in text
        assert [item["seq"] for item in page["items"]] == sorted(item["seq"] for item in page["items"])
        _, first = await house.get(f"{BASE}/consents?limit=1", headers=house.admin())
        _, second = await house.get(f"{BASE}/consents?limit=1&after={first['next']}", headers=house.admin())
        assert second["items"][0]["seq"] == first["items"][0]["seq"] + 1
        assert (await house.get(f"{BASE}/consents?room=none", headers=house.admin()))[1]["items"] == []


# Withdrawal.


WITHDRAWALS = f"{BASE}/consents/withdrawals"


async def recorded(house: Rig, *people: str, room: str = "demo") -> str:
    """The id of a recording of the room, once these people have joined it."""
    for person in people:
        await house.join(person, room=room)
    status, made = await house.request(
        "POST", f"{BASE}/recordings", json={"room": room}, headers=house.admin()
    )
    assert status == 201
    return str(made["id"])


async def withdrawn(house: Rig) -> list[LedgerRow]:
    return list(await house.services.store.ledger.rows(kind=LedgerKind.WITHDRAWN))


async def test_everybody_withdraws_their_own_in_the_room_of_their_token(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        recording = await recorded(house, "ada", "bo")
        status, answer = await house.request("POST", WITHDRAWALS, json={}, headers=house.bearer("ada"))
        assert (status, answer["recordings"]) == (202, [recording])
        store = house.services.store
        room = await store.rooms.get("demo")
        assert room is not None
        [row] = await withdrawn(house)
        assert (row.person, row.room, row.activity) == (await store.persons.find("ada"), room.id, "")
        assert row.at_ms == answer["at_ms"]
        # The same in other words, and of one recording; also by who may do nothing but publish.
        named = {"identity": "ada", "room": "demo", "recording": recording}
        publisher = house.bearer("ada", permissions=(Permission.PUBLISH,))
        assert (await house.request("POST", WITHDRAWALS, json=named, headers=publisher))[0] == 202
        assert (await withdrawn(house))[1].activity == recording
        assert (await store.ledger.verify()).is_verified


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        ({"identity": "bo"}, {}, 403),
        ({"room": "other"}, {}, 403),
        ({}, {"is_external": True}, 403),
        ({}, {"permissions": (Permission.SUBSCRIBE, Permission.MODERATE)}, 403),
        ({"recording": "rec_none"}, {}, 404),
        ({}, {"identity": "nobody"}, 404),
        ({}, {"room": "never-was"}, 404),
        ({"recording": "../x"}, {}, 422),
        ({"identity": 7}, {}, 422),
    ],
)
async def test_nobody_withdraws_what_is_not_theirs(
    tmp_path: Path, body: dict[str, object], token: dict[str, Any], status: int
) -> None:
    async with everything(tmp_path) as house:
        await recorded(house, "ada", "bo")
        await recorded(house, "ada", room="other")
        headers = house.bearer(**({"identity": "ada"} | token))
        answered, problem = await house.request("POST", WITHDRAWALS, json=body, headers=headers)
        assert answered == status, problem
        assert await withdrawn(house) == []


async def test_an_administrator_withdraws_on_behalf_of_somebody_everywhere_or_somewhere(
    tmp_path: Path,
) -> None:
    async with everything(tmp_path) as house:
        first, second = await recorded(house, "ada"), await recorded(house, "ada", room="other")
        admin = house.admin()
        status, answer = await house.request("POST", WITHDRAWALS, json={"identity": "ada"}, headers=admin)
        assert (status, answer["recordings"]) == (202, [second, first])
        for body, expected in (
            ({"identity": "ada", "room": "other"}, 202),
            ({}, 422),
            ({"identity": "nobody"}, 404),
            ({"identity": "ada", "room": "never-was"}, 404),
            ({"identity": "a\nb"}, 422),
            ({"identity": "ada", "recording": "rec_none"}, 404),
        ):
            status, problem = await house.request("POST", WITHDRAWALS, json=body, headers=admin)
            assert status == expected, (body, problem)
        assert [bool(row.room) for row in await withdrawn(house)] == [False, True]


async def test_who_withdraws_is_out_of_what_runs_and_told_so(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        ada = await house.join("ada")
        activity = await house.services.rooms.open_activity(
            "demo", RECORD, permissions=frozenset({Permission.RECORD})
        )
        notice = await ada.hears("notice")
        await ada.call("acknowledge", notice=notice["notice"])
        [grant] = activity.grants.values()
        assert grant.gate is not None
        waiting = asyncio.ensure_future(
            house.request("POST", WITHDRAWALS, json={}, headers=house.bearer("ada"))
        )
        async for event in activity.events:
            if isinstance(event, Cut):
                # The answer waits for the consumer.
                assert not waiting.done()
                activity.acknowledge(event.cut_id)
                break
        assert (await waiting)[0] == 202
        assert grant.gate is None
        told = await ada.hears("consent", reason="withdrawn")
        assert (told["consent"]["record"], told["consent"]["live"]) == ("refused", "granted")


async def test_without_a_ledger_nothing_is_withdrawn(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        await recorded(house, "ada")
        house.services.store.ledger._report = LedgerReport(0, Head(), "broken")
        status, problem = await house.request("POST", WITHDRAWALS, json={}, headers=house.bearer("ada"))
        assert (status, problem["code"]) == (503, "unavailable")


async def test_people_read_their_own_rows_and_nobody_elses(tmp_path: Path) -> None:
    async with everything(tmp_path) as house:
        await house.join("ada")
        await house.join("bo")
        await house.join("ada", room="other")
        store = house.services.store
        ada = await store.persons.find("ada")
        _, page = await house.get(f"{BASE}/consents", headers=house.bearer("ada"))
        room = await store.rooms.get("demo")
        assert room is not None
        assert page["items"]
        assert {(item["person"], item["room"]) for item in page["items"]} == {(ada, room.id)}
        assert (await house.get(f"{BASE}/consents?identity=bo", headers=house.bearer("ada")))[0] == 403
        assert (await house.get(f"{BASE}/consents?room=other", headers=house.bearer("ada")))[0] == 403
        external = house.bearer("ada", is_external=True)
        assert (await house.get(f"{BASE}/consents", headers=external))[0] == 403
        _, page = await house.get(f"{BASE}/consents", headers=house.bearer("stranger"))
        assert page == {"items": [], "next": None}
        _, page = await house.get(f"{BASE}/consents?identity=ada", headers=house.admin())
        assert {item["person"] for item in page["items"]} == {ada}
        assert len({item["room"] for item in page["items"]}) == 2
