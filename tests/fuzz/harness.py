"""How a fuzz target is written: `fuzz_<name>.py` has `one_input(data)`, which lets undocumented errors out.

`make fuzz` runs each file by itself (atheris, libFuzzer's arguments); `test_corpus.py` replays its corpus as
plain tests. A crash goes into `corpus/<target>/` under a name that says what it is.
"""

import sys
from collections.abc import Callable, Iterator

from hypothesis import strategies as st


def run(one_input: Callable[[bytes], None]) -> None:
    """Hand the target to atheris; returns only when the fuzzer ends the process."""
    import atheris  # noqa: PLC0415 - installed by `make fuzz` only

    def instrumented(data: bytes) -> None:
        one_input(data)

    atheris.instrument_all()
    atheris.Setup(sys.argv, instrumented)
    atheris.Fuzz()


def split(data: bytes) -> Iterator[bytes]:
    """Cut one fuzz input into pieces: a length byte, then so many bytes (0 stands for 256 and more)."""
    at = 0
    while at < len(data):
        size = data[at] or 1200
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


inputs = st.binary(max_size=400)
"""For a quick run of every target beside its corpus."""
