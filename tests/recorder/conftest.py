import pytest

from tests.recorder.rig import WorkerRig


@pytest.fixture
async def rig(tmp_path):
    """A recorder worker that records into a folder of its own."""
    folder = tmp_path / "rec_test"
    folder.mkdir()
    rig = WorkerRig(folder)
    await rig.start()
    yield rig
    await rig.close()
