"""The witnesses outside: players of the partner's RTMP and of HLS, and a third-party page with the embed."""

import contextlib
import time

import numpy as np

from tests.main_job.cast import AGREED, REFUSED, SEEN, UNSEEN, D
from tests.main_job.embed import EmbedViewer, ThirdPartySite
from tests.main_job.hearing import has_tone, lacks_tone, levels
from tests.main_job.hls_viewer import HlsViewer
from tests.main_job.meeting import CUE_OF_A, LINE_OF_A, SAID_BY_A, SAID_BY_C
from tests.main_job.program_picture import expected, likeness_of_line, tiles
from tests.main_job.rtmp_viewer import RtmpViewer
from tests.main_job.stage import ROOM
from tests.support.figures import tell
from tests.support.waiting import until

_LOOK_BACK_MS = 1500
"""Longer than from one flash of D to the next."""
_IS_LINE, _IS_NO_LINE = 0.75, 0.5


class Outside:
    """What is shown of the room to the world."""

    def __init__(self, stage, rtmp, hls, embed):
        self._stage = stage
        self.rtmp = rtmp
        self.hls = hls
        self.embed = embed
        self._latest = {
            "RTMP": lambda: rtmp.picture,
            "HLS": lambda: hls.segments[-1].last_picture,
        }

    @classmethod
    async def open(cls, stage):
        rtmp = RtmpViewer(stage.rtmp_url)
        stage.stack.callback(rtmp.stop)
        hls = HlsViewer(stage.session, await stage.hls_url())
        stage.keep_running(hls.follow())
        embed = await cls._frame_embed(stage)
        await until(lambda: rtmp.seen and hls.segments, "RTMP and HLS play")
        return cls(stage, rtmp, hls, embed)

    @staticmethod
    async def _frame_embed(stage):
        token = stage.parley.token(ROOM, "viewer", grants=("subscribe",), external=True)
        site = ThirdPartySite(f"{stage.parley.url}/embed/{ROOM}#token={token}")
        await site.start()
        stage.stack.push_async_callback(site.stop)
        page = await stage.chromium.page()
        await page.goto(site.url)
        embed = EmbedViewer(next(frame for frame in page.page.frames if "/embed/" in frame.url))
        await embed.watch()
        await stage.answer_notices()  # a site that was not named before is a question of its own
        return embed

    async def program_shows(self, named, placeholders):
        """RTMP and HLS come to show these people with their names, and so many anonymous placeholders."""
        wanted = expected(named, placeholders)
        for sink, picture in self._latest.items():
            await until(
                lambda picture=picture: tiles(picture()) == wanted,
                f"{sink} shows {wanted}",
                tell=lambda picture=picture: tiles(picture()),
            )

    async def program_flashes_and_sounds(self):
        """RTMP and HLS come to sound of A and B, and to show D's flash, the dark between, and D's beep."""
        since_s = time.monotonic()
        for sink, shown in (("RTMP", self._rtmp_since), ("HLS", self._hls_since)):
            await until(
                lambda shown=shown: not _missing(*shown(since_s)),
                f"{sink} shows D and sounds of all",
                tell=lambda shown=shown: f"missing: {_missing(*shown(since_s))}",
            )

    def _rtmp_since(self, at_s):
        return [sighting.share(D) for sighting in self.rtmp.since(at_s)], self.rtmp.heard.between(at_s)

    def _hls_since(self, at_s):
        segments = self.hls.since(at_s)
        shares = [share for segment in segments for share in segment.shares(D)]
        return shares, np.concatenate([np.zeros(0), *(segment.sound for segment in segments)])

    async def embed_shows(self, who, *, muted):
        """The embed follows the active speaker: while the others who may be shown are muted, it shows one."""
        async with self._muted(muted):
            await until(lambda: self._is_alone(who), f"the embed shows and plays {who.name}")

    @contextlib.asynccontextmanager
    async def _muted(self, people):
        for one in people:
            await self._stage.people[one].page.click("#control-mic")
        yield
        for one in people:
            await self._stage.people[one].page.click("#control-mic")

    async def _is_alone(self, who):
        since_ms = time.time() * 1000 - _LOOK_BACK_MS
        others = [other for other in AGREED if other is not who]
        return (
            await self.embed.sees(who, since_ms=since_ms)
            and await self.embed.hears(who, since_ms=since_ms)
            and not any([await self.embed.sees(other, since_ms=since_ms) for other in others])
        )

    async def chat_is_read(self):
        """A's line stands over the program, beside it and in the embed."""

        async def is_in_embed():
            return SAID_BY_A in await self.embed.text()

        await until(is_in_embed, "the embed shows A's line")
        for sink, picture in self._latest.items():
            await until(
                lambda picture=picture: likeness_of_line(picture(), LINE_OF_A) > _IS_LINE,
                f"A's line is over the {sink} picture",
                tell=lambda picture=picture: likeness_of_line(picture(), LINE_OF_A),
            )
        await until(lambda: CUE_OF_A in self.hls.cues, "A's line is in the WebVTT rendition")

    async def never_showed_who_refused(self):
        """In all that came since the start there is nothing of C and E: no colour, tone, name or line."""
        texts = await self.embed.texts()
        for who in REFUSED:
            assert self.rtmp.last_with(who, share=UNSEEN) is None, f"RTMP showed {who.name}"
            assert lacks_tone(self.rtmp.heard.between(0), who), f"RTMP sounded of {who.name}"
            for segment in self.hls.segments:
                assert max(segment.shares(who)) < UNSEEN, f"HLS showed {who.name}"
                assert lacks_tone(segment.sound, who), (
                    f"HLS sounded of {who.name}: {levels([segment.sound], who)}"
                )
            assert not await self.embed.sees(who), f"the embed showed {who.name}"
            assert not await self.embed.hears(who), f"the embed sounded of {who.name}"
            assert not [text for text in texts if who.name in text], f"the embed names {who.name}"
            assert not [cue for cue in self.hls.cues if who.name in cue], f"WebVTT names {who.name}"
        for lines in (texts, self.hls.cues):
            assert any(SAID_BY_A in line for line in lines), "the control: A's line was there"
            assert not [line for line in lines if SAID_BY_C in line]
        likeness = {
            "RTMP": max(sighting.line_of_c for sighting in self.rtmp.seen),
            "HLS": max(segment.line_of_c for segment in self.hls.segments),
        }
        tell(f"likeness of any picture to C's line: {likeness}; {_IS_NO_LINE} is none, {_IS_LINE} is one")
        for sink, most in likeness.items():
            assert most < _IS_NO_LINE, f"{sink} showed C's line"

    async def stop(self):
        """Ends what would take the end of the broadcast for a fault."""
        await self.hls.stop()


def _missing(shares_of_d, sound):
    """What is not there of the program's people: D's flash and the dark between, everyone's tone."""
    parts = {
        "flash": max(shares_of_d, default=0) > SEEN,
        "dark": min(shares_of_d, default=1) < SEEN / 2,
        **{f"tone of {who.name}": has_tone(sound, who) for who in AGREED},
    }
    return [part for part, is_there in parts.items() if not is_there]
