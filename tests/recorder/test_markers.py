"""What somebody leaves in all stores: planted, found before they withdraw, and nowhere after."""

import asyncio
import contextlib
import io
import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import av
import pytest
from aiortc import AudioStreamTrack, VideoStreamTrack

from bench.studio.decoded import colours, loudest, samples, share_of_colour
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.player import with_canary_audio, with_canary_video
from media.sealed import SealedReader, SealError, is_sealed
from recorder import RenderWish
from recorder.archivist import shelf_of
from recorder.journal import plain_lines
from recorder.keys import KeyStore, MasterKeys
from store import LedgerKind
from tests.recorder.house import ROOM, house, until
from tests.recorder.test_archive import archived, archiving
from tests.recorder.test_custody import noted
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.shares("the S3 server, and the client's connections to it"), pytest.mark.slow]
RED, BLUE = (200, 30, 30), (30, 30, 200)
HERS_HZ, OTHERS_HZ = 1150, 440
VIDEO_CANARY, SOUND_CANARY = b"\x07canary-in-a-picture\x07", b"\x07canary-in-a-sound\x07"
NAME, LINE = "Wilhelmina Zoeller-Canary", "the walrus said this and nobody else"
STILL_EVERY_S = 4.5
"""A rendition has a keyframe every four seconds, which stills are taken from."""
EVERYTHING = {"picture bytes", "sound bytes", "colour", "tone", "name", "chat"}


class Pictures(VideoStreamTrack):
    """Encoded pictures of one colour, with bytes in them that are found again."""

    def __init__(self, colour):
        super().__init__()
        self._frames = itertools.cycle(
            with_canary_video(encode_colour(colour, width=160, height=96), VIDEO_CANARY)
        )

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        packet = av.Packet(next(self._frames)[0])
        packet.pts, packet.time_base = pts, time_base
        return packet


class Sounds(AudioStreamTrack):
    """An encoded tone, with bytes in it that are found again."""

    def __init__(self, hz):
        super().__init__()
        self._packets = itertools.cycle(with_canary_audio(encode_tone(hz), SOUND_CANARY))
        self._number = 0

    async def recv(self):
        await super().recv()
        packet = av.Packet(next(self._packets))
        packet.pts, packet.time_base = self._number * 960, Fraction(1, 48_000)
        self._number += 1
        return packet


@dataclass
class Search:
    """Looks for what was planted in every file of some folders, opened with every key that is there."""

    keys: list[bytes]
    raw: dict[str, set[str]] = field(default_factory=dict)
    """Marker to the files that hold it as they lie there."""
    opened: dict[str, set[str]] = field(default_factory=dict)
    """The same of what keys and decoders make of them."""
    files: int = 0
    decoded: int = 0

    def look(self, folder):
        for path in sorted(folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    self.files += 1
                    self._look_into(str(path.relative_to(folder)), path.read_bytes())

    def _look_into(self, name, content):
        self._words(self.raw, name, content)
        for plain in self._plain(name, content):
            self._words(self.opened, name, plain)
            self._media(name, plain)

    def _plain(self, name, content):
        if not is_sealed(content[:16]):
            yield content
            if b'"sealed"' in content:
                for key in self.keys:
                    with contextlib.suppress(ValueError):
                        yield plain_lines(content, lambda _person, key=key: key)
            return
        for key in self.keys:
            with contextlib.suppress(SealError):
                yield SealedReader(io.BytesIO(content), key).read()

    def _words(self, found, name, content):
        for marker, words in (
            ("picture bytes", VIDEO_CANARY),
            ("sound bytes", SOUND_CANARY),
            ("name", NAME.encode()),
            ("chat", LINE.encode()),
        ):
            if words in content:
                found.setdefault(marker, set()).add(name)

    def _media(self, name, content):
        """Stills are pictures too."""
        with contextlib.suppress(av.FFmpegError, IndexError):
            pictures = colours(io.BytesIO(content))
            self.decoded += 1
            if any(share_of_colour(picture, BLUE) > 0.03 for picture in pictures):
                self.opened.setdefault("colour", set()).add(name)
        with contextlib.suppress(av.FFmpegError, IndexError):
            sound = samples(io.BytesIO(content))
            self.decoded += 1
            if stands_out(sound):
                self.opened.setdefault("tone", set()).add(name)


def stands_out(sound):
    """Whether her tone is in a sound, and not only the edges of another one that is interrupted."""
    beside = max(loudest(sound, HERS_HZ * share, 0.5) for share in (0.93, 1.07))
    return loudest(sound, HERS_HZ, 0.5) > max(0.01, 3 * beside)


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("swift"))
    server.start()
    yield server
    server.stop()


