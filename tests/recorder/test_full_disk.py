"""A disk that fills up under a running server: the recording ends and says so, the call goes on."""

import contextlib
import subprocess
import threading

import pytest

from recorder import RecorderConfig, RecorderUnavailable
from recorder.folders import make_folder
from recorder.parts import open_part
from tests.recorder.house import ROOM, house, until
from tests.recorder.rig import lumas

GREEN = (30, 200, 30)
BLOBS_BYTES = 6 << 20


@pytest.fixture
def data_dir(tmp_path):
    """A data folder whose media lie on a file system of 6 MiB; needs root."""
    blobs = tmp_path / "data" / "blobs"
    blobs.mkdir(parents=True, mode=0o700)
    (tmp_path / "data").chmod(0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BLOBS_BYTES}", "tmpfs", blobs], check=True)
    yield tmp_path / "data"
    subprocess.run(["umount", "-l", blobs], check=True)


def fill(path):
    """Take every byte that is free."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


@contextlib.contextmanager
def staying_full(ballast):
    """Take whatever becomes free, until the end."""
    is_over = threading.Event()

    def keep_filling():
        with ballast.open("wb", buffering=0) as file:
            while not is_over.is_set():
                try:
                    file.write(bytes(4096))
                except OSError:
                    is_over.wait(0.001)

    thread = threading.Thread(target=keep_filling)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        ballast.unlink()


async def test_a_recording_that_a_full_disk_keeps_from_being_finished_is_finished_when_there_is_room(
    data_dir, monkeypatch
):
    monkeypatch.setattr("recorder.custody.SWEEP_EVERY_S", 0.3)
    async with house(data_dir, RecorderConfig(min_free_bytes=1 << 20)) as home:
        ada = await home.enter("ada", colour=GREEN)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        assert home.recorder.condition.complaints == []
        with staying_full(data_dir / "blobs" / "ballast"):
            await until(lambda: home.recorder._books.unfinished, "a recording that cannot be finished")
            status = await home.recorder.status(info.id)
            assert (status.state, status.reason) == ("stopping", "disk_full")
            disk, waiting = home.recorder.condition.complaints
            assert "none can start" in disk
            assert "wait for room" in waiting
        status = await home.finished(info)
        assert (status.state, status.reason) == ("interrupted", "disk_full")
        assert home.recorder.condition.complaints == []
        (video,) = (file for file in await home.recorder.files(info.id) if "camera" in file.name)
        with open_part(home.folder(info) / video.name, home.recorder._keys.of(info.id)) as file:
            assert len(lumas(file)) > 5
        assert not (data_dir / "blobs" / "quarantine").exists()


async def test_a_disk_that_fills_up_ends_the_recording_and_nothing_else(data_dir):
    async with house(data_dir, RecorderConfig(min_free_bytes=1 << 20)) as home:
        ada = await home.enter("ada", colour=GREEN)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        ballast = data_dir / "blobs" / "ballast"
        fill(ballast)

        with pytest.raises(RecorderUnavailable, match="make room"):
            make_folder(home.recorder._store, "rec_aaaaaaaaaaaaaaaa", min_free_bytes=1 << 20)
        status = await home.finished(info)
        assert (status.state, status.reason) == ("interrupted", "disk_full")
        (video,) = (file for file in await home.recorder.files(info.id) if "camera" in file.name)
        with open_part(home.folder(info) / video.name, home.recorder._keys.of(info.id)) as file:
            assert len(lumas(file)) > 5

        # The call: nothing runs any more, everyone is there, and once there is room all is well again.
        assert ada.participant.room.activities() == ()
        assert not ada.participant.room.is_closed
        await ada.participant.chat("still here")
        ballast.unlink()
        again = await home.recorder.start(ROOM)
        await until(ada.participant.pending_notices, "the notice")
        await ada.acknowledge()
        await home.grows(again, ada.person, "camera")
        assert (await home.recorder.stop(again.id)).state == "finished"
