"""How a fuzz target is written: `fuzz_<name>.py` has `one_input(data)`, which lets undocumented errors out.

`make fuzz` runs each file by itself (atheris, libFuzzer's arguments); `test_corpus.py` replays its corpus as
plain tests. A crash goes into `corpus/<target>/` under a name that says what it is.
"""

import gc
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

from hypothesis import strategies as st

_ROOT = Path(__file__).parents[2]


def run(one_input: Callable[[bytes], None]) -> None:
    """Hand the target to atheris; returns only when the fuzzer ends the process."""
    import atheris  # noqa: PLC0415 - installed by `make fuzz` only

    def instrumented(data: bytes) -> None:
        one_input(data)

    # Our own code only: with libraries of tens of thousands of functions a run would spend its time on this.
    for function in gc.get_objects():
        if isinstance(function, types.FunctionType) and _is_ours(function):
            atheris.instrument_func(function)
    atheris.Setup(sys.argv, instrumented)
    atheris.Fuzz()


def _is_ours(function: types.FunctionType) -> bool:
    file = Path(function.__code__.co_filename)
    return file.is_relative_to(_ROOT) and "site-packages" not in file.parts


def split(data: bytes) -> Iterator[bytes]:
    """Cut one fuzz input into pieces: a length byte, then so many bytes (0 stands for 256 and more)."""
    at = 0
    while at < len(data):
        size = data[at] or 1200
        yield data[at + 1 : at + 1 + size]
        at += 1 + size


inputs = st.binary(max_size=400)
"""For a quick run of every target beside its corpus."""
