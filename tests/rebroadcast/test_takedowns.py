"""Takedown notices, to a partner's real server: signed, once for each withdrawal, until acknowledged."""

import asyncio
import base64
import json
import time

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rebroadcast import BroadcastConflict, BroadcastNotFound, PartnerChange
from rebroadcast.takedowns import SIGNATURE
from store import BroadcastRow, BroadcastState, LedgerEntry, LedgerKind, StoreReadOnly, TakedownState
from tests.rebroadcast.house import ROOM, house
from tests.rebroadcast.shelf import RECORDING, shelve

pytestmark = pytest.mark.slow


class Office:
    """A partner's server that takes notices, and answers as it is told."""

    def __init__(self):
        self.notices = []
        self.strayed = 0
        self.answer = lambda notice: web.json_response({"acknowledged": notice["code"]})

    async def start(self):
        async def take(request):
            body = await request.read()
            self.notices.append((body, request.headers[SIGNATURE]))
            return self.answer(json.loads(body))

        async def stray(_):
            self.strayed += 1
            return web.Response()

        app = web.Application()
        app.router.add_post("/takedown", take)
        app.router.add_post("/elsewhere", stray)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.url, self.elsewhere = f"{origin}/takedown", f"{origin}/elsewhere"

    async def stop(self):
        await self._runner.cleanup()


@pytest.fixture
async def office():
    made = Office()
    await made.start()
    yield made
    await made.stop()


async def sent(home, office, *, takedown_url):
    """Ada was live at a partner for a while: ids of her, the partner, the broadcast and the destination."""
    partner = await home.broadcasts.partners.add(
        name="Other",
        site="other.example",
        policy_url="https://other.example/privacy",
        uses=["live", "replay"],
        terms_version="1",
        takedown_url=takedown_url,
    )
    home.partners["other.example"] = partner.id
    ada = await home.enter("ada")
    bob = await home.enter("bob")
    server = await home.site()
    destination = await home.destination(server, site="other.example")
    info = await home.broadcasts.start(ROOM, [destination])
    await ada.acknowledge()
    await home.live(info)
    await home.broadcasts.stop(info.id)
    assert bob.participant.pending_notices() == ()
    person = await home.store.persons.find("ada")
    return person, partner.id, info.id, destination


async def state(home):
    return [(row.state, row.attempts) for row in await home.broadcasts.takedowns.notices()]


async def until_state(home, wanted):
    deadline = time.monotonic() + 20
    while (found := await state(home)) != wanted:
        assert time.monotonic() < deadline, f"never {wanted}: {found}"
        await asyncio.sleep(0.05)


async def test_a_withdrawal_is_told_to_whoever_received_the_person_until_it_is_acknowledged(tmp_path, office):
    async with house(tmp_path) as home:
        person, partner, broadcast, destination = await sent(home, office, takedown_url=office.url)
        (copy,) = await home.broadcasts.takedowns.copies(person)
        assert (copy.broadcast, copy.site, copy.destination) == (broadcast, "other.example", destination)
        assert copy.until_ms > copy.from_ms
        nobody = await home.store.persons.find("bob")
        assert await home.broadcasts.takedowns.copies(nobody) == []
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.ACKNOWLEDGED, 1)])
        ((body, signature),) = office.notices
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(home.broadcasts.takedowns.public_key))
        key.verify(base64.b64decode(signature.removeprefix("ed25519=")), body)
        notice = json.loads(body)
        assert [(part["broadcast"], part["destination"]) for part in notice["parts"]] == [
            (broadcast, destination)
        ]
        assert not [word for word in ("ada", "Ada", person) if word in body.decode()], "nobody is named"
        (row,) = await home.broadcasts.takedowns.notices(person=person)
        assert (row.partner, row.person) == (partner, person)
        with pytest.raises(BroadcastConflict):
            await home.broadcasts.takedowns.retry(row.id)


