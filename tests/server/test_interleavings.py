"""People who come, agree, take it back and go while recordings and broadcasts start and stop, in any order.

Each frame, chat line and name carries the number of the state it was sent in; pictures and sound say by a
colour and a tone whether they may be live. Whatever was sent in a state without a grant is in no file at any
time, and in nothing that a site got; nor is the name of somebody who never had one. In the end films and
their stills are composed of what was recorded, with the same eyes on every file: who is in no recording is in
none of them.
"""

import asyncio
import contextlib
import functools
import io
import itertools
import random
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.rpc import CallRefused
from bench.studio.decoded import loudest, pictures, samples, share_of_colour
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.hls_player import HlsPlayer
from bench.studio.house import house
from bench.studio.player import with_canary_audio, with_canary_video
from bench.target import TargetFailed
from tests.support.canary import STAMP_BYTES, StampWatch, stamps_behind
from tests.support.figures import tell
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

STEPS = 32
REST_S = (0.02, 0.1, 0.4)
READ_EACH_S = 0.25
SMALL = (160, 90)
SEEN, HEARD = 0.03, 0.05
SETTLES_S = 1.0
FILM = {"layout": "grid", "chat": "webvtt", "width": 320, "height": 180, "fps": 5}
RENDERED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Look:
    """What somebody shows and sounds like: while they may be live, and while they may not."""

    granted: tuple[int, int, int]
    ungranted: tuple[int, int, int]
    granted_hz: int
    ungranted_hz: int


LOOKS = {
    "ada": Look((200, 40, 40), (230, 230, 40), 400, 2_600),
    "bob": Look((40, 160, 40), (40, 230, 230), 700, 3_100),
    "cy": Look((50, 60, 200), (230, 40, 230), 1_000, 3_700),
}


@functools.cache
def media(name, is_granted):
    """Picture and sound of somebody while they may be live, or may not."""
    look = LOOKS[name]
    if is_granted:
        return encode_colour(look.granted), encode_tone(look.granted_hz)
    return encode_colour(look.ungranted), encode_tone(look.ungranted_hz)


class Site:
    """A player of one broadcast's HLS that keeps every text it was given beside the picture."""

    def __init__(self, there, path):
        self.player = HlsPlayer(there.http, there.served.url + path)
        self.texts = set()

    async def follow(self):
        with contextlib.suppress(RuntimeError):  # the broadcast has ended
            while True:
                await self.player.look()
                self.texts.update(await self.player.captions())
                await asyncio.sleep(READ_EACH_S)


@dataclass
class Recorded:
    """One recording, and whoever said yes to it for a moment at least."""

    id: str = ""
    people: set = field(default_factory=set)


@dataclass
class Actor:
    """One person: whether they are there, and what they have said yes to as far as anybody was told."""

    name: str
    person: object = None
    name_stamp: bytes = b""
    uses: dict = field(default_factory=lambda: {"live": False, "record": False})


