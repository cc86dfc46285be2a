"""Composed files of finished recordings: who is in them, in step, whole after a kill."""

import asyncio
import hashlib
import io
import os
from dataclasses import replace

import av
import msgspec
import pytest
from PIL import Image

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from bench.studio.flash import av_offset_ms, av_offsets_ms, beep_times, flash_times
from media.sealed import SealedWriter
from recorder import RecordingConflict, RecordingNotFound, RenderWish
from recorder.data_keys import DataKeys
from recorder.keys import KeyStore, MasterKeys
from recorder.render.job import LOUDEST
from recorder.render.job import render as render_all
from recorder.render.messages import CAPTIONS, FromRenderer, RenderConfig, RenderFailed
from recorder.render.storage import open_rendition
from server.supervise import Supervisor
from store import LedgerKind
from tests.recorder.finished import recording, share
from tests.recorder.house import ROOM, SEALED, house, until
from tests.recorder.test_custody import noted

BOB = 120
RED, BLUE = (200, 30, 30), (30, 30, 200)
AV_OFFSET_MS = 40


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "rec_1"
    folder.mkdir()
    recording(folder)
    return folder


def config(source, **more):
    wish = {"people": ("ada", "bob"), "width": 320, "height": 180, "fps": 25} | more
    wish = {"keys": None, "folder": str(source.parent / "out")} | wish
    return RenderConfig(id="rnd_1", recording=str(source), **wish)


def render(config, progress):
    """Where the rendition lies."""
    return render_all(config, progress).path