async def test_who_received_somebody_is_told_also_when_the_destination_was_removed(tmp_path, office):
    async with house(tmp_path) as home:
        person, partner, broadcast, destination = await sent(home, office, takedown_url=office.url)
        await home.broadcasts.remove_destination(destination)
        (copy,) = await home.broadcasts.takedowns.copies(person)
        assert (copy.partner, copy.site, copy.kind) == (partner, "other.example", "rtmp")
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.ACKNOWLEDGED, 1)])
        (part,) = json.loads(office.notices[0][0])["parts"]
        assert (part["broadcast"], part["destination"], part["kind"]) == (broadcast, destination, "rtmp")


async def test_of_a_partner_that_was_removed_too_the_operator_is_told(tmp_path, office):
    async with house(tmp_path) as home:
        person, partner, _, destination = await sent(home, office, takedown_url=office.url)
        await home.broadcasts.remove_destination(destination)
        await home.broadcasts.partners.remove(partner)
        (copy,) = await home.broadcasts.takedowns.copies(person)
        assert copy.site == "other.example"
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.UNDELIVERABLE, 0)])
        (row,) = await home.broadcasts.takedowns.notices()
        assert (row.partner, row.reason) == (partner, "the partner is not registered any more")
        assert row.site == "other.example"
        assert office.notices == []


async def test_a_destination_that_was_added_to_a_broadcast_is_known_when_it_is_removed(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        first, added = await home.destination(), await home.destination(site="other.example")
        info = await home.broadcasts.start(ROOM, [first])
        await home.broadcasts.add_to(info.id, added)
        await ada.acknowledge()
        await home.broadcasts.stop(info.id)
        await home.broadcasts.remove_destination(added)
        copies = await home.broadcasts.takedowns.copies(ada.participant.person)
        assert {copy.destination: copy.site for copy in copies} == {
            first: "partner.example",
            added: "other.example",
        }


async def test_a_withdrawal_from_one_recording_is_told_to_whoever_received_that_recording(tmp_path, office):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        person, _, live, destination = await sent(home, office, takedown_url=office.url)
        replay = await home.broadcasts.replay(RECORDING, [destination])
        await home.live(replay)
        await home.broadcasts.stop(replay.id)
        for recording in ("rec_other", RECORDING, ""):
            await home.rooms.withdrawals.withdraw(person, recording=recording)
        await until_state(home, [(TakedownState.ACKNOWLEDGED, 1)] * 2)
        told = [{part["broadcast"] for part in json.loads(body)["parts"]} for body, _ in office.notices]
        assert sorted(told, key=len) == [{replay.id}, {live, replay.id}]


async def test_a_store_that_fails_delays_a_notice_and_loses_none(tmp_path, office, monkeypatch):
    monkeypatch.setattr("rebroadcast.takedowns._WITHDRAWALS_AGAIN_S", 0.2)
    async with house(tmp_path) as home:
        person, *_ = await sent(home, office, takedown_url=office.url)
        keep, failures = home.store.takedowns.add, []

        async def fail_at_first(**notice):
            if len(failures) < 2:
                failures.append(notice)
                raise StoreReadOnly("it cannot be written now")
            await keep(**notice)

        monkeypatch.setattr(home.store.takedowns, "add", fail_at_first)
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.ACKNOWLEDGED, 1)])
        assert (len(failures), len(office.notices)) == (2, 1)


async def test_a_crash_of_the_server_ends_the_spans_of_whoever_was_live(tmp_path):
    async with house(tmp_path) as home:
        common = {"person": "u_ada", "room": "rm_1", "activity": "bc_crashed", "uses": ("live",)}
        await home.store.ledger.append(
            LedgerEntry(at_ms=1_000, kind=LedgerKind.NOTICE_ACKNOWLEDGED, **common)
        )
        await home.store.broadcasts.add(
            BroadcastRow(
                id="bc_crashed",
                room="rm_1",
                room_name=ROOM,
                state=BroadcastState.RUNNING,
                started_at_ms=1,
                destinations=("dst_1",),
            )
        )
        (copy,) = await home.broadcasts.takedowns.copies("u_ada")
        assert (copy.from_ms, copy.until_ms) == (1_000, None)
    async with house(tmp_path) as home:
        (copy,) = await home.broadcasts.takedowns.copies("u_ada")
        assert (copy.from_ms, copy.until_ms) == (1_000, (await home.broadcasts.status("bc_crashed")).ended_ms)