class Play:
    """The room and what its people have done. Every change gives what is sent from then on a new stamp.

    `may_record` and `may_be_live` hold the stamps of what may be in files and at sites.
    """

    def __init__(self, there, mark, rng):
        self._there = there
        self._mark = mark
        self._rng = rng
        self._numbers = itertools.count(1)
        self._actors = [Actor(name) for name in LOOKS]
        self._beginning = None
        self._followers = []
        self.may_record, self.may_be_live = set(), set()
        self.control = set()
        self.recording = None
        self.recorded = []
        self.broadcast = None
        self.sites = []
        self.log = []

    async def begin(self):
        """Somebody who agreed to everything, and both a recording and a broadcast of them: the control."""
        await self._enter(self._actors[0], {"live": True, "record": True})
        await self._toggle_recording()
        await self._toggle_broadcast()
        await self._beginning
        await asyncio.sleep(SETTLES_S)
        self.control = {await self._say(self._actors[0]), self._actors[0].name_stamp}
        await asyncio.sleep(SETTLES_S)

    async def step(self):
        """Something that somebody may do now, and a line of everybody."""
        actor = self._rng.choice(self._actors)
        moves = [self._toggle_recording]
        moves += [self._toggle_broadcast] if self._beginning.done() else []
        moves += 3 * [lambda: self._change(actor)] if actor.person else 6 * [lambda: self._enter(actor)]
        if actor.person:
            moves.append(lambda: self._leave(actor))
        await self._rng.choice(moves)()
        await asyncio.gather(*map(self._say, self._actors))
        await asyncio.sleep(self._rng.choice(REST_S))

    async def end(self):
        """Everything stops."""
        await self._beginning
        if self.broadcast:
            await self._toggle_broadcast()
        if self.recording:
            await self._toggle_recording()
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)

    async def epilogue(self):
        """A last recording, of ada beside bob, who says no to it."""
        for actor, is_agreed in zip(self._actors, (True, False), strict=False):
            uses = {"live": False, "record": is_agreed}
            await (self._change(actor, uses) if actor.person else self._enter(actor, uses))
        await self._toggle_recording()
        await asyncio.sleep(2 * SETTLES_S)
        await self._toggle_recording()

    async def _enter(self, actor, uses=None):
        actor.uses = uses or {use: self._rng.random() < 0.5 for use in actor.uses}
        self.log.append(f"{actor.name} enters with {actor.uses}")
        agreed = {use: True for use, is_agreed in actor.uses.items() if is_agreed}
        actor.name_stamp = self._number()
        name = f"{actor.name} {(self._mark + actor.name_stamp).decode()}"
        while not actor.person:
            try:
                actor.person = await self._there.enter(actor.name, *self._media(actor), agreed, name=name)
            except CallRefused as error:
                if not str(error).startswith("notice_required"):  # of what began just then
                    raise

    async def _leave(self, actor):
        self.log.append(f"{actor.name} leaves")
        await actor.person.leave()
        actor.person = None

    async def _change(self, actor, wanted=None):
        wanted = wanted or {use: self._rng.random() < 0.5 for use in actor.uses}
        self.log.append(f"{actor.name} chooses {wanted}")
        either = {use: wanted[use] or actor.uses[use] for use in wanted}
        actor.uses = either
        self._stamp(actor)
        await asyncio.gather(actor.person.consent(wanted), self._say(actor))
        actor.uses = wanted
        self._stamp(actor)

    async def _toggle_recording(self):
        if self.recording:
            self.log.append("the recording stops")
            stopping = self._there.served.api("POST", f"/recordings/{self.recording}/stop")
            await asyncio.gather(stopping, *map(self._say, self._actors))
            self.recording = None
        else:
            self.log.append("a recording starts")
            self.recording = "starting"
            self.recorded.append(Recorded())
            self._stamp_all()
            self.recording, *_ = await asyncio.gather(self._there.record(), *map(self._say, self._actors))
            self.recorded[-1].id = self.recording
        self._stamp_all()

    async def _toggle_broadcast(self):
        """Others may do something while one comes up."""
        if self.broadcast:
            self.log.append("the broadcast stops")
            stopping = self._there.served.api("POST", f"/broadcasts/{self.broadcast}/stop")
            await asyncio.gather(stopping, *map(self._say, self._actors))
            self.broadcast = None
        else:
            self.log.append("a broadcast starts")
            self.broadcast = "starting"
            self._beginning = asyncio.create_task(self._go_live())
        self._stamp_all()

    async def _go_live(self):
        live = await self._there.go_live()
        self.broadcast = live["id"]
        self.log.append("it is live")
        self.sites.append(Site(self._there, live["hls_url"]))
        self._followers.append(asyncio.create_task(self.sites[-1].follow()))

    async def _say(self, actor):
        """A line, if they are there and have not written too many; its stamp."""
        stamp = self._number()
        if actor.person:
            with contextlib.suppress(CallRefused):
                await actor.person.say((self._mark + self._judged(actor, stamp)).decode())
        return stamp

    def _stamp_all(self):
        for actor in self._actors:
            if actor.person:
                self._stamp(actor)

    def _stamp(self, actor):
        actor.person.player.play(*self._media(actor))

    def _media(self, actor):
        video, audio = media(actor.name, bool(self.broadcast) and actor.uses["live"])
        canary = self._mark + self._judged(actor, self._number())
        return with_canary_video(video, canary), with_canary_audio(audio, canary)

    def _number(self):
        return str(next(self._numbers)).rjust(STAMP_BYTES, "0").encode()

    def _judged(self, actor, stamp):
        """Note where what has this stamp may be, and the name of whoever sends it."""
        stamps = {stamp, actor.name_stamp}
        if self.recording and actor.uses["record"]:
            self.may_record |= stamps
            self.recorded[-1].people.add(actor.name)
        self.may_be_live |= stamps if self.broadcast and actor.uses["live"] else set()
        return stamp


