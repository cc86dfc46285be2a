"""Who may be in a recording that is shown again: decided at the time, and cut like anybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from media.gates import GatePage
from policy import DEFAULT_TERMS, RECORD, REPLAY, Media, Permission, RoomSettings, Site, Use
from rooms import Cut, Refused, Replay, ReplayOf, RevocationDone, SitesChanged
from store import LedgerEntry, LedgerKind
from tests.rooms.rig import EVERYTHING, PARTNER_SITE, START_MS, Consumer, Rig, rig, until
from tests.rooms.test_ledger_failure import Breaker

OF = ReplayOf(
    recording="rec_1", room_id="rm_1", room="demo", started_ms=START_MS - 1_000, people=("u_a", "u_b")
)
ALL = frozenset(Media)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def says(house: Rig, person: str, kind: LedgerKind = LedgerKind.USE_AGREED, *uses: str) -> None:
    """Somebody accepted the terms and answered, for `replay` if nothing is named."""
    common = {"at_ms": START_MS, "person": person, "room": "rm_1", "terms_version": DEFAULT_TERMS.version}
    await house.store.ledger.append(
        LedgerEntry(
            kind=LedgerKind.TERMS_ACCEPTED, terms_digest=DEFAULT_TERMS.digest(), age_18=True, **common
        ),
        LedgerEntry(kind=kind, uses=uses or ("replay",), **common),
    )


@asynccontextmanager
async def showing(
    house: Rig, of: ReplayOf = OF, *, acknowledges: bool = True, sites: tuple[Site, ...] = (PARTNER_SITE,)
) -> AsyncIterator[tuple[Replay, Consumer]]:
    replay = await house.service.open_replay(
        of, sites, permissions=EVERYTHING, activity_id="bc_1", kill=house.killed.append
    )
    consumer = Consumer(replay.activity, acknowledges=acknowledges)
    house.consumers.append(consumer)
    yield replay, consumer
    await replay.activity.close()


def page_of(replay: Replay) -> GatePage:
    return GatePage.open(replay.activity.gates_fd())


async def test_only_a_yes_opens_a_gate_in_a_notice_room_too(house: Rig) -> None:
    await says(house, "u_a")
    await says(house, "u_b", LedgerKind.USE_AGREED, "record")
    async with showing(house) as (replay, _):
        shown = replay.shown("u_a")
        assert shown is not None
        assert shown.media == ALL
        assert replay.shown("u_b") is replay.shown("u_c") is None
        assert replay.people() == {"u_a"}
        page = page_of(replay)
        assert page.is_open(shown.slot, shown.version)
        assert page.read(replay.activity.epoch_slot) == replay.activity.epoch
        page.close()
    rows = [(row.kind, row.uses) for row in await house.store.ledger.rows() if row.activity == "bc_1"]
    assert rows[0] == (LedgerKind.ACTIVITY_STARTED, ("replay",))


@pytest.mark.parametrize(
    ("kind", "uses"),
    [
        (LedgerKind.USE_REFUSED, ("replay",)),
        (LedgerKind.USE_REFUSED, ("record",)),
        (LedgerKind.WITHDRAWN, ("record", "replay")),
    ],
)
async def test_what_was_taken_back_before_keeps_somebody_out(
    house: Rig, kind: LedgerKind, uses: tuple[str, ...]
) -> None:
    await says(house, "u_a")
    reason = "withdrawn" if kind is LedgerKind.WITHDRAWN else ""
    await house.store.ledger.append(
        LedgerEntry(at_ms=START_MS, kind=kind, person="u_a", uses=uses, reason=reason)
    )
    async with showing(house) as (replay, _):
        assert replay.people() == frozenset()


async def test_a_withdrawal_of_this_recording_counts_and_one_of_another_does_not(house: Rig) -> None:
    for person, recording in (("u_a", "rec_1"), ("u_b", "rec_2")):
        await says(house, person)
        await house.service.withdrawals.withdraw(person, recording=recording)
    async with showing(house) as (replay, _):
        assert replay.people() == {"u_b"}
        await house.service.withdrawals.withdraw("u_b", room="rm_2")
        assert replay.people() == {"u_b"}
        await house.service.withdrawals.withdraw("u_b", room="rm_1")
        assert replay.people() == frozenset()


async def test_taking_it_back_in_any_room_closes_the_gate_before_anything_waits(house: Rig) -> None:
    ada = await house.join("ada", room="elsewhere")
    await ada.consent({REPLAY: True})
    async with showing(house, replace(OF, people=(ada.person, "u_b"))) as (replay, consumer):
        shown, epoch, page = replay.shown(ada.person), replay.activity.epoch, page_of(replay)
        assert shown is not None
        taking = asyncio.ensure_future(ada.consent({REPLAY: False}))
        while page.is_open(shown.slot, shown.version):
            assert consumer.of(Cut) == []
            await asyncio.sleep(0)
        assert replay.shown(ada.person) is None
        assert page.read(replay.activity.epoch_slot) == epoch + 1
        page.close()
        _, revocation = await taking
        (cut,) = consumer.of(Cut)
        assert (cut.person, cut.slots, cut.epoch) == (ada.person, ((shown.slot, shown.version),), epoch + 1)
        assert (revocation.cut, revocation.killed, revocation.is_recorded) == (("bc_1",), (), True)
        assert [event.uses for event in house.events(ada, RevocationDone)] == [(REPLAY,)]
        assert ("revoked", "revoked") in await house.rows()
        await ada.consent({REPLAY: True})
        await house.service.consent.replays.review(replay)
        assert replay.shown(ada.person) is None, "who took it back stays out to the end"
    async with showing(house, replace(OF, people=(ada.person,))) as (replay, _):
        assert replay.shown(ada.person) is not None


async def test_a_process_that_does_not_answer_a_cut_is_killed(house: Rig) -> None:
    await says(house, "u_a")
    async with showing(house, acknowledges=False) as (replay, _):
        withdrawing = asyncio.ensure_future(house.service.withdrawals.withdraw("u_a"))
        await until(lambda: replay.shown("u_a") is None)
        assert house.killed == []
        await house.clock.advance(0.2)
        await withdrawing
        assert house.killed == ["cut_timeout"]


async def test_a_refusal_that_the_ledger_could_not_note_holds_through_every_turn(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await house.join("ada")
    await ada.consent({REPLAY: True})
    async with showing(house, replace(OF, people=(ada.person,))) as (replay, _):
        breaker = Breaker(house.store.ledger, monkeypatch)
        breaker.is_broken = True
        taking = asyncio.ensure_future(ada.consent({REPLAY: False}))
        await until(lambda: replay.people() == frozenset())
        await house.service.consent.replays.review(replay)
        assert replay.people() == frozenset()
        with pytest.raises(Refused):
            await house.service.open_replay(
                OF, (PARTNER_SITE,), permissions=EVERYTHING, activity_id="bc_2", kill=house.killed.append
            )
        breaker.is_broken = False
        await house.clock.advance(5)
        await taking


async def test_whoever_agrees_comes_in_when_it_is_reviewed(house: Rig) -> None:
    await says(house, "u_a")
    async with showing(house) as (replay, consumer):
        await says(house, "u_b")
        assert replay.people() == {"u_a"}
        await house.service.consent.replays.review(replay)
        assert replay.people() == {"u_a", "u_b"}
        assert consumer.of(Cut) == []


async def test_what_the_room_offered_when_it_was_recorded_holds_whatever_the_room_is_now(house: Rig) -> None:
    await says(house, "u_a")
    recorded = replace(OF, uses=frozenset({RECORD}))
    site = PARTNER_SITE
    with pytest.raises(Refused, match="replay"):
        await house.service.open_replay(
            recorded, (site,), permissions=EVERYTHING, activity_id="bc_1", kill=house.killed.append
        )
    assert await house.service.showable(["u_a"], "demo", site, recorded.uses) == []
    assert await house.service.showable(["u_a"], "demo", site, None) == ["u_a"]
    both = replace(OF, uses=frozenset({RECORD, REPLAY}))
    assert await house.service.showable(["u_a"], "demo", site, both.uses) == ["u_a"]
    await house.service.create_room("demo", RoomSettings(uses=recorded.uses or frozenset()))
    assert await house.service.showable(["u_a"], "demo", site, both.uses) == []


async def test_closing_a_room_does_not_lift_what_it_refuses_from_a_replay_that_runs(house: Rig) -> None:
    await says(house, "u_a")
    await house.service.create_room("demo")
    async with showing(house) as (replay, _):
        assert replay.people() == {"u_a"}
        await house.service.update_room("demo", RoomSettings(uses=frozenset({RECORD})))
        assert replay.people() == frozenset()
        await house.service.close_room("demo")
        assert REPLAY in house.service.settings_of("demo").uses
        assert replay.people() == frozenset()
        await house.service.consent.replays.review(replay)
        assert replay.people() == frozenset()


async def test_the_newest_of_very_many_withdrawals_counts(house: Rig) -> None:
    await says(house, "u_a")
    common = {"at_ms": START_MS, "kind": LedgerKind.WITHDRAWN, "person": "u_a", "uses": ("replay",)}
    others = [LedgerEntry(activity=f"rec_{number}", **common) for number in range(100, 700)]
    await house.store.ledger.append(*others)
    async with showing(house) as (replay, _):
        assert replay.people() == {"u_a"}
        await house.store.ledger.append(LedgerEntry(activity="rec_1", **common))
        await house.service.consent.replays.review(replay)
        assert replay.people() == frozenset()


async def test_terms_settings_and_partners_close_gates_when_they_change(house: Rig) -> None:
    partner = await house.store.partners.add(
        name="TV", site="tv.example", policy_url="https://tv.example", terms_version="1", uses={REPLAY}
    )
    await house.service.consent.policy.reload_partners()
    site = Site(id=partner.id, name="TV", partner=partner.id)
    await says(house, "u_a")
    await house.service.create_room("demo")
    async with showing(house, sites=(site,)) as (replay, consumer):
        assert replay.people() == {"u_a"}
        without = RoomSettings(uses=frozenset({RECORD}))
        await house.service.update_room("demo", without)
        assert replay.people() == frozenset()
        await house.service.update_room("demo", RoomSettings())
        assert replay.people() == frozenset(), "nobody comes in again within a turn"
        await house.service.consent.replays.review(replay)
        assert replay.people() == {"u_a"}
        house.service.consent.policy.replace_partners({})
        assert replay.people() == frozenset()
        await house.service.consent.policy.reload_partners()
        assert replay.people() == frozenset()
        await house.service.consent.replays.review(replay)
        assert replay.people() == {"u_a"}
        newer = replace(DEFAULT_TERMS, version="2026-12", number=2, effective_at_ms=START_MS)
        await house.service.consent.policy.publish(newer)
        assert replay.people() == frozenset()
        await until(lambda: len(consumer.of(Cut)) == 3)
        assert [cut.reason for cut in consumer.of(Cut)] == [
            "settings_changed", "partner_terms", "terms_changed",
        ]  # fmt: skip


async def test_what_the_terms_do_not_cover_any_more_goes_and_the_rest_stays(house: Rig) -> None:
    await says(house, "u_a")
    async with showing(house) as (replay, consumer):
        uses = tuple(
            replace(use, media=frozenset({Media.AUDIO})) if use.use == REPLAY else use
            for use in DEFAULT_TERMS.uses
        )
        minor = replace(
            DEFAULT_TERMS, version="2026-12", number=2, effective_at_ms=START_MS, is_material=False, uses=uses
        )
        await house.service.consent.policy.publish(minor)
        shown = replay.shown("u_a")
        assert shown is not None
        assert shown.media == {Media.AUDIO}
        await until(lambda: len(consumer.of(Cut)) == 1)
        whole = replace(minor, version="2027-01", number=3, uses=DEFAULT_TERMS.uses)
        await house.service.consent.policy.publish(whole)
        assert replay.shown("u_a") == shown, "what was lost stays lost within a turn"
        await house.service.consent.replays.review(replay)
        again = replay.shown("u_a")
        assert again is not None
        assert again.media == ALL


async def test_a_ledger_that_does_not_verify_cuts_everybody(house: Rig) -> None:
    await says(house, "u_a")
    async with showing(house) as (replay, _):
        await house.store.ledger._writer.run(
            lambda connection: connection.exec_driver_sql("DROP TRIGGER ledger_no_update")
        )
        await house.store.ledger._writer.run(
            lambda connection: connection.exec_driver_sql("UPDATE ledger SET at_ms = at_ms + 1 WHERE seq = 1")
        )
        report = await house.service.consent.verify_ledger()
        assert not report.is_verified
        assert replay.people() == frozenset()


async def test_a_start_that_may_not_be_is_refused_and_leaves_nothing(house: Rig) -> None:
    before = descriptors()
    await house.service.create_room("silent", RoomSettings(uses=frozenset({Use("live")})))
    nobody = Site(id="b", name="B", partner="pt_gone")
    for of, sites, permissions in (
        (OF, (PARTNER_SITE,), frozenset({Permission.RECORD})),
        (replace(OF, room="silent"), (PARTNER_SITE,), EVERYTHING),
        (OF, (PARTNER_SITE, nobody), EVERYTHING),
    ):
        with pytest.raises(Refused):
            await house.service.open_replay(
                of, sites, permissions=permissions, activity_id="bc_1", kill=house.killed.append
            )
    async with showing(house) as (replay, _):
        with pytest.raises(Refused):
            house.service.consent.replays.add_site(replay, nobody)
        assert replay.activity.sites == (PARTNER_SITE,)
    started = [row.activity for row in await house.store.ledger.rows(kind=LedgerKind.ACTIVITY_STARTED)]
    assert started == ["bc_1"]
    assert descriptors() == before


async def test_sites_come_and_go_and_the_end_closes_everything(house: Rig) -> None:
    await says(house, "u_a")
    async with showing(house) as (replay, consumer):
        more = Site(id="b", name="B")
        house.service.consent.replays.add_site(replay, more)
        assert replay.activity.sites == (PARTNER_SITE, more)
        await replay.activity.drop_site("b")
        await until(lambda: consumer.of(SitesChanged) != [])
        assert replay.activity.sites == (PARTNER_SITE,)
        shown, page = replay.shown("u_a"), page_of(replay)
        assert shown is not None
        await replay.activity.close()
        assert not page.is_open(shown.slot, shown.version)
        page.close()
        with pytest.raises(Refused):
            replay.activity.gates_fd()
        with pytest.raises(Refused):
            await replay.activity.new_sink()
    await house.service.withdrawals.withdraw("u_z")  # the ledger is written in order
    assert ("activity_stopped", "closed") in await house.rows()


async def test_the_end_of_the_house_ends_replays(house: Rig) -> None:
    async with rig() as other:
        replay = await other.service.open_replay(
            OF, (PARTNER_SITE,), permissions=EVERYTHING, activity_id="bc_1", kill=other.killed.append
        )
        consumer = Consumer(replay.activity)
        other.consumers.append(consumer)
        await other.service.close()
        assert not replay.activity.is_running
