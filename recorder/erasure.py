"""Which recordings a withdrawal concerns, and how a person is taken out of a folder that was never finished.

A finished folder is erased by a worker process (`recorder.worker.erase`), which leaves a new manifest.
"""

from pathlib import Path

from recorder import names
from recorder.files import replace_file
from recorder.journal import without_person
from recorder.manifest import Manifest
from rooms import Withdrawal
from store import RecordingRow


def concerns(row: RecordingRow, withdrawal: Withdrawal) -> bool:
    """Whether the recording may hold what the person withdraws: known once it is finished. PURE."""
    people = row.details.get("people")
    return (
        row.started_at_ms <= withdrawal.at_ms
        and withdrawal.room in {"", row.room}
        and withdrawal.recording in {"", row.id}
        and (not isinstance(people, list) or withdrawal.person in people)
    )


def people_in(manifest: Manifest) -> list[str]:
    """Everyone of whom there is anything in a finished folder, what was put aside included. PURE."""
    aside = [names.PartName.parse(name) for name in manifest.quarantined]
    return sorted(
        {person.person for person in manifest.people}
        | {file.person for file in manifest.files}
        | {part.person for part in aside if part is not None}
    )


def withdrawn(folder: Path) -> frozenset[str]:
    """People whose erasure from a recording is asked for and not done yet. Blocks. Raises: OSError."""
    return frozenset(path.name.removeprefix(names.ERASE) for path in folder.glob(f"{names.ERASE}*"))


def scrub(folder: Path, person: str) -> bool:
    """Take a person out of a folder that nobody could finish; whether anything was there. Raises: OSError."""
    is_changed = False
    for path in sorted(folder.rglob(f"{person}-*")):
        if path.is_file() or path.is_symlink():
            path.unlink()
            is_changed = True
    for name in (names.CHAT, names.EVENTS):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if person.encode() in content:
            replace_file(path, without_person(content, person))
            is_changed = True
    return is_changed
