"""Which files a recording has, for those who ask. PURE but for `files_so_far`, which looks at the disk."""

from collections.abc import Collection
from pathlib import Path

from media.containers import CONTENT_TYPES
from recorder import names
from recorder.manifest import Manifest
from recorder.types import RecordedFile


def files_of(manifest: Manifest) -> list[RecordedFile]:
    """The files of a finished recording."""
    media = [
        RecordedFile(file.name, file.size_bytes, _content_type(file.name, file.kind), file.sha256)
        for file in manifest.files
    ]
    others = [
        RecordedFile(other.name, other.size_bytes, _content_type(other.name), other.sha256)
        for other in manifest.others
    ]
    return [*media, *others]


def is_of(name: str, people: Collection[str]) -> bool:
    """Whether a file shows one of these people alone."""
    part = names.PartName.parse(name)
    return part is not None and part.person in people


def files_so_far(folder: Path) -> list[RecordedFile]:
    """What lies there while the recording runs: sizes, no hashes."""
    found: list[RecordedFile] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        part = names.PartName.parse(path.name)
        if part is not None or path.name in {names.CHAT, names.EVENTS}:
            kind = part.kind if part is not None else ""
            found.append(RecordedFile(path.name, path.stat().st_size, _content_type(path.name, kind), None))
    return found


def _content_type(name: str, kind: str = "") -> str:
    extension = name.rpartition(".")[2]
    if extension == "jsonl":
        return "application/jsonl"
    return CONTENT_TYPES.get((extension, kind), "application/octet-stream")
