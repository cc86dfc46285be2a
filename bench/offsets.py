"""How far sound, picture and chat of one instant are apart: recorded, composed of that, and sent to sites."""

import asyncio
import io
import re
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bench.offset_figures import DRIFT_PPM, LOSS, OffsetFigures
from bench.studio.flash import av_offsets_ms, beep_times, flash_and_beep, flash_times
from bench.studio.hls_player import HlsPlayer
from bench.studio.house import House, house
from bench.studio.person import Person
from bench.target import TargetFailed
from media.clock_map import SECOND_NS

_FPS: Final = 30
_SETTLES_S: Final = 2.0
_LINE_EACH_S: Final = 2.0
_ENDS_WITHIN_S: Final = 30.0
_RENDERS_IN: Final = 2.0
"""Times the length of the recording, at most."""
_LOOK: Final = {"layout": "single", "chat": "webvtt", "width": 320, "height": 180, "fps": _FPS}


async def offsets(
    seconds: float,
    *,
    loss: float = LOSS,
    drift_ppm: float = DRIFT_PPM,
    note: Callable[[str], None] = lambda _words: None,
) -> OffsetFigures:
    """Record and broadcast somebody who flashes and beeps each second, with exact sender reports.

    Raises:
        TargetFailed: the recording, what is composed of it, or the broadcast does not come about.
    """
    found = OffsetFigures(seconds, loss, drift_ppm)
    async with house(fps=_FPS) as there:
        video, audio = flash_and_beep()
        uses = {"live": True, "record": True}
        person = await there.enter("dora", video, audio, uses, loss=loss, drift_ppm=drift_ppm)
        recording = await there.record()
        broadcast = await there.go_live()
        hls = HlsPlayer(there.http, there.served.url + str(broadcast["hls_url"]))
        working = [asyncio.create_task(hls.follow()), asyncio.create_task(_chat(person))]
        note(f"live; {seconds:g} s follow")
        await asyncio.sleep(seconds + _SETTLES_S)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        found.repaired = person.peer.repaired
        found.ms["chat_hls"] = await _of_hls(hls)
        await there.served.api("POST", f"/broadcasts/{broadcast['id']}/stop")
        await there.served.api("POST", f"/recordings/{recording}/stop")
        found.ms["rtmp"] = await asyncio.to_thread(_of_site, there)
        await _finished(there, f"/recordings/{recording}", _ENDS_WITHIN_S)
        flashes, beeps, lines = await _of_recording(there, recording)
        found.ms["recording"] = av_offsets_ms(flashes, beeps)
        found.ms["chat_recording"] = av_offsets_ms(flashes, lines)
        note("recorded; a film is composed of it")
        patience_s = _ENDS_WITHIN_S + _RENDERS_IN * seconds
        flashes, beeps, lines = await _of_render(there, recording, patience_s)
        found.ms["render"] = av_offsets_ms(flashes, beeps)
        found.ms["chat_render"] = av_offsets_ms(flashes, lines)
    return found


async def _chat(person: Person) -> None:
    """A line at the instant of every second flash."""
    start_ns = person.player.start_ns
    while start_ns is not None:
        turn_s = (time.monotonic_ns() - start_ns) / SECOND_NS
        await asyncio.sleep(_LINE_EACH_S - turn_s % _LINE_EACH_S)
        await person.say("flash")


async def _of_hls(hls: HlsPlayer) -> list[float]:
    """Of the segments that are still there: cues and pictures have one time line."""
    lines = sorted({at_s for text in await hls.captions() for at_s in _cue_times(text)})
    flashes: list[float] = []
    for name in hls.listed:
        if name in hls.segments:
            flashes += await asyncio.to_thread(flash_times, io.BytesIO(hls.segments[name].data))
    return av_offsets_ms(flashes, lines)


def _cue_times(text: str) -> list[float]:
    """Seconds at which the cues of a WebVTT segment begin."""
    begins = re.findall(r"(?m)^(\d+):(\d+):([\d.]+) --> ", text)
    return [int(hours) * 3600 + int(minutes) * 60 + float(seconds) for hours, minutes, seconds in begins]


async def _finished(there: House, path: str, within_s: float) -> dict[str, Any]:
    """What the API says of a recording, or of what is composed of one, once it is whole."""
    deadline = time.monotonic() + within_s
    while True:
        told: dict[str, Any] = await there.served.api("GET", path)
        if told["state"] == "finished":
            return told
        if told["state"] == "failed" or time.monotonic() > deadline:
            raise TargetFailed(f"{path} is {told['state']}: {told['reason']}")
        await asyncio.sleep(0.1)


async def _of_recording(there: House, recording: str) -> tuple[list[float], list[float], list[float]]:
    """Flashes, beeps and lines of all its parts, in seconds: times in files are times of the recording."""
    flashes: list[float] = []
    beeps: list[float] = []
    lines: list[float] = []
    for item in (await there.served.api("GET", f"/recordings/{recording}/files"))["items"]:
        name = item["name"]
        if "-camera-" not in name and "-mic-" not in name and not name.startswith("chat."):
            continue
        data = io.BytesIO(await there.served.download(f"/recordings/{recording}/files/{name}"))
        if name.startswith("chat."):
            lines = [msgspec.json.decode(line)["at_ms"] / 1000 for line in data]
            continue
        is_camera = "-camera-" in name
        times = await asyncio.to_thread(flash_times if is_camera else beep_times, data)
        (flashes if is_camera else beeps).extend(times)
    return flashes, beeps, lines


async def _of_render(
    there: House, recording: str, within_s: float
) -> tuple[list[float], list[float], list[float]]:
    """Flashes and beeps of a film of the recording, and lines of the text beside it, in seconds."""
    films = f"/recordings/{recording}/renditions"
    made = await there.served.api("POST", films, _LOOK)
    await _finished(there, f"{films}/{made['id']}", within_s)
    film = await there.served.download(f"{films}/{made['id']}/file")
    text = await there.served.download(f"{films}/{made['id']}/captions")
    flashes = await asyncio.to_thread(flash_times, io.BytesIO(film))
    beeps = await asyncio.to_thread(beep_times, io.BytesIO(film))
    return flashes, beeps, _cue_times(text.decode())


def _of_site(there: House) -> list[float]:
    """Of what the site wrote of the stream that it was sent."""
    if not there.site.recordings:
        raise TargetFailed("the site has no recording")
    sent = str(there.site.recordings[-1])
    return av_offsets_ms(flash_times(sent), beep_times(sent))
