"""What breaks while a broadcast runs, who notices, and who does not: sites, program processes, names."""

import io
import os
import signal

import pytest
import structlog

from bench.studio.decoded import colours
from rebroadcast import BroadcastInvalid, RebroadcastConfig
from rebroadcast.url_policy import UrlPolicy
from tests.rebroadcast.house import ROOM, house, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


async def test_a_site_that_dies_and_returns_is_served_again_and_nobody_else_notices(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        site, other = await home.site("one"), await home.site("two")
        chosen = [await home.destination(site), await home.destination(other), await home.destination()]
        info = await home.broadcasts.start(ROOM, chosen)
        await ada.acknowledge()
        await home.live(info)
        await site.stop()
        await until(lambda: home.states(info)[0] in {"backing_off", "connecting"}, "the truth about it")
        reason = home.running(info).destinations[0].reason
        assert reason
        assert "stream-key" not in reason
        sent = home.running(info).destinations[0].bytes_acknowledged
        assert home.states(info)[1:] == ["live", "live"]
        await site.start()
        await home.live(info)
        await until(lambda: home.running(info).destinations[0].bytes_acknowledged > sent, "more bytes")
        await until(lambda: len(site.recordings) == 2, "a second recording")
        await until(lambda: site.recordings[-1].stat().st_size > 10_000, "pictures in it")
        assert home.playlist(info).count("#EXT-X-DISCONTINUITY\n") == 0
        await home.broadcasts.stop(info.id)
        await other.stop()
        assert len(other.recordings) == 1
        await site.stop()
        assert len(site.recordings) == 2
        assert colours(str(site.recordings[-1]))


async def test_a_site_that_refuses_is_told_with_its_words_and_tried_again(tmp_path):
    async with house(tmp_path) as home:
        site = await home.site()
        await home.enter("ada")
        refused = await home.destination(site, application="closed")
        info = await home.broadcasts.start(ROOM, [refused, await home.destination(site)])
        seen = set()

        def is_told():
            seen.add(home.states(info)[0])
            return home.states(info)[1] == "live" and home.states(info)[0] == "backing_off"

        await until(is_told, "backing_off")
        assert home.running(info).destinations[0].reason
        assert seen <= {"idle", "connecting", "backing_off"}
        assert home.running(info).destinations[0].bytes_acknowledged < 10_000


async def test_addresses_of_this_machine_are_refused_unless_allowed(tmp_path):
    async with house(tmp_path, RebroadcastConfig()) as home:
        await home.destination()
        for url in (
            "rtmp://127.0.0.1/live",
            "rtmp://localhost/live",
            "rtmp://10.1.2.3/live",
            "rtmp://[fe80::1]/live",
            "rtmp://169.254.169.254/live",
            "rtmp://[::ffff:192.168.1.1]/live",
            "rtmp://[64:ff9b::7f00:1]/live",
            "http://example.com/live",
        ):
            with pytest.raises(BroadcastInvalid) as refusal:
                await home.destination(kind="rtmp", url=url, key="stream-key-0123456789")
            assert "stream-key" not in str(refusal.value)
        assert [info.kind for info in await home.broadcasts.destinations()] == ["hls"]


async def test_an_address_that_stops_being_allowed_fails_and_the_others_go_on(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        site = await home.site()
        chosen = [await home.destination(site), await home.destination()]
        # The same installation, after its operator took the permission back.
        home.broadcasts._opener._policy = UrlPolicy(allow_private=False)
        info = await home.broadcasts.start(ROOM, chosen)
        await home.live(info, "failed", "live")
        assert "127.0.0.1 is not a public address" in home.running(info).destinations[0].reason
        assert not site.recordings
        stopped = await home.broadcasts.stop(info.id)
        assert [status.state for status in stopped.destinations] == ["failed", "stopped"]


@pytest.mark.parametrize("mode", ["program", "passthrough"])
async def test_a_killed_program_is_started_again_and_everything_comes_back(tmp_path, mode):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", luma=200)
        site = await home.site()
        chosen = [await home.destination(site), await home.destination()]
        publisher = "ada" if mode == "passthrough" else None
        info = await home.broadcasts.start(ROOM, chosen, mode=mode, publisher=publisher)
        await ada.acknowledge()
        await home.live(info)
        await until(lambda: len(home.segments(info)) >= 2, "segments")
        before = home.running(info).destinations
        (worker,) = home.workers()
        seen = set()
        os.kill(worker.pid, signal.SIGKILL)

        def is_back():
            seen.update((status.state, status.reason) for status in home.running(info).destinations)
            return home.workers() and home.workers()[0].pid != worker.pid and len(seen) > 1

        await until(is_back, "another process")
        await home.live(info)
        assert ("connecting", "the program is being started again") in seen
        assert home.running(info).info().state == "running"
        await until(lambda: "#EXT-X-DISCONTINUITY\n" in home.playlist(info), "a new part")
        after = home.running(info).destinations
        assert all(
            now.bytes_acknowledged >= then.bytes_acknowledged for now, then in zip(after, before, strict=True)
        )
        await until(lambda: luma_of(home.segments(info)) > 120, "ada is in the picture again")


def luma_of(segments):
    return colours(io.BytesIO(segments[-1][1]))[-1].mean()


class Tearing:
    """Starts, instead of the first program process, one that dies in the middle of a message."""

    def __init__(self, supervisor):
        self._supervisor = supervisor
        self._is_torn = False

    async def spawn(self, module, fds, config):
        if not self._is_torn:
            self._is_torn, module = True, "tests.rebroadcast.torn"
        return await self._supervisor.spawn(module, fds, config)


async def test_a_program_that_dies_within_a_message_is_started_again(tmp_path):
    async with house(tmp_path, spawner=Tearing) as home:
        await home.enter("ada")
        with structlog.testing.capture_logs() as logs:
            info = await home.broadcasts.start(ROOM, [await home.destination()])
            await home.live(info)
        reasons = [entry["reason"] for entry in logs if entry["event"] == "program_failed"]
        assert reasons == ["the channel ended within a frame"]