@pytest.mark.parametrize("format_", ["mp4", "webm"])
def test_everyone_is_seen_and_heard_in_step(source, format_):
    shares = []
    made = render(config(source, format=format_), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert share(made, BOB, at_s=0.6) < 0.01
    assert share(made, BOB, at_s=1.8) > 0.12
    assert share(made, BOB, at_s=3.2) > 0.12, "the second part goes on where it belongs"
    assert tone_level(samples(str(made)), 440) > 0.05
    with av.open(str(made)) as container:
        assert container.duration / av.time_base == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize("format_", ["mp4", "webm"])
def test_sound_and_picture_are_in_step(source, format_):
    made = render(
        config(source, format=format_, people=("ada",), main="ada", layout="single"), lambda _: None
    )
    flashes = flash_times(made)
    assert flashes == pytest.approx([1, 2, 3], abs=0.021), "a picture is at most half a period off"
    assert abs(av_offset_ms(flashes, beep_times(made))) <= AV_OFFSET_MS


def test_sound_and_picture_are_in_step_behind_packets_that_were_lost(source):
    recording(source, lost={20, 30, 70, 71, 120})
    made = render(config(source, people=("ada",), main="ada", layout="single"), lambda _: None)
    offsets = av_offsets_ms(flash_times(made), beep_times(made))
    assert len(offsets) == 3
    assert max(map(abs, offsets)) <= AV_OFFSET_MS / 2 + 5, offsets


def test_somebody_who_may_not_be_in_it_is_a_silent_nameless_placeholder(source):
    made = render(config(source, people=("ada",), chat="webvtt"), lambda _: None)
    assert share(made, BOB, at_s=1.8) < 0.01
    assert tone_level(samples(str(made)), 440) < 0.005
    assert "hello" not in (made.parent / CAPTIONS).read_text()


def test_one_person_alone_is_a_file_of_their_own(source):
    made = render(config(source, people=("bob",), layout="single", main="bob"), lambda _: None)
    assert share(made, BOB, at_s=1.8) > 0.6
    assert len(flash_times(made)) == 0


def test_captions_are_beside_the_picture_and_escaped(source):
    made = render(config(source, chat="webvtt"), lambda _: None)
    text = (made.parent / CAPTIONS).read_text()
    assert text.startswith("WEBVTT\n\n00:00:02.000 --> 00:00:07.000\n<v Bob>hello &lt;b&gt; &amp; all")


class Killed(Exception):
    pass


def test_what_was_made_before_a_kill_is_not_made_again(source, monkeypatch):
    monkeypatch.setattr("recorder.render.job.CHUNK_S", 1)
    wanted = config(source, layout="speaker", main="ada")

    def die(share):
        if share > 0.5:
            raise Killed

    with pytest.raises(Killed):
        render(wanted, die)
    folder = source.parent / "out"
    (folder / "picture-00003.mkv.tmp").write_bytes(b"torn")
    before = {path.name: path.stat().st_ino for path in folder.glob("picture-*.mkv")}
    assert 0 < len(before) < 4
    for path in source.glob("ada-mic*"):
        path.unlink()  # the sound is done: it is not read again
    seen = []

    def look(share):
        seen.append({path.name: path.stat().st_ino for path in folder.glob("picture-*.mkv")})

    made = render(wanted, look)
    assert before.items() <= seen[-2].items()
    assert len(flash_times(made)) == 3
    assert {path.name for path in folder.iterdir()} == {
        made.name,
        "stills-000.jpg",
        "stills.vtt",
        "poster.jpg",
    }


@pytest.mark.parametrize(("layout", "files"), [("grid", 4), ("copy", 1)])
def test_what_is_sealed_is_at_no_time_anything_else(source, tmp_path, layout, files):
    access = KeyStore(tmp_path / "keys", MasterKeys([os.urandom(32)])).access("rec_1")
    folder = tmp_path / "out"
    seen = set()

    def look(_):
        for path in folder.iterdir():
            head = path.read_bytes()[:8]
            assert path.suffix == ".json" or head == b"PRLYSEAL"[: len(head)], path
            seen.add(path.name)

    made = render(config(source, keys=access, layout=layout, main="bob"), look)
    look(1.0)
    left = {path.name for path in folder.iterdir()}
    assert len(left) == files
    assert left < seen
    key = DataKeys(access).get("rnd_1")
    with open_rendition(made, key) as file, av.open(file) as container:
        assert len(list(container.decode(video=0))) >= 60
    for path in folder.glob("*.jpg"):
        assert b"JFIF" not in path.read_bytes()
        with open_rendition(path, key) as file:
            assert Image.open(file).format == "JPEG"


async def made(home, info, rendition):
    def settled():
        known = home.recorder.renditions.get(info.id, rendition)
        return known if known.state in {"finished", "failed"} else None

    return await until(settled, "a finished rendition", 60)


async def plain(home, info, rendition):
    file = await home.recorder.renditions.open_file(info.id, rendition.id, rendition.name)
    data = b""
    while piece := await file.read(len(data), 1 << 20):
        data += piece
    await file.close()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (rendition.size_bytes, rendition.sha256)
    return data


async def failure(wanted):
    """Why a rendering process gives up."""
    supervisor = Supervisor()
    worker = await supervisor.spawn("recorder.render", {}, msgspec.to_builtins(wanted))
    try:
        async with asyncio.timeout(20):
            while (
                message := await worker.control.receive(msgspec.msgpack.Decoder(FromRenderer))
            ) is not None:
                if isinstance(message, RenderFailed):
                    return message.reason
            await worker.wait()
    finally:
        await worker.control.close()
        await supervisor.close()


@pytest.mark.parametrize("damage", [b"", b'{"manifest": {', b'{"other": ' + b"[" * 200_000])
async def test_a_damaged_manifest_is_the_reason_of_a_rendition_that_fails(source, damage):
    (source / "manifest.json").write_bytes(damage)
    assert "the manifest cannot be read" in await failure(config(source))


async def test_a_part_whose_key_is_gone_is_the_reason_of_a_rendition_that_fails(source):
    path = source / "bob-mic-001.webm"
    content = path.read_bytes()
    with path.open("wb+") as file, SealedWriter(file, os.urandom(32)) as sealed:
        sealed.write(content)
    assert "there is no key for bob-mic-001.webm" in await failure(config(source))


def test_a_damaged_note_of_who_is_loud_costs_the_sound_again(source, monkeypatch):
    wanted = config(source, layout="speaker")

    def die(share):
        if share > 0.2:
            raise Killed

    with pytest.raises(Killed):
        render(wanted, die)
    note = source.parent / "out" / LOUDEST
    before = note.read_bytes()
    note.write_bytes(before[: len(before) // 2])
    with pytest.raises(Killed):
        render(wanted, die)
    assert note.read_bytes() == before


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_withdrawal_removes_a_rendition_and_makes_it_again_without_the_person(tmp_path):
    wish = RenderWish(width=320, height=180, fps=10)
    async with house(tmp_path) as home:
        ada, bea = await home.enter("ada", colour=RED), await home.enter("bea", colour=BLUE, hz=880)
        info = await home.recorder.start(ROOM)
        with pytest.raises(RecordingConflict):
            await home.recorder.renditions.render(info.id, wish)
        for person in (ada, bea):
            await person.acknowledge()
            await home.grows(info, person.person, "camera")
        await home.recorder.stop(info.id)
        await home.finished(info)
        home.recorder.renditions.yield_to(lambda *, has_begun: "it waits for programs")
        both = await home.recorder.renditions.render(info.id, wish)
        await until(lambda: home.recorder.renditions.get(info.id, both.id).reason, "the reason")
        waiting = home.recorder.renditions.get(info.id, both.id)
        assert (waiting.state, waiting.reason) == ("queued", "it waits for programs")
        home.recorder.renditions.yield_to(lambda *, has_begun: None)
        alone = await home.recorder.renditions.render(
            info.id, replace(wish, layout="single", person=bea.person)
        )
        with pytest.raises(RecordingNotFound):
            await home.recorder.renditions.render(info.id, replace(wish, person="nobody"))
        with pytest.raises(RecordingNotFound):
            home.recorder.renditions.get("rec_other", both.id)
        first = await made(home, info, both.id)
        assert (first.state, first.reason, set(first.people)) == ("finished", None, {ada.person, bea.person})
        before = await plain(home, info, first)
        picture = colours(io.BytesIO(before))[-1]
        assert share_of_colour(picture, RED) > 0.1
        assert share_of_colour(picture, BLUE) > 0.1
        assert tone_level(samples(io.BytesIO(before)), 880) > 0.01
        assert (await made(home, info, alone.id)).people == (bea.person,)
        assert [one.id for one in home.recorder.renditions.of(info.id)] == [alone.id, both.id]

        await home.rooms.withdrawals.withdraw(bea.person)
        await until(lambda: both.id in remade(home, info, bea.person), "a rendition without bea", 60)
        again = await made(home, info, both.id)
        after = await plain(home, info, again)
        assert not any(share_of_colour(picture, BLUE) > 0.01 for picture in colours(io.BytesIO(after)))
        assert tone_level(samples(io.BytesIO(after)), 880) < 0.005
        assert [one.id for one in home.recorder.renditions.of(info.id)] == [both.id]
        root = home.store.blobs.path("renditions", info.id)
        assert not (root / alone.id).exists()
        await home.recorder.delete(info.id)
        assert not root.exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_withdrawal_under_a_hold_withholds_a_rendition_until_the_hold_ends(tmp_path):
    wish = RenderWish(width=320, height=180, fps=10)
    async with house(tmp_path, SEALED) as home:
        ada, bea = await home.enter("ada", colour=RED), await home.enter("bea", colour=BLUE)
        info = await home.recorder.start(ROOM)
        for person in (ada, bea):
            await person.acknowledge()
            await home.grows(info, person.person, "camera")
        await home.recorder.stop(info.id)
        await home.finished(info)
        renditions, custody = home.recorder.renditions, home.recorder.custody
        both = await made(home, info, (await renditions.render(info.id, wish)).id)
        picture = colours(io.BytesIO(await plain(home, info, both)))[-1]
        assert share_of_colour(picture, BLUE) > 0.1
        file = home.store.blobs.path("renditions", info.id) / both.id / both.name
        sealed = file.read_bytes()
        hold = await custody.hold(info.id, reason="a claim", by="key/op", until_ms=None)
        other = await renditions.render(info.id, replace(wish, width=1280, height=720, fps=60))
        await until(lambda: renditions.get(info.id, other.id).state == "rendering", "the other one begun")
        assert renditions.get(info.id, other.id).people == both.people

        await home.rooms.withdrawals.withdraw(bea.person)
        await until(lambda: renditions.get(info.id, both.id).state == "withheld", "the withheld one")
        with pytest.raises(RecordingConflict, match="withheld"):
            await renditions.open_file(info.id, both.id, both.name)
        with pytest.raises(RecordingConflict, match="legal hold"):
            await renditions.remove(info.id, both.id)
        assert file.read_bytes() == sealed
        assert (await made(home, info, other.id)).people == (ada.person,)
        with pytest.raises(RecordingNotFound):
            await renditions.render(info.id, replace(wish, layout="single", person=bea.person))

        await custody.release(info.id, hold.id, by="key/op")
        await until(lambda: both.id in remade(home, info, bea.person), "a rendition without bea", 60)
        after = await plain(home, info, await made(home, info, both.id))
        assert not any(share_of_colour(picture, BLUE) > 0.01 for picture in colours(io.BytesIO(after)))
        await until(lambda: not list(home.folder(info).glob("erase.*")), "the erasure's end")
        assert await noted(home, LedgerKind.ERASED) == [LedgerKind.ERASED]
        (erasure,) = await custody.erasures(bea.person)
        assert erasure.outcome == "erased"


def remade(home, info, person):
    """Renditions that were finished without that person."""
    return [
        one.id
        for one in home.recorder.renditions.of(info.id)
        if one.state == "finished" and person not in one.people
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_rendition_that_a_crash_cut_short_is_made_at_the_next_start(tmp_path):
    wish = RenderWish(width=320, height=180, fps=10)
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        await home.recorder.stop(info.id)
        await home.finished(info)
        queued = await home.recorder.renditions.render(info.id, wish)
    async with house(tmp_path) as home:
        rendition = await made(home, info, queued.id)
        assert (rendition.state, rendition.people) == ("finished", (ada.person,))