async def bucket_copy(home, folder):
    """What the bucket holds, each file put together from its objects."""
    archive = home.recorder.archivist._archive
    for shelf in ("recordings", "renditions"):
        for key, size in sorted((await archive.listed(shelf)).items()):
            path = folder / key.rpartition("/")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(archive._read(key, 0, size))


async def searched(home, data_dir, s3, copy):
    """Everything that is kept anywhere: data folder, bucket, and the bucket's own disk; a search of each."""
    keys = KeyStore(data_dir / "recording-keys", MasterKeys.load(data_dir / "recordings.key"))
    opened = [
        key
        for path in (data_dir / "recording-keys").rglob("*.key")
        if (key := keys.of(path.parent.name).get(path.stem)) is not None
    ]
    await bucket_copy(home, copy)
    searches = {}
    for store, folder in (("disk", data_dir), ("bucket", copy), ("bucket's disk", s3.folder / "devices")):
        searches[store] = Search(opened)
        searches[store].look(folder)
    return searches


async def recorded(home):
    """Ada and whoever is to withdraw, both with picture, sound and a line; a rendition of both."""
    ada, bea = await home.enter("ada", colour=RED, hz=OTHERS_HZ), await home.enter("bea", name=NAME)
    bea.pc.addTrack(Sounds(HERS_HZ))
    bea.pc.addTrack(Pictures(BLUE))
    await bea.connect()
    info = await home.recorder.start(ROOM)
    for person in (ada, bea):
        await person.acknowledge()
        await home.grows(info, person.person, "camera")
        await home.grows(info, person.person, "mic")
    await ada.participant.chat("hello all")
    await bea.participant.chat(LINE)
    chat = home.folder(info) / "chat.jsonl"
    await until(lambda: chat.exists() and chat.read_bytes().count(b"\n") == 2, "both lines")
    await asyncio.sleep(STILL_EVERY_S)
    await home.recorder.stop(info.id)
    return await home.finished(info), ada, bea


@pytest.mark.timeout(240)
async def test_nothing_of_who_withdrew_is_left_in_any_store(s3, tmp_path):
    data_dir = tmp_path / "data"
    async with house(data_dir, archiving(s3, keeps_local=True)) as home:
        info, ada, bea = await recorded(home)
        wish = RenderWish(width=320, height=180, fps=10, chat="webvtt")
        made = await home.recorder.renditions.render(info.id, wish)
        shelf = shelf_of(info.id, made.id)

        def rendition():
            return home.recorder.renditions.get(info.id, made.id)

        async def all_archived():
            await until(lambda: rendition().state in {"finished", "failed"}, "the rendition", 60)
            assert rendition().reason is None
            await archived(home, info)
            await until(lambda: home.recorder.archivist.state(shelf).state == "archived", "its archive")

        await all_archived()
        before = await searched(home, data_dir, s3, tmp_path / "before")
        # What shows that the search finds: all of it, in parts and renditions, here and in the bucket.
        for store, search in before.items():
            assert (store, set(search.opened)) == (store, EVERYTHING)
        found = before["bucket"].opened
        assert any("rendition.mp4" in name for name in found["colour"] & found["tone"])
        assert any(".jpg" in name for name in found["colour"])
        # And what shows that a copy without its keys holds none of it.
        assert all(search.raw == {} for search in before.values())

        await home.rooms.withdrawals.withdraw(bea.person)
        assert await noted(home, LedgerKind.ERASED) == [LedgerKind.ERASED]
        await until(lambda: bea.person not in rendition().people, "a rendition without her", 60)
        await all_archived()
        after = await searched(home, data_dir, s3, tmp_path / "after")
        for store, search in after.items():
            assert (store, search.opened, search.raw) == (store, {}, {})
            assert search.files > 5
        assert after["bucket"].decoded > 2
        assert list(home.folder(info).glob(f"{ada.person}-camera-*"))
        assert (await home.store.ledger.verify()).is_verified
        (erasure,) = await home.recorder.custody.erasures(bea.person)
        assert erasure.outcome == "erased"
