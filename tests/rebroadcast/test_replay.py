"""Recordings that are broadcast again: real parts, real program processes, real partner sites."""

import asyncio
import errno
import io
import itertools
import os
import re
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from bench.studio.flash import BEEP_HZ, flash_times
from policy import RECORD, REPLAY
from rebroadcast import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    DestinationUnregistered,
    LookChange,
)
from rebroadcast.errors import BroadcastTooDear
from rebroadcast.types import Fetching
from rooms import JoinRequest, Mailbox, Refused, RevocationDone
from store import BroadcastRow, BroadcastState, LedgerKind, RecordingState, StoreUnavailable
from tests.rebroadcast.house import ACCEPTED, CONFIG, PERSON, ROOM, house, until
from tests.rebroadcast.shelf import RECORDING, ROOM_ID, agree, hears_bob, shelve, shows_bob
from tests.support.meanwhile import Meanwhile, outcome
from tests.support.promises import assert_promised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

CUT_S = 0.25
FIGURE = (76, 80, 83)
"""What a placeholder is drawn in."""
ADA_LARGE = LookChange(layout="speaker", person="ada")


def spied(home):
    """Names of the parts that are opened from now on."""
    opened, real = [], home.recorder.reels.open

    async def open_part(recording, part):
        opened.append(part.name)
        return await real(recording, part)

    home.recorder.reels.open = open_part
    return opened


def newest(home, info):
    """The newest whole segment, playable; None before the first."""
    segments = home.segments(info)
    return segments[-1][1] if segments else None


def shown(home, info):
    """Whether bob is in the newest segment."""
    data = newest(home, info)
    return data is not None and shows_bob(data)


async def ended(home, info):
    """How it ended, once it has."""
    await until(lambda: info.id not in home.broadcasts._running, "the end", 40)
    return await home.broadcasts.status(info.id)


async def test_who_agreed_is_seen_and_heard_from_the_beginning_to_the_end(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, is_sealed=True, agreed=("ada", "bob"))
        site = await home.site()
        there = [await home.destination(site), await home.destination()]
        info = await home.broadcasts.replay(RECORDING, there, look=ADA_LARGE)
        assert (info.room, info.replay.recording, info.replay.duration_ms) == (ROOM, RECORDING, 4_000)
        await until(lambda: shown(home, info), "bob")
        chat = home.fetch(info, "chat.m3u8").decode()
        lines = [home.fetch(info, name).decode() for name in chat.splitlines() if name.endswith(".vtt")]
        running = home.running(info).info()
        assert running.state == "running"
        assert running.replay.turn == 1
        assert 1_000 < running.replay.position_ms <= 4_000
        assert any("hello" in line for line in lines) or running.replay.position_ms < 3_000
        past = await ended(home, info)
        assert (past.state, past.reason) == ("stopped", None)
        assert (past.replay.position_ms, past.replay.turn) == (4_000, 1)
        assert not home.workers()
        await site.stop()
        sent = site.recordings[0]
        flashes = flash_times(str(sent))
        assert len(flashes) >= 3
        apart = [after - before for before, after in pairwise(flashes)]
        assert apart == pytest.approx([1.0] * len(apart), abs=0.15)
        assert shows_bob(sent.read_bytes())
        assert hears_bob(sent.read_bytes())
        assert tone_level(samples(str(sent)), BEEP_HZ) > 0.01
        kinds = [row.kind for row in await home.store.ledger.rows() if row.activity == info.id]
        assert kinds == [LedgerKind.ACTIVITY_STARTED, LedgerKind.ACTIVITY_STOPPED]
        (copy,) = [copy for copy in await home.broadcasts.takedowns.copies("bob") if copy.kind == "rtmp"]
        assert (copy.broadcast, copy.site, copy.room) == (info.id, "partner.example", ROOM)
        assert copy.from_ms < copy.until_ms


