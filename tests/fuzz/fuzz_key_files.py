"""Fuzz target: key files: of the installation, of recordings (master and data keys), of development."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from recorder.errors import KeysUnusable
from recorder.keys import DataKeys, KeyAccess, MasterKeys
from server import devkey
from store import keys
from store.errors import KeyFileError
from tests.fuzz import harness

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-keys-"))
_ACCESS = KeyAccess(str(_FOLDER), {"0011223344556677": bytes(32)}, "0011223344556677")


def one_input(data: bytes) -> None:
    with suppress(KeyFileError):
        keys.load(_written("secret.key", data))
    with suppress(KeysUnusable):
        MasterKeys.load(_written("recordings.key", data))
    with suppress(devkey.DevKeyError):
        _written(devkey.FILE, data)
        devkey.load_or_create(_FOLDER)
    _written("p_ann.key", data)
    key = DataKeys(_ACCESS).get("p_ann")
    with suppress(KeysUnusable):
        if DataKeys(_ACCESS).rewrap() and key is None:
            raise AssertionError("a key that does not open was wrapped anew")


def _written(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    return path


if __name__ == "__main__":
    harness.run(one_input)
