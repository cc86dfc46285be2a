"""What processes use, measured on real ones; what cores there are, of real and of made control groups."""

import asyncio
import os
import time

import pytest

from server.cpu_meter import CpuMeter, available_cores, cpu_s
from server.supervise import Supervisor

BUSY = "while True: pass"
IDLE = "import sys; sys.stdin.read(); import time; time.sleep(60)"


async def test_a_busy_worker_is_measured_and_one_that_gives_way_is_told_apart(tmp_path, monkeypatch):
    for name, source in (("busy", BUSY), ("yielding", BUSY), ("idle", IDLE)):
        (tmp_path / f"{name}_worker.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    supervisor = Supervisor()
    meter = CpuMeter(supervisor, giving_way={"yielding_worker"}, cores=2.0)
    try:
        meter.sample()
        busy, yielding, idle = [
            await supervisor.spawn(f"{name}_worker", {}, {}) for name in ("busy", "yielding", "idle")
        ]
        began = cpu_s(busy.pid)
        deadline = time.monotonic() + 20
        while min(cpu_s(busy.pid) - began, cpu_s(yielding.pid)) < 0.3:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        meter.sample()
        uses = meter.machine.uses()
        assert set(uses) == {os.getpid(), busy.pid, idle.pid}
        assert uses[busy.pid].cores > 0.1
        assert uses[idle.pid].cores < uses[busy.pid].cores
        told = meter.by_module()
        assert set(told) == {"server", "busy_worker", "yielding_worker", "idle_worker"}
        assert told["busy_worker"] == uses[busy.pid].cores
        assert told["yielding_worker"] > 0.05
        busy.kill()
        await busy.wait()
        meter.sample()
        assert busy.pid not in meter.machine.uses()
        assert cpu_s(busy.pid) is None
    finally:
        await supervisor.close()


@pytest.mark.parametrize(
    ("quotas", "own", "share"),
    [
        ({}, "0::/", 1.0),
        ({"": "max 100000"}, "0::/", 1.0),
        ({"": "5000 10000"}, "0::/", 0.5),
        ({"app/parley": "2500 10000", "app": "max 10000"}, "0::/app/parley", 0.25),
        ({"app/parley": "max 10000", "app": "2500 10000"}, "0::/app/parley", 0.25),
        ({"": "damaged"}, "0::/", 1.0),
        ({"": "1 0"}, "0::/", 1.0),
        ({"": "5000 10000"}, "12:cpu:/docker/x\n0::/elsewhere/not/mounted", 0.5),
    ],
)  # fmt: skip
def test_cores_are_those_of_the_affinity_and_no_more_than_the_quotas(tmp_path, quotas, own, share):
    groups = tmp_path / "groups"
    for name, text in quotas.items():
        (groups / name).mkdir(parents=True, exist_ok=True)
        (groups / name / "cpu.max").write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    expected = len(os.sched_getaffinity(0)) if share == 1.0 else share
    assert available_cores(tmp_path / "own", groups) == expected
    assert available_cores(tmp_path / "nothing", groups) == len(os.sched_getaffinity(0))


def test_this_machine_has_cores():
    assert 0 < available_cores() <= (os.cpu_count() or 1)
