"""Checks a recording's folder against its signed manifest: every file whole, none missing, none extra.

Works on the server's own folder, sealed or not, and on one that was fetched. Blocks on the disk.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.sealed import SealError
from recorder import names
from recorder.data_keys import DataKeys
from recorder.errors import ManifestInvalid
from recorder.files import sha256_of
from recorder.manifest import FileEntry, Manifest, OtherEntry, verify
from recorder.parts import open_part


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the manifest says."""

    name: str
    problem: str
    """`damaged`, `missing`, `extra`, `key_missing`."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found."""

    manifest: Manifest
    files: int
    """Files that were compared."""
    findings: tuple[Finding, ...]


def verify_folder(
    folder: Path,
    *,
    public_key: bytes | None,
    keys: DataKeys | None,
    report: Callable[[int, int], None],
    elsewhere: Callable[[str], BinaryIO] | None = None,
) -> Verification:
    """Compare a folder with its manifest; `report(done, total)` before each file.

    `public_key`: as for `recorder.manifest.verify`. `keys`: what is sealed is opened and compared
    too; without them only as it lies there. `elsewhere`: opens by its name what is not on the disk.
    Raises: ManifestInvalid when there is none that verifies; OSError.
    """
    try:
        manifest = verify((folder / names.MANIFEST).read_bytes(), public_key)
    except FileNotFoundError as error:
        raise ManifestInvalid(
            f"there is no {names.MANIFEST} in {folder}: is the recording finished?"
        ) from error
    entries: list[FileEntry | OtherEntry] = [*manifest.files, *manifest.others]
    findings = []
    for done, entry in enumerate(entries):
        report(done, len(entries))
        problem = _problem(folder / entry.name, entry, keys, elsewhere)
        if problem is not None:
            findings.append(Finding(entry.name, problem))
    findings.extend(Finding(name, "extra") for name in _extra(folder, manifest))
    return Verification(manifest, len(entries), tuple(findings))


def _problem(
    path: Path,
    entry: FileEntry | OtherEntry,
    keys: DataKeys | None,
    elsewhere: Callable[[str], BinaryIO] | None,
) -> str | None:
    if path.is_symlink():
        return "missing"
    try:
        found = _digest_of(path, elsewhere)
    except FileNotFoundError:
        return "missing"
    if found == entry.sha256:
        return None  # as it was fetched, or never sealed
    if found != entry.stored_sha256:
        return "damaged"
    if keys is None:
        return None
    try:
        with open_part(path, keys, elsewhere=elsewhere) as file:
            plain = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except SealError:
        return "key_missing"
    return None if plain == entry.sha256 else "key_missing"


def _digest_of(path: Path, elsewhere: Callable[[str], BinaryIO] | None) -> str:
    """Of a file as it is stored. Raises: FileNotFoundError; OSError."""
    if elsewhere is None or path.is_file():
        return sha256_of(path)
    with elsewhere(path.name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _extra(folder: Path, manifest: Manifest) -> Iterator[str]:
    known = {file.name for file in manifest.files} | {other.name for other in manifest.others}
    known |= {names.MANIFEST, names.ARCHIVE}
    known |= {f"{names.QUARANTINE}/{name}" for name in manifest.quarantined}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if (path.is_file() or path.is_symlink()) and name not in known and not name.startswith(names.ERASE):
            yield name
