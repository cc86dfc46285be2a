"""The libsrtp functions that the core calls are the ones it was written for, or nothing starts."""

import pytest

from media.gates import GatePage
from sfu.config import MediaConfig
from sfu.engine import srtp_table
from sfu.engine.native import NativeEngine
from sfu.errors import EngineError


def test_the_wheels_functions_pass_the_known_answer_check() -> None:
    table = srtp_table.load_srtp()
    assert all(table)
    assert len(set(table)) == 4


async def test_another_libsrtp_is_refused_before_a_socket_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp_table, "_GCM_ANSWER", bytes(47))
    page = GatePage.create(8)
    with pytest.raises(EngineError, match="known-answer"):
        NativeEngine(MediaConfig(addresses=("127.0.0.1",), port=0, gate_slots=8), page)
    page.close()


async def test_an_address_that_cannot_be_bound_is_named() -> None:
    page = GatePage.create(8)
    with pytest.raises(EngineError, match=r"203\.0\.113\.9"):
        NativeEngine(MediaConfig(addresses=("203.0.113.9",), port=0, gate_slots=8), page)
    page.close()
