"""An object's tasks end with it, and fail alone."""

import asyncio

from media.tasks import TaskScope


async def test_a_child_that_fails_does_not_disturb_its_siblings() -> None:
    tasks = TaskScope("t")
    await tasks.open()
    done: list[str] = []

    async def good() -> None:
        await asyncio.sleep(0.01)
        done.append("good")

    async def bad() -> None:
        raise ValueError("bad")

    tasks.start(bad(), name="bad")
    child = tasks.start(good(), name="good")
    assert child is not None
    await child
    assert done == ["good"]
    await tasks.close()


async def test_close_waits_its_patience_and_then_cancels() -> None:
    tasks = TaskScope("t")
    await tasks.open()
    done: list[str] = []

    async def work(seconds: float, name: str) -> None:
        try:
            await asyncio.sleep(seconds)
            done.append(name)
        except asyncio.CancelledError:
            done.append(f"{name} cancelled")
            raise

    tasks.start(work(0.01, "short"), name="short")
    tasks.start(work(100, "long"), name="long")
    await tasks.close(patience_s=0.1)
    await tasks.close()
    assert done == ["short", "long cancelled"]


async def test_after_close_a_child_is_dropped_unrun() -> None:
    tasks = TaskScope("t")
    await tasks.open()
    await tasks.close()

    async def never() -> None:
        raise AssertionError

    assert tasks.start(never(), name="never") is None
