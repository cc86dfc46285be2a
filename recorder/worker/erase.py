"""Takes one person out of a finished folder: files, chat lines, events; then a new manifest to sign."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from recorder import names
from recorder.errors import ManifestInvalid
from recorder.files import replace_file
from recorder.journal import without_person
from recorder.manifest import SignedManifest
from recorder.worker.finish import Finisher
from recorder.worker.messages import Failed, Finished, FinishProgress


def erase_person(folder: Path, person: str, send: Callable[[msgspec.Struct], None]) -> bool:
    """Erase and tell the server; whether a draft waits to be signed. May be run again after a crash.

    Raises: OSError.
    """
    finisher = Finisher(folder)
    try:
        content = (folder / names.MANIFEST).read_bytes()
        before = msgspec.json.decode(content, type=SignedManifest).manifest
    except (OSError, msgspec.MsgspecError) as error:
        send(Failed("no_manifest", f"the recording is not finished: {type(error).__name__}"))
        return False
    tracks = {entry.track for entry in before.tracks if entry.person == person}
    _remove_files(folder, finisher, person)
    for name in (names.CHAT, names.EVENTS):
        replace_file(folder / name, without_person(finisher.read(name), person, tracks))
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


def _remove_files(folder: Path, finisher: Finisher, person: str) -> None:
    for part in finisher.parts():
        if part.person == person:
            (folder / str(part)).unlink()
    aside = folder / names.QUARANTINE
    if aside.is_dir():
        for path in aside.iterdir():
            if path.name.startswith(f"{person}-"):
                path.unlink()
