"""Worker processes: their descriptors, their environment, their end."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from media.control import ControlChannel
from server.supervise import Supervisor
from tests.signaling.rig import until
from tests.support.held_files import family

WORKER = """
import os, sys, msgspec
from media.control import BlockingControl, WorkerStart

class Hello(msgspec.Struct, tag="hello"):
    text: str
    environment: list[str]
    parent: int

control = BlockingControl.from_fd()
start = control.receive(msgspec.msgpack.Decoder(WorkerStart))
given = {name: os.read(fd, 100).decode() for name, fd in sorted(start.fds.items())}
control.send(Hello(f"{given} {start.config}", sorted(os.environ), os.getppid()))
if start.config.get("stay"):
    control.receive(msgspec.msgpack.Decoder(Hello))
sys.exit(start.config.get("code", 0))
"""


class Hello(msgspec.Struct, tag="hello"):
    text: str
    environment: list[str]
    parent: int


DECODER = msgspec.msgpack.Decoder(Hello)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_worker.py").write_text(textwrap.dedent(WORKER))
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    return "a_worker"


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.close()


async def hello(control: ControlChannel) -> Hello:
    async with asyncio.timeout(20):
        found = await control.receive(DECODER)
    assert found is not None
    return found


def piped(text: str) -> int:
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    return read


async def test_a_worker_gets_its_descriptors_and_its_configuration(
    supervisor: Supervisor, module: str
) -> None:
    ends = {"one": piped("first"), "two": piped("second")}
    try:
        worker = await supervisor.spawn(module, ends, {"size": 7})
        said = await hello(worker.control)
        assert said.text == "{'one': 'first', 'two': 'second'} {'size': 7}"
        assert said.parent == os.getpid()
        async with asyncio.timeout(20):
            assert await asyncio.gather(worker.wait(), worker.wait()) == [0, 0]
    finally:
        for end in ends.values():
            os.close(end)
    assert supervisor.workers == ()


async def test_a_worker_knows_no_variable_of_ours(
    supervisor: Supervisor, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_KEYS", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    worker = await supervisor.spawn(module, {}, {})
    names = (await hello(worker.control)).environment
    assert not [name for name in names if name.startswith(("PARLEY", "AWS"))]
    assert await worker.wait() == 0


async def test_a_descriptor_that_stands_where_the_channel_comes_to_stand(
    supervisor: Supervisor, module: str
) -> None:
    end = piped("three")
    try:
        worker = await supervisor.spawn(module, {"low": end}, {"stay": True})
        assert "three" in (await hello(worker.control)).text
    finally:
        os.close(end)


async def test_a_killed_worker_is_gone_and_killing_twice_is_fine(supervisor: Supervisor, module: str) -> None:
    worker = await supervisor.spawn(module, {}, {"stay": True})
    await hello(worker.control)
    worker.kill()
    async with asyncio.timeout(10):
        assert await worker.wait() == -signal.SIGKILL
    worker.kill()


async def test_closing_ends_what_is_left(module: str) -> None:
    supervisor = Supervisor()
    worker = await supervisor.spawn(module, {}, {"stay": True})
    await hello(worker.control)
    await supervisor.close()
    assert await worker.wait() == -signal.SIGKILL
    await supervisor.close()


async def test_a_start_that_is_given_up_at_any_moment_leaves_no_process(module: str) -> None:
    supervisor, before = Supervisor(), set(family(os.getpid()))
    for turns in range(1_000):
        starting = asyncio.create_task(supervisor.spawn(module, {}, {"stay": True}))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait({starting})
        if not starting.cancelled():
            break
    assert turns > 1
    await supervisor.close()
    await until(lambda: set(family(os.getpid())) <= before, "the end of all")


async def test_an_exit_code_is_told(supervisor: Supervisor, module: str) -> None:
    worker = await supervisor.spawn(module, {}, {"code": 7})
    await hello(worker.control)
    assert await worker.wait() == 7


async def test_a_module_that_is_not_there_ends_at_once(supervisor: Supervisor) -> None:
    worker = await supervisor.spawn("no_such_module_anywhere", {}, {})
    async with asyncio.timeout(20):
        assert await worker.wait() != 0
        assert await worker.control.receive(DECODER) is None


async def test_no_worker_outlives_the_server(tmp_path: Path, module: str) -> None:
    script = f"""
import asyncio, sys
from server.supervise import Supervisor

async def main():
    worker = await Supervisor().spawn({module!r}, {{}}, {{"stay": True}})
    print("pid", worker.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert server.stdout is not None
    async with asyncio.timeout(30):
        line = b""
        while not line.startswith(b"pid "):
            line = await server.stdout.readline()
        pid = int(line.split()[1])
    server.kill()
    await server.wait()
    await until(lambda: not _runs(pid), "the worker is gone", 10)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
