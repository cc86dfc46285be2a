"""A cut: nothing of a person is written after it was acknowledged, and everybody else's recording goes on."""

import asyncio
import os
import time

import pytest

from recorder.worker.messages import CutDone, CutPerson
from recorder.worker.part import FRAGMENT_NS
from tests.media import encoded
from tests.recorder.rig import audio_records, frame_times, lumas, picture, sound, video_records
from tests.support.canary import CanaryWatch
from tests.support.figures import tell

MS = 1_000_000


def canary_records(tapped, canary, count, *, first=0):
    """VP8 frames that carry the canary: keyframes, so that each one could be recorded by itself."""
    key = b"\x10" + b"\x10\x00\x00\x9d\x01\x2a\xa0\x00\x78\x00"
    return [
        tapped.writer.packet(key + canary * 8, (first + number) * 40 * MS, marker=True)
        for number in range(count)
    ]


async def test_after_the_acknowledged_cut_no_byte_of_the_person_reaches_a_file(rig):
    before, open_, after = os.urandom(32), os.urandom(32), os.urandom(32)
    canaries = {"before": before, "open": open_, "after": after}
    watch = CanaryWatch([rig.folder], canaries, processes=[rig.worker.pid])
    try:
        gate = rig.join("u_eve", "Eve", 2)
        camera = rig.open(rig.tap("u_eve", "camera", "vp8", gate))
        began = time.monotonic()
        # The last begins a fragment: the one before is written.
        await rig.send(canary_records(camera, before, 27))
        path = rig.folder / "u_eve-camera-001.webm"
        await rig.holds(path.name, before)
        # These fill the open fragment, the socket and the queue when the cut comes.
        await rig.send(canary_records(camera, open_, 8, first=27))
        latency_ms = await rig.cut("u_eve", gate)
        # A fragment that is open for longer is written; where the machine stood still, before the cut.
        is_still_open = (time.monotonic() - began) * 1e9 < FRAGMENT_NS
        size = path.stat().st_size
        await rig.send(canary_records(camera, after, 100, first=35))
        rig.chat("u_eve", "Eve", after.hex(), gate)
        await rig.sent()
        await rig.stop()
    finally:
        watch.close()
    tell(f"cut acknowledged in {latency_ms:.1f} ms")
    assert latency_ms < 4 * 150
    assert watch.found["before"]
    assert not watch.found["after"]
    assert not (is_still_open and watch.found["open"])
    assert path.stat().st_size == size
    assert after.hex() not in (rig.folder / "events.jsonl").read_text()
    assert len(frame_times(path)) <= 27
    assert [event["reason"] for event in rig.events("cut")] == ["revoked"]


async def test_others_are_recorded_on_while_one_is_cut(rig):
    ada, eve = rig.join("u_ada", "Ada", 1), rig.join("u_eve", "Eve", 2)
    theirs = rig.open(rig.tap("u_ada", "camera", "vp8", ada))
    hers = rig.open(rig.tap("u_eve", "camera", "vp8", eve))
    frames = picture("vp8", 4)
    await rig.send(video_records(theirs, frames[:50]))
    await rig.send(video_records(hers, frames[:50]))
    await rig.holds("u_eve-camera-001.webm", frames[0])
    await rig.cut("u_eve", eve)
    await rig.send(video_records(theirs, frames[50:], first=50))
    await rig.sent()
    await rig.stop()
    assert len(lumas(rig.folder / "u_ada-camera-001.webm")) == 100
    assert len(lumas(rig.folder / "u_eve-camera-001.webm")) < 50


async def test_the_closed_gate_alone_stops_the_writing_without_any_message(rig):
    gate = rig.join("u_eve", "Eve", 2)
    camera = rig.open(rig.tap("u_eve", "camera", "vp8", gate))
    canary = os.urandom(32)
    await rig.send(canary_records(camera, canary, 8))
    await rig.sent()
    rig.page.store_closed(2, gate.version + 1)
    await rig.send(canary_records(camera, canary, 50, first=8))
    await rig.sent()
    await asyncio.sleep(0.7)  # longer than a fragment stays open
    await rig.stop()
    assert rig.media_names() == []


async def test_a_grant_given_again_begins_a_new_part(rig):
    gate = rig.join("u_ada", "Ada", 1)
    first = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    frames = encoded.video("vp8", (120,) * 100, gop=25)
    await rig.send(video_records(first, frames[:50]))
    await rig.holds("u_ada-camera-001.webm", frames[0])
    await rig.cut("u_ada", gate)
    gate = rig.join("u_ada", "Ada", 1)
    second = rig.open(rig.tap("u_ada", "camera", "vp8", gate, seq=500))
    await rig.send(video_records(second, frames[50:], first=50))
    await rig.sent()
    await rig.stop()
    assert rig.media_names() == ["u_ada-camera-001.webm", "u_ada-camera-002.webm"]
    assert frame_times(rig.folder / "u_ada-camera-002.webm")[0] == pytest.approx(2.0, abs=0.01)
    assert [event["name"] for event in rig.events("person_joined")] == ["Ada", "Ada"]


async def test_records_of_an_old_version_are_dropped_under_a_new_grant(rig):
    old = rig.join("u_ada", "Ada", 1)
    stale = rig.tap("u_ada", "camera", "vp8", old)
    await rig.cut("u_ada", old)
    gate = rig.join("u_ada", "Ada", 1)
    rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    await rig.send(video_records(stale, picture("vp8", 1)))
    await rig.sent()
    await rig.stop()
    assert rig.media_names() == []


async def test_a_cut_covers_every_source_and_the_chat_of_the_person(rig):
    gate = rig.join("u_eve", "Eve", 2)
    camera = rig.open(rig.tap("u_eve", "camera", "vp8", gate))
    mic = rig.open(rig.tap("u_eve", "mic", "opus", gate))
    await rig.send(video_records(camera, picture("vp8", 1)[:10]))
    await rig.send(audio_records(mic, sound(1)[:20]))
    await rig.sent()
    await rig.cut("u_eve", gate)
    await rig.stop()
    assert rig.media_names() == []


async def test_a_cut_of_somebody_unknown_is_acknowledged(rig):
    rig.tell(CutPerson(9, "u_nobody", ((7, 3),), "left"))
    await rig.until(lambda: CutDone(9) in rig.messages, "the acknowledgement")


@pytest.mark.parametrize("number", range(3))
async def test_cuts_under_load_are_acknowledged_in_time(rig, number):
    """Ten people at once, all sending; one cut after the other."""
    gates = {f"u_{index}": rig.join(f"u_{index}", f"N{index}", index + 1) for index in range(10)}
    taps = {person: rig.open(rig.tap(person, "camera", "vp8", gate)) for person, gate in gates.items()}
    frames = encoded.video("vp8", (120,) * 30, noise=True)
    latencies = []
    for at, (person, gate) in enumerate(gates.items()):
        for tapped in taps.values():
            await rig.send(video_records(tapped, frames[3 * at : 3 * at + 3], first=3 * at))
        latencies.append(await rig.cut(person, gate, at))
    # 150 ms are promised; a machine that is shared is given four times as long.
    assert max(latencies) < 4 * 150
