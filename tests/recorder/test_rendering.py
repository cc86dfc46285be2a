"""The start of a rendering process that is given up while it is under way."""

import asyncio
import resource
from contextlib import contextmanager

import pytest

from recorder import RenderWish
from recorder.rendering import Renderer
from recorder.shelf import Held, Shelf
from server.supervise import Supervisor
from store import Store, StoreConfig


class Late:
    """A real supervisor, which begins when it is let."""

    def __init__(self):
        self.supervisor = Supervisor()
        self.is_asked, self.is_let = asyncio.Event(), asyncio.Event()

    async def spawn(self, module, fds, config):
        self.is_asked.set()
        await self.is_let.wait()
        return await self.supervisor.spawn(module, fds, config)


@pytest.fixture
async def late(tmp_path):
    made = Late()
    yield made
    await made.supervisor.close()


async def given_up(late, folder):
    """A rendering that was cancelled while its process was being started."""
    store = await Store.open(StoreConfig(data_dir=folder))
    try:
        renderer = Renderer(late, None, Shelf(store, None), lambda recording: folder / recording)
        held = Held(id="rn_1", recording="rec_1", wish=RenderWish(), created_ms=0)
        running = asyncio.create_task(renderer.run(held, lambda share: None))
        await late.is_asked.wait()
        running.cancel()
        await asyncio.sleep(0)
        return running
    finally:
        await store.close()


@contextmanager
def no_more_descriptors():
    """The system opens nothing more for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_process_that_began_after_all_has_ended(late, tmp_path):
    running = await given_up(late, tmp_path)
    late.is_let.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert late.supervisor.workers == ()


async def test_a_process_that_could_not_begin_does_not_hide_that_it_was_given_up(late, tmp_path):
    running = await given_up(late, tmp_path)
    with no_more_descriptors():
        late.is_let.set()
        await asyncio.wait([running])
    assert running.cancelled()