async def test_a_notice_that_is_not_taken_is_tried_again_and_a_partner_may_acknowledge_later(
    tmp_path, office
):
    async with house(tmp_path) as home:
        person, *_ = await sent(home, office, takedown_url=office.url)
        office.answer = lambda _: web.Response(status=503)
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.PENDING, 1)])
        (row,) = await home.broadcasts.takedowns.notices()
        assert row.reason == "the partner answered HTTP 503"
        assert row.next_at_ms > row.created_at_ms
        office.answer = lambda _: web.Response(status=202)
        await home.broadcasts.takedowns.retry(row.id)
        await until_state(home, [(TakedownState.DELIVERED, 2)])
        for notice, code in ((row.id, "0" * 40), ("td_none", json.loads(row.body)["code"])):
            with pytest.raises(BroadcastNotFound):
                await home.broadcasts.takedowns.acknowledge(notice, code)
        code = json.loads(row.body)["code"]
        assert (await home.broadcasts.takedowns.acknowledge(row.id, code)).state is TakedownState.ACKNOWLEDGED
        answered = (await home.broadcasts.takedowns.acknowledge(row.id, code)).answered_at_ms
        assert answered is not None


async def test_what_could_not_be_delivered_is_sent_once_the_partner_has_an_address(tmp_path, office):
    async with house(tmp_path) as home:
        person, partner, *_ = await sent(home, office, takedown_url=None)
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.UNDELIVERABLE, 0)])
        (row,) = await home.broadcasts.takedowns.notices()
        await home.broadcasts.partners.change(partner, PartnerChange(terms_version="2"))
        assert await state(home) == [(TakedownState.UNDELIVERABLE, 0)]
        await home.broadcasts.partners.change(partner, PartnerChange(takedown_url=office.url))
        await until_state(home, [(TakedownState.ACKNOWLEDGED, 1)])
        assert [body.decode() for body, _ in office.notices] == [row.body]


async def test_a_partner_that_takes_no_notices_any_more_is_told_to_the_operator(tmp_path, office):
    async with house(tmp_path) as home:
        person, partner, *_ = await sent(home, office, takedown_url=office.url)
        office.answer = lambda _: web.Response(status=503)
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.PENDING, 1)])
        await home.broadcasts.partners.change(partner, PartnerChange(takedown_url=""))
        (row,) = await home.broadcasts.takedowns.notices()
        await home.broadcasts.takedowns.retry(row.id)
        await until_state(home, [(TakedownState.UNDELIVERABLE, 2)])
        (row,) = await home.broadcasts.takedowns.notices()
        assert row.reason == "the partner names no address for notices"


async def test_a_redirect_is_not_followed(tmp_path, office):
    async with house(tmp_path) as home:
        person, *_ = await sent(home, office, takedown_url=office.url)
        office.answer = lambda _: web.Response(status=307, headers={"Location": office.elsewhere})
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.PENDING, 1)])
        (row,) = await home.broadcasts.takedowns.notices()
        assert row.reason == "the partner answered HTTP 307"
        assert (len(office.notices), office.strayed) == (1, 0)


async def test_a_partner_without_an_address_is_told_to_the_operator(tmp_path, office):
    async with house(tmp_path) as home:
        person, *_ = await sent(home, office, takedown_url=None)
        await home.rooms.withdrawals.withdraw(person)
        await until_state(home, [(TakedownState.UNDELIVERABLE, 0)])
        assert office.notices == []
