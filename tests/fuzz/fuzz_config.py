"""Fuzz target: a configuration file (first line cut off: an environment, `NAME=value` by unit separators)."""

import tempfile
from pathlib import Path

from server.config import ConfigError, load
from tests.fuzz import harness

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-config-"))


def one_input(data: bytes) -> None:
    first, _, rest = data.partition(b"\n")
    path = _FOLDER / "parley.toml"
    path.write_bytes(rest)
    pairs = (part.partition("=") for part in first.decode("latin-1").split("\x1f")[:20])
    try:
        load(path, {f"PARLEY_{name}": value for name, _, value in pairs if name})
    except ConfigError as error:
        if not error.problems or not all(line.isprintable() for line in error.problems):
            raise AssertionError(error.problems) from error


if __name__ == "__main__":
    harness.run(one_input)
