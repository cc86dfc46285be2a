"""What a page shows of a recording: by use, by what people say now, from sealed files; own files; erasure."""

import asyncio
import io
from dataclasses import replace

import av
import pytest

from policy import RECORD, REPLAY, Permission
from recorder import RecordingConflict, RecordingNotFound, RenderWish
from tests.recorder.house import ROOM, SEALED, house, until

RED, BLUE = (200, 30, 30), (30, 30, 200)
WISH = RenderWish(width=320, height=180, fps=10)


async def settled(home, info, rendition):
    def known():
        found = home.recorder.renditions.get(info.id, rendition.id)
        return found if found.state in {"finished", "failed"} else None

    return await until(known, "a settled rendition", 60)


async def recorded(home):
    """A finished recording of ada, who agrees to a replay, and bea, who does not; both wrote."""
    ada, bea = await home.enter("ada", colour=RED), await home.enter("bea", colour=BLUE, hz=880)
    await ada.participant.consent({REPLAY: True})
    info = await home.recorder.start(ROOM)
    for person in (ada, bea):
        await person.acknowledge()
        await home.grows(info, person.person, "camera")
        await person.participant.chat(f"I am {person.participant.identity}")
    await asyncio.sleep(0.5)
    await home.recorder.stop(info.id)
    await home.finished(info)
    return info, ada, bea


async def is_over(going):
    """Nothing more can be read of these files."""
    for file in going:
        with pytest.raises(RecordingConflict, match="not given out"):
            await file.read(0, 10)
        await file.close()


async def is_hidden_with_the_room(home, info, film, going):
    """What the room offered holds, whatever comes of the room."""
    playback = home.recorder.playback
    # The room no longer offers the use: nobody is shown, whatever was agreed to before.
    settings = replace(home.rooms.settings_of(ROOM), uses=frozenset({RECORD}))
    await home.rooms.update_room(ROOM, settings)
    await until(lambda: going.is_ended, "the film ends")
    await going.close()
    assert len(home.recorder.transfers) == 0
    assert (await playback.info(info.id, "replay")).hidden == 2
    assert await playback.renditions(info.id, "replay") == []
    with pytest.raises(RecordingConflict, match="made again"):
        await playback.open_file(info.id, film.id, film.name, "replay")

    # Nor when the room is gone, and the house's rooms offer it, nor in another room of that name.
    await home.rooms.close_room(ROOM)
    assert REPLAY in home.rooms.settings_of(ROOM).uses
    assert (await playback.info(info.id, "replay")).hidden == 2
    await home.rooms.create_room(ROOM)
    assert (await playback.info(info.id, "replay")).hidden == 2


