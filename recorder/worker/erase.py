"""Takes one person out of a finished folder: files, chat lines, events; then a new manifest to sign."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from recorder import names
from recorder.data_keys import DataKeys
from recorder.errors import ManifestInvalid
from recorder.files import replace_file
from recorder.journal import without_person
from recorder.manifest import parse_signed
from recorder.worker.finish import Finisher
from recorder.worker.messages import Failed, Finished, FinishProgress


def erase_person(
    folder: Path,
    person: str,
    keys: DataKeys | None,
    send: Callable[[msgspec.Struct], None],
    archived: Mapping[str, str],
) -> bool:
    """Erase and tell the server; whether a draft waits to be signed. May be run again after a crash.

    Their key is destroyed first: from then on every copy of what was sealed with it is noise. Without a
    manifest that can be read their files and lines go all the same, and there is no draft. `archived`:
    digests of files that need not be on the disk.

    Raises: OSError.
    """
    if keys is not None:
        keys.destroy(person)
    others = {name: digest for name, digest in archived.items() if not name.startswith(f"{person}-")}
    finisher = Finisher(folder, keys, others)
    try:
        content = (folder / names.MANIFEST).read_bytes()
        before = parse_signed(content)
    except (OSError, ManifestInvalid) as error:
        _remove(folder, finisher, person, ())
        send(Failed("no_manifest", f"put it back from a copy, the person's files are gone: {error}"))
        return False
    _remove(folder, finisher, person, {entry.track for entry in before.tracks if entry.person == person})
    finisher.tidy()
    try:
        manifest = finisher.whole(lambda done, total: send(FinishProgress(done, total)))
    except ManifestInvalid as error:
        send(Failed("no_events", str(error)))
        return False
    digest = hashlib.sha256(content).hexdigest()
    manifest = msgspec.structs.replace(manifest, version=before.version + 1, supersedes=digest)
    send(Finished(finisher.write_draft(manifest), len(manifest.quarantined)))
    return True


def _remove(folder: Path, finisher: Finisher, person: str, tracks: Collection[int]) -> None:
    """Their files, and the lines about them and their tracks. Raises: OSError."""
    for part in finisher.parts():
        if part.person == person:
            (folder / str(part)).unlink()
    aside = folder / names.QUARANTINE
    if aside.is_dir():
        for path in aside.iterdir():
            if path.name.startswith(f"{person}-"):
                path.unlink()
    for name in (names.CHAT, names.EVENTS):
        replace_file(folder / name, without_person(finisher.read(name), person, tracks))