async def _composed(there, recording):
    """The folder of a film of a recording, with its stills, once it is whole."""
    films = f"/recordings/{recording}/renditions"
    made = await there.served.api("POST", films, FILM)

    async def is_whole():
        return (await there.served.api("GET", f"{films}/{made['id']}"))["state"] == "finished"

    await until(is_whole, f"the film of {recording}", RENDERED_WITHIN_S)
    return there.served.folder / "blobs" / "renditions" / recording / made["id"]


def _in_film(folder):
    """Who is seen in a film or on one of its stills, or heard in it, whatever they were sending."""
    film = folder / "rendition.mp4"
    stills = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.jpg"))]
    assert stills, "a film has stills"
    sound = samples(film)
    found = set()
    for picture in itertools.chain((picture for _, picture in pictures(film, size=SMALL)), stills):
        for name, look in LOOKS.items():
            shares = [share_of_colour(picture, colour) for colour in (look.granted, look.ungranted)]
            found |= {name} if max(shares) > SEEN else set()
    for name, look in LOOKS.items():
        levels = [loudest(sound, hz, 0.2) for hz in (look.granted_hz, look.ungranted_hz)]
        found |= {name} if max(levels) > HEARD else set()
    return found


def _shown(source):
    """Whose forbidden colours and tones are in a stream, and whose allowed ones."""
    found = {True: set(), False: set()}
    for _, picture in pictures(source, size=SMALL):
        for name, look in LOOKS.items():
            found[True] |= {name} if share_of_colour(picture, look.granted) > SEEN else set()
            found[False] |= {name} if share_of_colour(picture, look.ungranted) > SEEN else set()
    source = io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source
    sound = samples(source)
    for name, look in LOOKS.items():
        found[True] |= {name} if loudest(sound, look.granted_hz, 0.2) > HEARD else set()
        found[False] |= {f"{name}'s sound"} if loudest(sound, look.ungranted_hz, 0.2) > HEARD else set()
    return found


async def test_whatever_was_sent_without_a_grant_is_nowhere():
    seed = secrets.randbits(32)
    mark = secrets.token_hex(8).encode()
    async with house(environment={"PARLEY_RECORDER_ENCRYPT": "false"}) as there:
        play = Play(there, mark, random.Random(seed))
        folders = (there.served.folder, Path(tempfile.gettempdir()), Path("/dev/shm"))
        watch = StampWatch(folders, mark, processes=(there.served.pid,))
        try:
            try:
                await play.begin()
                for _ in range(STEPS):
                    await play.step()
                await play.end()
                await play.epilogue()
            except (CallRefused, TargetFailed) as error:
                raise AssertionError(f"seed {seed}: {play.log}") from error
            chosen = (play.recorded[-1], play.recorded[0])
            films = [(one, await _composed(there, one.id)) for one in chosen]
            await asyncio.sleep(SETTLES_S)
        finally:
            await asyncio.to_thread(watch.close)
        story = f"seed {seed}: {'; '.join(play.log)}"
        assert watch.found["mark"] is not None, "nothing was missed"
        leaked = {stamp: files for stamp, files in watch.stamps.items() if stamp not in play.may_record}
        assert not leaked, f"{leaked}; {story}"
        texts = "".join(itertools.chain.from_iterable(site.texts for site in play.sites)).encode()
        told = set(stamps_behind(mark).findall(texts))
        assert told <= play.may_be_live, f"{told - play.may_be_live}; {story}"
        segments = (segment for site in play.sites for segment in site.player.segments.values())
        sources = (*there.site.recordings, *(io.BytesIO(segment.data) for segment in segments))
        looks = [await asyncio.to_thread(_shown, source) for source in sources]
        forbidden = set().union(*(look[False] for look in looks))
        assert not forbidden, f"{forbidden}; {story}"
        seen = [await asyncio.to_thread(_in_film, folder) for _, folder in films]
        for (one, _), people in zip(films, seen, strict=True):
            assert people <= one.people, f"{people - one.people} in the film of {one.id}; {story}"
        print(story)
        tell(f"{len(films)} films of {len(play.recorded)} recordings, with {[*map(sorted, seen)]}")
        tell(f"{len(watch.stamps)} of {len(play.may_record)} states, lines and names recorded")
        tell(f"{len(told)} lines and names beside {len(looks)} streams")
        assert play.control <= set(watch.stamps), "the control: the watch sees what may be recorded"
        assert play.control <= told, "the control: the site is told what may be"
        assert all("ada" in people for people in seen), "the control: the films show ada"
        assert "bob" not in play.recorded[-1].people
        assert "ada" in set().union(*(look[True] for look in looks)), "the control: the site got ada"