async def test_of_somebody_without_a_yes_nothing_is_opened_and_a_placeholder_stands(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada",))
        await agree(home, "bob", kind=LedgerKind.USE_REFUSED)
        opened = spied(home)
        site = await home.site()
        there = [await home.destination(site), await home.destination()]
        info = await home.broadcasts.replay(RECORDING, there, look=ADA_LARGE)
        await until(lambda: home.running(info).info().replay.position_ms > 2_500, "bob's time")
        cues = [n for n in home.fetch(info, "chat.m3u8").decode().splitlines() if n.endswith(".vtt")]
        assert not any("hello" in home.fetch(info, name).decode() for name in cues)
        await home.broadcasts.stop(info.id)
        await site.stop()
        sent = site.recordings[0].read_bytes()
        assert not shows_bob(sent)
        assert any(share_of_colour(picture, FIGURE, 8) > 0.005 for picture in colours(io.BytesIO(sent)))
        assert not hears_bob(sent)
        assert len(flash_times(io.BytesIO(sent))) >= 2
        assert set(opened) == {"ada-camera-001.webm", "ada-mic-001.webm"}
        assert await home.broadcasts.takedowns.copies("bob") == []
        assert len(await home.broadcasts.takedowns.copies("ada")) == 2


async def test_a_loop_goes_on_without_a_break_and_asks_again_at_each_turn(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada",))
        site = await home.site()
        there = [await home.destination(site), await home.destination()]
        info = await home.broadcasts.replay(RECORDING, there, look=ADA_LARGE, is_looped=True)
        await until(lambda: home.running(info).info().replay.turn == 1, "the first turn")
        await agree(home, "bob")
        assert not shown(home, info)
        await until(lambda: shown(home, info), "bob, in the second turn", 30)
        running = home.running(info).info()
        assert running.replay.turn == 2
        assert home.playlist(info).count("#EXT-X-MAP") == 1
        assert "#EXT-X-DISCONTINUITY\n" not in home.playlist(info)
        stopped = await home.broadcasts.stop(info.id)
        assert (stopped.state, stopped.replay.turn) == ("stopped", 2)
        await site.stop()
        flashes = flash_times(str(site.recordings[0]))
        apart = [after - before for before, after in pairwise(flashes)]
        assert len(apart) >= 4
        assert apart == pytest.approx([1.0] * len(apart), abs=0.15), "a turn follows the one before at once"


async def test_what_is_taken_back_in_a_room_is_cut_out_of_a_replay(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        bob = await home.rooms.join(
            JoinRequest(room="elsewhere", identity="bob", permissions=PERSON, accept=ACCEPTED)
        )
        assert bob.person == "bob"
        site = await home.site()
        info = await home.broadcasts.replay(
            RECORDING, [await home.destination(site), await home.destination()], is_looped=True
        )
        await until(lambda: shown(home, info), "bob")
        names = [name for name, _ in home.segments(info)]
        _, revocation = await bob.consent({REPLAY: False})
        last = site.recordings[0].stat().st_size
        assert revocation.cut == (info.id,)
        assert (revocation.killed, revocation.is_recorded) == ((), True)
        assert_promised("a revocation in a replay", revocation.latency_ms / 1000, CUT_S)
        told = [event async for event in drained(bob.events) if isinstance(event, RevocationDone)]
        assert [(event.uses, event.reason) for event in told] == [((REPLAY,), "revoked")]
        assert home.fetch(info, names[-1]) == "gone"
        turn = home.running(info).info().replay.turn
        await until(lambda: home.running(info).info().replay.turn == turn + 1, "another turn", 30)
        await until(lambda: home.running(info).info().replay.position_ms > 1_700, "bob's time", 30)
        assert not any(shows_bob(data) or hears_bob(data) for _, data in home.segments(info))
        assert home.states(info) == ["live", "live"]
        await home.broadcasts.stop(info.id)
        await site.stop()
        assert site.recordings[0].stat().st_size > last
        row = await home.store.broadcasts.get(info.id)
        assert all(until_ms is not None for _, until_ms in row.details["shown"]["bob"])


async def drained(events: Mailbox):
    while (event := events.poll()) is not None:
        yield event


async def test_a_withdrawal_cuts_at_once_whoever_is_nowhere_near(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, is_sealed=True, agreed=("ada", "bob"))
        info = await home.broadcasts.replay(RECORDING, [await home.destination()], is_looped=True)
        await until(lambda: shown(home, info), "bob")
        began = time.monotonic()
        await home.rooms.withdrawals.withdraw("bob")
        assert_promised("a withdrawal in a replay", time.monotonic() - began, CUT_S)
        assert not any(shows_bob(data) for _, data in home.segments(info))
        await until(lambda: newest(home, info) is not None, "a segment without bob", 30)
        await until(lambda: not list(tmp_path.rglob("bob-*")), "the erasure", 30)
        turn = home.running(info).info().replay.turn
        await until(lambda: home.running(info).info().replay.turn > turn, "a turn without bob", 30)
        assert home.states(info) == ["live"]
        assert not any(shows_bob(data) or hears_bob(data) for _, data in home.segments(info))


async def test_whoever_loses_it_within_a_turn_is_back_with_the_next_and_every_span_is_told(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        await home.rooms.create_room(ROOM)
        info = await home.broadcasts.replay(RECORDING, [await home.destination()], is_looped=True)
        replay = home.running(info).replay
        await until(lambda: home.running(info).info().replay.position_ms > 0, "the beginning")
        allowed = home.rooms.settings_of(ROOM)
        await home.rooms.update_room(ROOM, replace(allowed, uses=frozenset({RECORD})))
        await home.rooms.update_room(ROOM, allowed)
        assert replay.people() == frozenset(), "off and on again: nobody is back within the turn"
        spans = await spans_of_bob(home)
        assert [until_ms is None for _, until_ms in spans] == [False]
        await until(replay.people, "the next turn")
        await until(lambda: shown(home, info), "bob, again")
        first, second = await spans_of_bob(home)
        assert first == spans[0]
        assert first[1] < second[0]
        assert second[1] is None
        await home.broadcasts.stop(info.id)
        _, second = await spans_of_bob(home)
        assert second[1] is not None


async def spans_of_bob(home):
    """From when until when bob may have been sent, as takedown notices tell it; kept by now."""
    await home.broadcasts._scope.settle(5)
    return [(copy.from_ms, copy.until_ms) for copy in await home.broadcasts.takedowns.copies("bob")]


async def test_a_store_that_does_not_answer_for_a_moment_delays_no_turn(tmp_path, monkeypatch):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        info = await home.broadcasts.replay(RECORDING, [await home.destination()])
        failed, real = [], home.recorder.reels.reel

        async def reel(recording):
            if len(failed) < 3:
                failed.append(recording)
                raise StoreUnavailable("the disk is slow")
            return await real(recording)

        monkeypatch.setattr(home.recorder.reels, "reel", reel)
        await until(lambda: home.running(info).info().replay.turn == 1, "the beginning")
        assert len(failed) == 3
        assert home.running(info).replay.people() == {"ada", "bob"}
        assert home.running(info).info().replay.position_ms < 1_000


async def test_a_store_that_does_not_answer_until_the_turn_is_due_ends_it_with_the_reason(
    tmp_path, monkeypatch
):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        info = await home.broadcasts.replay(RECORDING, [await home.destination()])

        async def reel(recording):
            raise StoreUnavailable("the disk is gone")

        monkeypatch.setattr(home.recorder.reels, "reel", reel)
        over = await ended(home, info)
        assert (over.state, over.reason) == ("failed", "the disk is gone")


async def test_one_plan_that_goes_wrong_is_told_and_the_others_keep_their_time(tmp_path, monkeypatch):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        there, at_ms = [await home.destination()], home.broadcasts._clock.wall_ms() + 1_500
        unreadable, unlucky, good = [
            await home.broadcasts.replay(RECORDING, there, at_ms=at_ms + more) for more in (0, 0, 300)
        ]
        row = await home.store.broadcasts.get(unreadable.id)
        kept = {**row.details["replay"], "look": {"layout": 7}}
        await home.store.broadcasts.change(row.id, details={**row.details, "replay": kept})
        real, failed = home.broadcasts._opener.open_replay, []

        async def open_replay(library, reel, targets, wish, broadcast_id):
            if broadcast_id == unlucky.id:
                failed.append(broadcast_id)
                raise OSError(errno.EMFILE, "too many open files")
            return await real(library, reel, targets, wish, broadcast_id)

        monkeypatch.setattr(home.broadcasts._opener, "open_replay", open_replay)
        await until(lambda: good.id in home.broadcasts._running, "the one that can begin")
        for plan, why in ((unreadable, "it could not begin: .*layout"), (unlucky, "too many open files")):
            over = await home.broadcasts.status(plan.id)
            assert over.state == "failed"
            assert re.search(why, over.reason)
        assert failed == [unlucky.id]


async def test_a_legal_hold_ends_the_replays_that_run(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        info = await home.broadcasts.replay(RECORDING, [await home.destination()], is_looped=True)
        await until(lambda: home.running(info).info().replay.position_ms > 0, "the beginning")
        await home.recorder.custody.hold(RECORDING, reason="a claim", by="key/op", until_ms=None)
        over = await home.broadcasts.status(info.id)
        assert (over.state, over.reason) == ("failed", "a legal hold keeps the recording")
        assert not home.workers()


async def test_what_lies_in_an_archive_is_fetched_before_the_program_begins(tmp_path, monkeypatch):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada",))
        real, asked, came = home.recorder.reels.fetched, [], asyncio.Event()

        @asynccontextmanager
        async def fetched(recording, parts, told):
            asked.extend(parts)
            told(3, 10)
            await came.wait()
            try:
                async with real(recording, parts, told):
                    yield
            finally:
                asked.append("let go")

        monkeypatch.setattr(home.recorder.reels, "fetched", fetched)
        info = await home.broadcasts.replay(RECORDING, [await home.destination()])
        await until(lambda: home.running(info).info().replay.fetching == Fetching(3, 10), "the fetching")
        assert home.running(info).info().state == "starting"
        assert not home.workers()
        assert set(asked) == {"ada-camera-001.webm", "ada-mic-001.webm"}
        came.set()
        await until(lambda: home.running(info).info().state == "running", "the program")
        assert home.running(info).info().replay.fetching is None
        assert "let go" not in asked
        await home.broadcasts.stop(info.id)
        await until(lambda: asked[-1] == "let go", "the end of what held it")


async def test_a_planned_replay_outlives_a_restart_and_begins_at_its_time(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        there = [await home.destination()]
        at_ms = home.broadcasts._clock.wall_ms() + 4_000
        for wrong in (at_ms - 60_000, at_ms + 400 * 86_400_000):
            with pytest.raises(BroadcastInvalid):
                await home.broadcasts.replay(RECORDING, there, at_ms=wrong)
        planned = await home.broadcasts.replay(
            RECORDING, there, at_ms=at_ms, look=LookChange(layout="speaker")
        )
        assert (planned.state, planned.replay.at_ms, planned.look.layout) == ("scheduled", at_ms, "speaker")
        other = await home.broadcasts.replay(RECORDING, there, at_ms=at_ms)
        changed = await home.broadcasts.change(planned.id, LookChange(layout="single", person="bob"))
        assert (changed.look.layout, changed.look.person) == ("single", "bob")
        cancelled = await home.broadcasts.stop(other.id)
        assert (cancelled.state, cancelled.reason) == ("stopped", "it was stopped before it began")
        assert not home.workers()
    async with house(tmp_path) as home:
        assert (await home.broadcasts.status(planned.id)).state == "scheduled"
        await until(lambda: planned.id in home.broadcasts._running, "the beginning", 30)
        assert home.broadcasts._clock.wall_ms() >= at_ms
        info = home.running(planned).info()
        assert (info.look.layout, info.replay.at_ms) == ("single", at_ms)
        await until(lambda: shown(home, info), "bob, large", 30)
        assert (await home.broadcasts.status(other.id)).state == "stopped"


async def test_a_plan_whose_time_has_passed_long_ago_is_told_as_failed(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada",))
        there = await home.destination()
        planned = await home.broadcasts.replay(
            RECORDING, [there], at_ms=home.broadcasts._clock.wall_ms() + 3_600_000
        )
        row = await home.store.broadcasts.get(planned.id)
        kept = {**row.details["replay"], "at_ms": home.broadcasts._clock.wall_ms() - 3_600_000}
        await home.store.broadcasts.change(planned.id, details={**row.details, "replay": kept})
    async with house(tmp_path) as home:
        deadline = time.monotonic() + 20
        while (missed := await home.broadcasts.status(planned.id)).state == "scheduled":
            assert time.monotonic() < deadline
        assert (missed.state, missed.reason) == ("failed", "the server did not run at its time")


async def test_what_cannot_be_played_is_refused_with_the_reason(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada",))
        for state in (RecordingState.RECORDING, RecordingState.FINISHING, RecordingState.FAILED):
            await shelve(home, recording=f"rec_{state.value:a<16}", state=state)
        there = await home.destination()
        no_replay = await home.destination(partner=await home.partner("live.example", uses=("live",)))
        for refusal, recording, destinations, why in (
            (BroadcastNotFound, "rec_none", [there], "no recording"),
            (BroadcastConflict, "rec_recordingaaaaaaa", [there], "stop it first"),
            (BroadcastConflict, "rec_finishingaaaaaaa", [there], "being finished"),
            (BroadcastConflict, "rec_failedaaaaaaaaaa", [there], "could not be finished"),
            (BroadcastConflict, RECORDING, [no_replay], "do not cover replay"),
            (DestinationUnregistered, RECORDING, ["dst_none"], "no destination"),
            (BroadcastInvalid, RECORDING, [], "at least one"),
        ):
            with pytest.raises(refusal, match=why):
                await home.broadcasts.replay(recording, destinations)
            at_ms = home.broadcasts._clock.wall_ms() + 3_600_000
            with pytest.raises(refusal, match=why):
                await home.broadcasts.replay(recording, destinations, at_ms=at_ms)
        with pytest.raises(BroadcastInvalid, match="layout"):
            await home.broadcasts.replay(RECORDING, [there], look=LookChange(layout="round"))
        hold = await home.recorder.custody.hold(RECORDING, reason="a claim", by="key/op", until_ms=None)
        with pytest.raises(BroadcastConflict, match="legal hold"):
            await home.broadcasts.replay(RECORDING, [there])
        await home.recorder.custody.release(RECORDING, hold.id, by="key/op")
        assert await home.broadcasts.broadcasts() == []
        assert home.broadcasts._running == {}
        assert not home.workers()


async def test_without_cpu_time_a_replay_is_refused_and_a_planned_one_waits(tmp_path):
    async with house(tmp_path, replace(CONFIG, cores=0.01)) as home:
        await shelve(home, agreed=("ada",))
        there = [await home.destination()]
        planned = await home.broadcasts.replay(
            RECORDING, there, at_ms=home.broadcasts._clock.wall_ms() + 1_000
        )
        await home.broadcasts.replay(RECORDING, there, is_looped=True)
        with pytest.raises(BroadcastTooDear, match="cores"):
            await home.broadcasts.replay(RECORDING, there)
        deadline = time.monotonic() + 20
        while not (waiting := await home.broadcasts.status(planned.id)).reason:
            assert time.monotonic() < deadline
        assert waiting.state == "scheduled"
        assert "cores" in waiting.reason


async def test_deleting_the_recording_ends_its_replays_first(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        there = await home.destination()
        info = await home.broadcasts.replay(RECORDING, [there], is_looped=True)
        planned = await home.broadcasts.replay(
            RECORDING, [there], at_ms=home.broadcasts._clock.wall_ms() + 3_600_000
        )
        await until(lambda: shown(home, info), "bob")
        await home.recorder.delete(RECORDING)
        for broadcast in (info.id, planned.id):
            over = await home.broadcasts.status(broadcast)
            assert (over.state, over.reason) == ("failed", "the recording was deleted")
        assert not home.workers()


async def test_a_program_that_dies_goes_on_where_the_recording_is(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        info = await home.broadcasts.replay(RECORDING, [await home.destination()], is_looped=True)
        await until(lambda: shown(home, info), "bob")
        (worker,) = home.workers()
        position = home.running(info).info().replay
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: home.workers() and home.workers()[0].pid != worker.pid, "another process")
        await until(lambda: home.playlist(info).count("#EXT-X-MAP") == 2, "segments of the other process", 30)
        await until(lambda: shown(home, info), "bob again", 30)
        now = home.running(info).info().replay
        assert (now.turn, now.position_ms) > (position.turn, position.position_ms)


async def test_the_look_and_the_destinations_change_while_it_runs(tmp_path):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        first, second = await home.destination(), await home.destination(await home.site(), delay_s=2.0)
        info = await home.broadcasts.replay(RECORDING, [first], is_looped=True)
        await until(lambda: shown(home, info), "bob")
        other = await home.destination(site="other.example")
        await home.broadcasts.change(info.id, LookChange(layout="single", person="ada"))
        await home.broadcasts.add_to(info.id, second)
        added = await home.broadcasts.add_to(info.id, other)
        assert [status.delay_s for status in added.destinations] == [0.0, 0.0, 0.0]
        assert len(home.running(info).programs) == 1
        with pytest.raises(BroadcastConflict, match="already"):
            await home.broadcasts.add_to(info.id, other)
        with pytest.raises(BroadcastConflict, match="nothing to dump"):
            await home.broadcasts.dump(info.id)
        refused = await home.destination(partner=await home.partner("live.example", uses=("live",)))
        with pytest.raises(BroadcastConflict, match="do not cover replay"):
            await home.broadcasts.add_to(info.id, refused)
        await home.live(info)
        await until(lambda: hears_bob(newest(home, info)) and not shown(home, info), "bob only heard", 30)
        await home.broadcasts.take_out(info.id, first)
        await home.broadcasts.partners.block(await home.partner("other.example"), is_blocked=True)
        states = {status.destination: status.state for status in home.running(info).destinations}
        assert (states[first], states[other], states[second]) == ("stopped", "stopped", "live")


@pytest.mark.parametrize("holds", [True, False], ids=["blocked", "blocking"])
@pytest.mark.parametrize("what", ["start", "addition"])
@pytest.mark.timeout(180)
async def test_a_kill_switch_at_any_moment_lets_no_replay_begin_there(tmp_path, what, holds):
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        mine, theirs = await home.destination(), await home.destination(site="other.example")
        partner = home.partners["other.example"]
        block = partial(home.broadcasts.partners.block, partner, is_blocked=True)
        running = None
        if what == "addition":
            running = await home.broadcasts.replay(RECORDING, [mine], is_looped=True)
        for at in itertools.count():
            began = (
                home.broadcasts.replay(RECORDING, [theirs])
                if running is None
                else home.broadcasts.add_to(running.id, theirs)
            )
            race = Meanwhile(began, at, block, holds=holds)
            await outcome(race, BroadcastConflict, Refused)
            if race.task is None:
                break
            await race.task
            assert home.goes_to(partner) == []
            if running is None:
                await until(lambda: home.broadcasts._running == {}, "its end")
            await home.broadcasts.partners.block(partner, is_blocked=False)
        assert at > 2, "the control: it waits"
        assert home.goes_to(partner) == [theirs], "the control: unblocked, it goes there"


async def test_a_crash_of_the_server_ends_the_spans_of_whoever_was_shown(tmp_path):
    async with house(tmp_path) as home:
        there = await home.destination()
        await home.store.broadcasts.add(
            BroadcastRow(
                id="bc_crashed",
                room=ROOM_ID,
                room_name=ROOM,
                recording=RECORDING,
                state=BroadcastState.RUNNING,
                started_at_ms=1,
                destinations=(there,),
                details={
                    "replay": {"at_ms": None, "loop": False, "look": {}},
                    "shown": {"bob": [[1_000, None]]},
                    "programs": {"bc_crashed": [there]},
                },
            )
        )
    async with house(tmp_path) as home:
        ended_ms = (await home.broadcasts.status("bc_crashed")).ended_ms
        (copy,) = await home.broadcasts.takedowns.copies("bob", room=ROOM_ID)
        assert (copy.from_ms, copy.until_ms) == (1_000, ended_ms)
        assert await home.broadcasts.takedowns.copies("bob", room="rm_other") == []
