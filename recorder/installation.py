"""What one installation signs and seals recordings with. Blocks on the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.archived import opener
from recorder.errors import KeysUnusable
from recorder.keys import KeyStore, MasterKeys, rotate
from recorder.types import RecorderConfig
from recorder.verification import Verification, verify_folder
from store import Archive, Store

KEY_FILE: Final = "recordings.key"
KEY_FOLDER: Final = "recording-keys"
SIGNING_PURPOSE: Final = "recording-manifest"


def signing_key(store: Store) -> Ed25519PrivateKey:
    """Signs manifests."""
    return Ed25519PrivateKey.from_private_bytes(store.derive_key(SIGNING_PURPOSE))


def key_file(config: RecorderConfig, data_dir: Path) -> Path:
    """Where the master keys lie, unless they are configured."""
    return config.key_file or data_dir / KEY_FILE


def open_keys(config: RecorderConfig, store: Store, *, creates: bool = False) -> KeyStore | None:
    """The keys of what is sealed; None when nothing is. Raises: KeysUnusable.

    `creates`: whether master keys are made when there are none and recordings are to be sealed.
    """
    if store.blobs is None:
        return None
    data = store.blobs.root.parent
    path = key_file(config, data)
    if config.master_keys:
        masters = MasterKeys.parse(config.master_keys)
    elif path.exists() or (config.encrypts and creates):
        masters = MasterKeys.load_or_create(path)
    else:
        return None
    return KeyStore(data / KEY_FOLDER, masters)


def verify_recording(
    folder: Path,
    store: Store | None,
    config: RecorderConfig,
    public_key: bytes | None,
    report: Callable[[int, int], None],
) -> Verification:
    """Check a finished recording's folder, with this installation's keys when there is a store.

    `public_key`: 32 bytes that the manifest must be signed with; None: those of the store, without one any.
    Raises: ManifestInvalid, NotArchived, KeysUnusable, OSError.
    """
    keys = elsewhere = None
    if store is not None:
        archive = Archive(config.archive) if config.archive is not None else None
        elsewhere = opener(folder, f"recordings/{folder.name}", archive)
        public_key = public_key or signing_key(store).public_key().public_bytes_raw()
        held = open_keys(config, store)
        keys = held.of(folder.name) if held is not None else None
    return verify_folder(folder, public_key=public_key, keys=keys, report=report, elsewhere=elsewhere)


def rotate_master_key(config: RecorderConfig, store: Store) -> int:
    """Wrap every data key with a new master key; how many were wrapped. The server must be stopped.

    With configured master keys the first of them wraps; the others may be dropped afterwards.
    Raises: KeysUnusable, OSError.
    """
    held = open_keys(config, store)
    if held is None or store.blobs is None:
        raise KeysUnusable("nothing is sealed here: there is no key to change")
    if config.master_keys:
        return held.rewrap()
    data = store.blobs.root.parent
    return rotate(key_file(config, data), data / KEY_FOLDER)
