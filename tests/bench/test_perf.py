"""Where a server's CPU goes: samples as perf prints them, sorted by what they belong to."""

import shutil

import pytest
from typer.testing import CliRunner

from bench import perf
from server.cli import app

# `perf script -F comm,ip,sym,dso --no-inline`, shortened.
PRINTED = """\
sfu-worker-0
\tffffffff81f0c2a1 __udp4_lib_rcv ([kernel.kallsyms])
\tffffffff81e0d7a5 ip_local_deliver ([kernel.kallsyms])
\tffffffff81d5c8d8 __sys_sendmmsg ([kernel.kallsyms])
\tffffffff81d5ca2e __x64_sys_sendmmsg ([kernel.kallsyms])
\t          10f5cf sendmmsg (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t           3d2aa parley::UdpSocket::flush() (/srv/sfu/engine/_core.abi3.so)

sfu-worker-0
\tffffffff81d5b7e0 ___sys_recvmsg ([kernel.kallsyms])
\tffffffff81d5bd4c do_recvmmsg ([kernel.kallsyms])
\tffffffff81d5c0aa __x64_sys_recvmmsg ([kernel.kallsyms])

sfu-worker-0
\tffffffff8171e1b2 ep_poll ([kernel.kallsyms])
\tffffffff8171e9d3 __x64_sys_epoll_pwait2 ([kernel.kallsyms])

sfu-worker-0
\t           9b2c0 aes_gcm_enc_update_vaes_avx512 (/srv/pylibsrtp/_binding.abi3.so)
\t      1040000000 [unknown] ([unknown])

sfu-worker-0
\t           41c00 parley::Fanout::serve_packet(parley::Forward&) (/srv/sfu/engine/_core.abi3.so)

python3
\t          1a2b3c _PyEval_EvalFrameDefault (/usr/bin/python3.11)

python3
\t           9b2c0 sha1_block_data_order (/srv/cryptography/_rust.abi3.so)

python3
\tffffffff82000c82 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
"""


def test_samples_are_sorted_by_thread_and_what_it_did() -> None:
    found = perf.breakdown(perf.read(PRINTED))
    assert found.samples == 8
    assert {part.name: part.share for part in found.parts} == {
        "media: kernel, send": 0.125,
        "media: kernel, receive": 0.125,
        "media: kernel, wait": 0.125,
        "media: SRTP": 0.125,
        "media: core": 0.125,
        "Python: code": 0.25,
        "Python: kernel, other": 0.125,
    }
    assert found.parts[0].name == "Python: code"
    assert found.hottest[0].name == "__udp4_lib_rcv ([kernel.kallsyms])"


@pytest.mark.parametrize("text", ["", "\n\n", "python3 \n\n", "python3 \n\tdead beef\n"])
def test_what_perf_could_not_tell_is_counted_as_that_or_not_at_all(text: str) -> None:
    found = perf.breakdown(perf.read(text))
    assert found.samples == text.count("python3")
    assert sum(part.share for part in found.parts) == found.samples


@pytest.mark.shares("the pipe by which libuv hears of signals, one for the whole process")
def test_without_perf_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    words = ["bench", "profile", "--subscribers", "1", "--seconds", "0.5", "--keep", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "linux-perf" in result.output
    assert not list(tmp_path.iterdir())
