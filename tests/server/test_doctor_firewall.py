"""What the doctor says of a machine that lets no packet in: a namespace that delivers none to itself."""

import asyncio
import os
from pathlib import Path

import pytest

from server.doctor import calls
from server.doctor.finding import Patient
from sfu.probe import call
from tests.net.namespace import namespace
from tests.server.test_doctor import config, is_bad

pytestmark = pytest.mark.slow


def test_a_firewall_that_drops_media_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "_CONNECT_S", 0.5)
    settings = config(tmp_path, media={"bind": ("10.9.9.1",), "workers": 1})
    with namespace(f"parley{os.getpid()}-wall") as walled:
        device = walled.tun("net0")
        try:
            walled.ip("addr", "add", "10.9.9.1/24", "dev", "net0")
            walled.ip("link", "set", "net0", "up")
            walled.ip("link", "set", "lo", "down")
            for check in (calls.by_udp, calls.by_tcp):
                finding = walled.inside(lambda look=check: asyncio.run(look(Patient(settings, ""))))
                is_bad(finding, "10.9.9.1", "firewall")
        finally:
            os.close(device)
