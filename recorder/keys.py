"""The master keys of an installation, and what they give each recording to wrap its data keys with.

The master keys lie in one file, or come by configuration. Everything here blocks on the disk.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from media.sealed import KEY_BYTES
from recorder.data_keys import SUFFIX, DataKeys, KeyAccess
from recorder.errors import KeysUnusable
from recorder.files import replace_file

_CONTEXT: Final = b"parley/recording/1/"


class MasterKeys:
    """The keys that wrap data keys: the first wraps, all unwrap."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raises: KeysUnusable."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise KeysUnusable(f"a master key has {KEY_BYTES} bytes, as {2 * KEY_BYTES} hexadecimal digits")
        self._keys = {_id(key): key for key in keys}
        self.current = _id(keys[0])

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """From hexadecimal text. Raises: KeysUnusable."""
        try:
            return cls([bytes.fromhex(text) for text in texts])
        except ValueError as error:
            raise KeysUnusable("a master key is not hexadecimal") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """From a file. Raises: KeysUnusable; FileNotFoundError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(fd, encoding="ascii", errors="replace") as file:
            if stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
                raise KeysUnusable(f"other users may read {path}: chmod 600 it")
            lines = file.read(65_536).split()
        try:
            return cls.parse(lines)
        except KeysUnusable as error:
            raise KeysUnusable(f"{path} is damaged ({error}): restore it from a backup") from error

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """From a file, which is made with a fresh key and mode 0600 when missing. Raises: KeysUnusable."""
        try:
            with contextlib.suppress(FileNotFoundError):
                return cls.load(path)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = cls([secrets.token_bytes(KEY_BYTES)])
            made.save(path)
        except OSError as error:
            raise KeysUnusable(f"the key file {path} cannot be used: {error.strerror}") from error
        return made

    def save(self, path: Path) -> None:
        """Write all keys, the current one first. Raises: OSError."""
        replace_file(path, b"".join(key.hex().encode() + b"\n" for key in self._keys.values()))

    def with_new(self) -> "MasterKeys":
        """These and a fresh one, which is the current one."""
        return MasterKeys([secrets.token_bytes(KEY_BYTES), *self._keys.values()])

    def only_current(self) -> "MasterKeys":
        """The current one alone."""
        return MasterKeys([self._keys[self.current]])

    def wrapping(self, recording: str) -> dict[str, bytes]:
        """The keys that wrap the data keys of one recording, and of no other."""
        context = _CONTEXT + recording.encode()
        return {name: hmac.digest(key, context, "sha256") for name, key in self._keys.items()}


class KeyStore:
    """The data keys of all recordings of this installation."""

    def __init__(self, root: Path, masters: MasterKeys) -> None:
        self._root = root
        self._masters = masters

    def access(self, recording: str) -> KeyAccess:
        """What a worker process gets."""
        return KeyAccess(
            str(self._root / recording), self._masters.wrapping(recording), self._masters.current
        )

    def of(self, recording: str) -> DataKeys:
        """The keys of one recording's people."""
        return DataKeys(self.access(recording))

    def forget(self, recording: str) -> None:
        """Destroy every key of a recording. Raises: OSError."""
        folder = self._root / recording
        if not folder.is_dir():
            return
        keys = self.of(recording)
        for path in folder.glob(f"*{SUFFIX}"):
            keys.destroy(path.name.removesuffix(SUFFIX))
        shutil.rmtree(folder)

    def rewrap(self) -> int:
        """Wrap every data key with the current master key. Raises: KeysUnusable, OSError."""
        folders = sorted(self._root.iterdir()) if self._root.is_dir() else []
        return sum(self.of(folder.name).rewrap() for folder in folders if folder.is_dir())


def rotate(path: Path, root: Path) -> int:
    """Make a new master key in the file, wrap every data key with it, drop the old; how many were wrapped.

    May be run again after a crash: until the end the file holds the old keys too.
    Raises: KeysUnusable, OSError.
    """
    masters = MasterKeys.load(path).with_new()
    masters.save(path)
    count = KeyStore(root, masters).rewrap()
    masters.only_current().save(path)
    return count


def _id(key: bytes) -> str:
    return hashlib.sha256(b"parley/recording-master/" + key).hexdigest()[:16]
