"""What `kill -9` costs a whole server: of itself, of the recorder's process, of a program's process.

Somebody is recorded and broadcast; at a random moment the process is killed. What a recording lost is the
time from the last frame of its file to the kill. A broadcast is away until its site is sent pictures again.
"""

import asyncio
import contextlib
import io
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal

import av

from bench.kills import Kill
from bench.process import child
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.house import House, house
from bench.studio.live_player import LivePlayer, rtmp
from bench.target import TargetFailed

_Media = tuple[list[tuple[bytes, bool]], list[bytes]]
Victim = Literal["server", "recorder", "program"]
_WORKERS: Final[dict[Victim, str]] = {"recorder": "recorder.worker", "program": "rebroadcast.worker"}
_SHORTEST_S: Final = 2.0
_LONGEST_S: Final = 5.0
_GOES_ON_S: Final = 2.0
_WITHIN_S: Final = 30.0
_ENDED: Final = {"finished", "interrupted"}


async def measure(victim: Victim, kills: int, seed: int, note: Callable[[str], None]) -> list[Kill]:
    """Kill so many times, telling each.

    Raises:
        TargetFailed: the server, a recording or a broadcast does not come about.
    """
    rng = random.Random(seed)
    media = encode_colour((40, 160, 60)), encode_tone(440)
    found = []
    async with house() as there:
        for number in range(kills):
            kill = await _kill(there, victim, media, rng.uniform(_SHORTEST_S, _LONGEST_S))
            found.append(kill)
            told = "; ".join(kill.problems) or "all play"
            away = f", off the air for {kill.away_s:.2f} s" if kill.away_s else ""
            note(
                f"{number + 1:3}: after {kill.after_s:.2f} s lost {kill.lost_s * 1000:4.0f} ms{away}, {told}"
            )
    return found


async def _kill(there: House, victim: Victim, media: _Media, after_s: float) -> Kill:
    served = there.served
    async with _somebody(there, media):
        recording = await there.record()
        live = await there.go_live()
        async with _watched(there) as seen:
            await asyncio.sleep(after_s)
            killed_ms, killed_s = time.time() * 1000, time.monotonic()
            if victim == "server":
                await served.kill()
                await served.again()
            else:
                pid = child(served.pid, _WORKERS[victim])
                if pid is None:
                    raise TargetFailed(f"there is no process {_WORKERS[victim]}")
                os.kill(pid, signal.SIGKILL)
            away_s = 0.0
            if victim == "program":
                away_s = await _back(seen, killed_s)
            elif victim == "recorder":
                await asyncio.sleep(_GOES_ON_S)
        if victim != "server":
            await served.api("POST", f"/broadcasts/{live['id']}/stop")
            await served.api("POST", f"/recordings/{recording}/stop")
        return await _judged(there, recording, after_s, killed_ms, away_s)


@contextlib.asynccontextmanager
async def _somebody(there: House, media: _Media) -> AsyncIterator[None]:
    person = await there.enter("dora", *media, {"live": True, "record": True})
    try:
        yield
    finally:
        await person.leave()


@contextlib.asynccontextmanager
async def _watched(there: House) -> AsyncIterator[list[float]]:
    """When the site was last sent a picture."""
    seen = [0.0]

    def see(at_s: float, _frame: av.VideoFrame) -> None:
        seen[0] = at_s

    player = LivePlayer(rtmp(there.rtmp_url), see, lambda _at_s, _sound: None)
    try:
        yield seen
    finally:
        await asyncio.to_thread(player.stop)


async def _back(seen: list[float], killed_s: float) -> float:
    """Seconds from the kill until the first picture after a pause."""
    last = seen[0]
    while time.monotonic() - killed_s < _WITHIN_S:
        await asyncio.sleep(0.01)
        if seen[0] - max(last, killed_s) > 0.3:
            return seen[0] - killed_s
        last = seen[0]
    raise TargetFailed("the broadcast does not come back")


async def _judged(there: House, recording: str, after_s: float, killed_ms: float, away_s: float) -> Kill:
    info = await _ended(there, recording)
    ends: dict[str, float] = {}
    problems = [] if info["state"] in _ENDED else [f"the recording is {info['state']}"]
    files = (await there.served.api("GET", f"/recordings/{recording}/files"))["items"]
    for name in (item["name"] for item in files):
        if not name.endswith(".webm"):
            continue
        data = io.BytesIO(await there.served.download(f"/recordings/{recording}/files/{name}"))
        begin_ms, end_ms = await asyncio.to_thread(_plays, data)
        source = name.rpartition("-")[0]
        killed_at_ms = killed_ms - info["started_ms"]
        if begin_ms < killed_at_ms:
            ends[source] = max(ends.get(source, 0.0), min(end_ms, killed_at_ms))
    if len(ends) != 2:
        problems.append(f"{len(ends)} sources instead of 2: {files}")
    lost_ms = max((killed_ms - info["started_ms"] - end_ms for end_ms in ends.values()), default=1e9)
    return Kill(after_s, len(ends), max(lost_ms, 0.0) / 1000, problems, away_s)


async def _ended(there: House, recording: str) -> dict[str, Any]:
    deadline = time.monotonic() + _WITHIN_S
    while True:
        info: dict[str, Any] = await there.served.api("GET", f"/recordings/{recording}")
        if info["state"] in {*_ENDED, "failed"} or time.monotonic() > deadline:
            return info
        await asyncio.sleep(0.1)


def _plays(data: io.BytesIO) -> tuple[float, float]:
    """First and last time of what decodes, in ms of the recording."""
    with av.open(data, "r") as container:
        stream = container.streams[0]
        frames = container.decode(video=0) if stream.type == "video" else container.decode(audio=0)
        times = [(frame.time or 0.0) * 1000 for frame in frames]
    return times[0], times[-1]
