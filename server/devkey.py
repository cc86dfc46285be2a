"""The development key: made once, kept in the data folder, for servers that only this machine can reach."""

import json
import os
import secrets
from pathlib import Path
from typing import Final

from signaling import ApiKey, KeyRefused

FILE: Final = "dev-key.json"


class DevKeyError(Exception):
    """The key file cannot be read or made; the message says what to do."""

    code = "invalid_dev_key"


def load_or_create(data_dir: Path) -> ApiKey:
    """The key of `DATA_DIR/dev-key.json` (`{"id", "secret", "alg"}`, mode 0600), made when missing.

    Raises:
        DevKeyError: not readable, not writable, or not such a key.
    """
    path = data_dir / FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _read(path) if path.exists() else _create(path)
    except OSError as error:
        raise DevKeyError(
            f"{path}: {error.strerror}: choose another --data-dir, or configure a key"
        ) from error


def _read(path: Path) -> ApiKey:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(16_384)
    try:
        found = json.loads(text)
        return ApiKey(str(found["id"]), str(found["secret"]), str(found["alg"]))
    except (ValueError, KeyError, TypeError, RecursionError, KeyRefused) as error:
        raise DevKeyError(f"{path} is not a key file: remove it to have a new one made") from error


def _create(path: Path) -> ApiKey:
    key = ApiKey(f"dev-{secrets.token_hex(4)}", secrets.token_urlsafe(48), "HS256")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"id": key.id, "secret": key.secret, "alg": key.alg}, file)
    return key