async def content(file):
    data = b""
    while piece := await file.read(len(data), 1 << 20):
        data += piece
    await file.close()
    return data


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_each_use_shows_those_who_agree_to_it_now(tmp_path):
    async with house(tmp_path, SEALED) as home:
        info, ada, bea = await recorded(home)
        playback, renditions = home.recorder.playback, home.recorder.renditions
        whole = await playback.info(info.id, "record")
        assert {one.person: one.name for one in whole.attendees} == {ada.person: "ada", bea.person: "bea"}
        assert whole.hidden == 0
        assert all(0 <= span.from_ms < span.to_ms for one in whole.attendees for span in one.spans)
        assert all(one.sources == ("camera",) for one in whole.attendees)
        shown = await playback.info(info.id, "replay")
        assert ([one.name for one in shown.attendees], shown.hidden) == (["ada"], 1)
        said = await playback.chat(info.id, "record")
        assert [(line.name, line.text) for line in said] == [("ada", "I am ada"), ("bea", "I am bea")]
        assert await playback.chat(info.id, "record", after=1, limit=5) == said[1:]
        assert await playback.chat(info.id, "replay") == said[:1]
        assert len(playback._quotes) == 1

        film = await settled(home, info, await renditions.render(info.id, WISH))
        own = await settled(
            home, info, await renditions.render(info.id, RenderWish(layout="copy", person=bea.person))
        )
        viewers = await settled(home, info, await renditions.render(info.id, replace(WISH, use="replay")))
        assert viewers.people == (ada.person,)
        assert [one.id for one in await playback.renditions(info.id, "replay")] == [viewers.id]
        assert [one.id for one in await playback.renditions(info.id, "record")] == [
            viewers.id,
            own.id,
            film.id,
        ]
        for name in film.beside:
            assert len(await content(await playback.open_file(info.id, film.id, name, "record"))) > 50
        assert await playback.open_file(info.id, film.id, "rendition.json", "record") is None
        with pytest.raises(RecordingNotFound):
            await playback.open_file(info.id, film.id, "rendition.mp4", "replay")
        packets = await content(await playback.open_file(info.id, own.id, own.name, "record"))
        with av.open(io.BytesIO(packets)) as container:
            assert [stream.type for stream in container.streams] == ["video", "audio"]
        again = await renditions.render(info.id, RenderWish(layout="copy", person=bea.person))
        assert again.id == own.id

        going = [
            await playback.open_file(info.id, made.id, made.name, use)
            for made, use in ((film, "record"), (own, "record"), (viewers, "replay"))
        ]
        assert all([await file.read(0, 10) for file in going])
        await bea.participant.consent({RECORD: False})
        assert [file.is_ended for file in going] == [True, True, False]
        await is_over(going[:2])
        assert await going[2].read(10, 10)
        assert [one.name for one in (await playback.info(info.id, "record")).attendees] == ["ada"]
        assert await playback.chat(info.id, "record") == said[:1]
        assert [one.id for one in await playback.renditions(info.id, "record")] == [viewers.id]
        for made in (film, own):
            with pytest.raises(RecordingConflict, match="made again"):
                await playback.open_file(info.id, made.id, made.name, "record")
        screen = RenderWish(layout="copy", person=ada.person, source="screen")
        with pytest.raises(RecordingNotFound, match="screen"):
            await renditions.render(info.id, screen)
        with pytest.raises(RecordingConflict, match="one person"):
            await renditions.render(info.id, RenderWish(layout="copy"))
        refused = await renditions.render(info.id, RenderWish(layout="copy", person=ada.person, use="replay"))
        assert (await settled(home, info, refused)).state == "finished"

        await is_hidden_with_the_room(home, info, viewers, going[2])


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_withdrawal_takes_stills_and_own_files_too_and_is_reported(tmp_path):
    async with house(tmp_path, SEALED) as home:
        info, ada, bea = await recorded(home)
        renditions, custody = home.recorder.renditions, home.recorder.custody
        film = await settled(home, info, await renditions.render(info.id, WISH))
        own = await settled(
            home, info, await renditions.render(info.id, RenderWish(layout="copy", person=bea.person))
        )
        hers = await settled(
            home, info, await renditions.render(info.id, RenderWish(layout="copy", person=ada.person))
        )
        root = home.store.blobs.path("renditions", info.id)
        before = {path: path.read_bytes() for path in (root / film.id).glob("*.jpg")}
        assert len(before) == 2
        hold = await custody.hold(info.id, reason="a claim", by="key/op", until_ms=None)
        part = next(file for file in await home.recorder.files(info.id) if bea.person in file.name)
        manifest = (await home.recorder.file(info.id, "manifest.json"))[1]
        _, theirs = await home.recorder.file(info.id, part.name)
        going = [await renditions.open_file(info.id, film.id, name) for name in (film.name, "poster.jpg")]
        going += [await renditions.open_file(info.id, own.id, own.name), theirs, manifest]
        others = await renditions.open_file(info.id, hers.id, hers.name)
        assert len(home.recorder.transfers) == 6
        await home.rooms.withdrawals.withdraw(bea.person)
        await is_over(going)
        assert await others.read(0, 10)
        await until(lambda: renditions.get(info.id, film.id).state == "withheld", "the withheld film")
        await until(lambda: renditions.get(info.id, own.id).state == "withheld", "the withheld copy")
        with pytest.raises(RecordingConflict):
            await renditions.open_file(info.id, film.id, "poster.jpg")
        (told,) = await custody.erasures(bea.person)
        assert told.outcome == "held"
        assert {copy.rendition: copy.outcome for copy in told.copies} == {
            film.id: "withheld",
            own.id: "withheld",
        }
        assert {path: path.read_bytes() for path in before} == before

        await custody.release(info.id, hold.id, by="key/op")

        def remade():
            found = renditions.get(info.id, film.id)
            return found.state == "finished" and bea.person not in found.people

        await until(remade, "the film without bea", 60)
        assert not (root / own.id).exists()
        assert renditions.get(info.id, hers.id).state == "finished"
        after = {path: path.read_bytes() for path in (root / film.id).glob("*.jpg")}
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        await until(lambda: not list(home.folder(info).glob("erase.*")), "the erasure's end")
        (told,) = await custody.erasures(bea.person)
        outcomes = {copy.rendition: copy.outcome for copy in told.copies}
        assert (told.outcome, outcomes) == ("erased", {film.id: "made_again", own.id: "removed"})
        files = next(copy.files for copy in told.copies if copy.rendition == film.id)
        assert files == ("rendition.mp4", "stills-000.jpg", "stills.vtt", "poster.jpg")
        assert await custody.erasures(ada.person) == ()
        await home.recorder.delete(info.id)
        assert others.is_ended
        await others.close()
        assert not root.exists()


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_who_may_not_be_shown_has_no_copy(tmp_path):
    async with house(tmp_path) as home:
        info, _, bea = await recorded(home)
        wish = RenderWish(layout="copy", person=bea.person, use="replay")
        made = await settled(home, info, await home.recorder.renditions.render(info.id, wish))
        assert (made.state, made.reason) == ("failed", "the person does not agree to it any more")
        assert Permission.WATCH not in bea.participant.permissions
