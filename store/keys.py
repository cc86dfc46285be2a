"""The installation's master key, and what is derived from it: sealing and keyed hashes.

The key lies in a file of its own beside the database, so that a copy of the database alone reveals nothing.
"""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import KeyFileError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Keys:
    """Everything that needs the master key; one per store.

    Each purpose has its own derived key, so that a value sealed for one purpose does not open under another.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise KeyFileError(f"the master key has {len(master)} bytes instead of {KEY_BYTES}")
        self._master = master

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for `purpose`; the same one each time."""
        return hmac.digest(self._master, b"parley/1/" + purpose.encode(), "sha256")

    def seal(self, purpose: str, value: bytes, context: str) -> bytes:
        """Encrypt and authenticate: nonce and AES-256-GCM text.

        It opens only with the same purpose and context.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.derive(purpose)).encrypt(nonce, value, context.encode())

    def unseal(self, purpose: str, sealed: bytes, context: str) -> bytes:
        """What `seal` took.

        Raises: KeyFileError when the text is damaged or was sealed with another key.
        """
        try:
            nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(self.derive(purpose)).decrypt(nonce, text, context.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyFileError(f"a sealed {purpose} does not open: is the key file the right one?") from error

    def keyed_hash(self, purpose: str, value: str) -> str:
        """SHA-256 HMAC in hex: compares values without keeping them."""
        return hmac.new(self.derive(f"hash/{purpose}"), value.encode(), hashlib.sha256).hexdigest()


def load_or_create(path: Path) -> Keys:
    """The keys of the file, which is made with fresh randomness and mode 0600 when missing.

    Raises: KeyFileError when it is damaged, or other users may read it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return load(path)
    except OSError as error:
        raise KeyFileError(f"cannot make the key file {path}: {error.strerror}") from error
    master = secrets.token_bytes(KEY_BYTES)
    try:
        os.write(descriptor, master.hex().encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return Keys(master)


def load(path: Path) -> Keys:
    """The keys of an existing file.

    Raises: KeyFileError when it is missing, damaged, or other users may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise KeyFileError(f"other users may read {path}: chmod 600 it")
        text = os.read(descriptor, 4 * KEY_BYTES)
    finally:
        os.close(descriptor)
    try:
        return Keys(bytes.fromhex(text.decode("ascii").strip()))
    except ValueError as error:
        raise KeyFileError(f"{path} is damaged: restore it from a backup") from error
