"""Fuzz target: the ledger's anchor file: any bytes are refused unless this installation wrote them."""

import tempfile
from pathlib import Path

from store.anchor import Anchor
from store.chain import Head
from store.errors import LedgerBroken
from store.keys import KEY_BYTES, Keys
from tests.fuzz import harness

_PATH = Path(tempfile.mkdtemp(prefix="fuzz-anchor-")) / "anchor"
_ANCHOR = Anchor(_PATH, Keys(bytes(KEY_BYTES)))
_HEAD = Head(7, "ab" * 32)


def one_input(data: bytes) -> None:
    _PATH.write_bytes(data)
    try:
        head = _ANCHOR.read()
    except LedgerBroken:
        return
    # The one anchor of the corpus that is right: nothing else is believed.
    if head != _HEAD:
        raise AssertionError(f"believed {head}")


if __name__ == "__main__":
    harness.run(one_input)
