"""Makes a folder whole: torn ends off, plain files with index and duration, hashes, a manifest to sign.

Runs after a recording stopped and after any crash, and may itself be killed at any point: what it did is
noted before it takes effect, so that the next run goes on from there.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from media.containers import whole_end
from media.mux import MuxError
from media.remux import Remuxed, probe, remux
from recorder import names
from recorder.errors import ManifestInvalid
from recorder.files import replace_file, sha256_of, sync_path
from recorder.history import build
from recorder.journal import encode_line, read_lines, whole_lines
from recorder.manifest import Manifest, OtherEntry, PartFacts
from recorder.worker.messages import Failed, Finished, FinishProgress

JOURNAL_MAX_BYTES: Final = 256 << 20


class Finisher:
    """Works on one folder that this process has locked. Every method may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, PartFacts] = {}

    def tidy(self) -> None:
        """Remove what a crash left half done; cut journals to whole lines; read what is finished already."""
        for path in self._folder.iterdir():
            if path.name.endswith(names.TEMPORARY) and not path.is_dir():
                path.unlink()
        for name in (names.EVENTS, names.CHAT):
            path = self._folder / name
            if path.is_file() and not path.is_symlink():
                os.truncate(path, whole_lines(self.read(name)))
        for line in read_lines(self.read(names.EVENTS)):
            if line.get("event") == "file_finished":
                try:
                    facts = msgspec.convert(line.get("facts"), PartFacts)
                except msgspec.ValidationError:
                    continue
                self._known[facts.name] = facts

    def parts(self) -> list[names.PartName]:
        """The media files, by person, source and number."""
        found = (
            names.PartName.parse(path.name)
            for path in self._folder.iterdir()
            if path.is_file() and not path.is_symlink()
        )
        return sorted(
            (part for part in found if part is not None),
            key=lambda part: (part.person, part.source, part.number),
        )

    def finish(self, part: names.PartName) -> PartFacts | None:
        """Make one file plain; None when nothing whole is in it and it is gone (removed or put aside)."""
        path = self._folder / str(part)
        known = self._known.get(str(part))
        if known is not None and sha256_of(path) == known.sha256:
            return known
        with path.open("rb+") as file:
            end = whole_end(file, part.extension)
            if end:
                file.truncate(end)
        if not end:
            self._put_aside(path)
            return None
        temporary = path.with_name(path.name + names.TEMPORARY)
        try:
            content, is_plain = remux(path, temporary, part.extension), True
        except MuxError:
            temporary.unlink(missing_ok=True)
            self._put_aside(path)
            return None
        except OSError:
            # No room for a second copy: the fragments play as they are.
            temporary.unlink(missing_ok=True)
            content, is_plain = probe(path, part.extension), False
        shown = temporary if is_plain else path
        sync_path(shown)
        facts = self._facts(part, content, shown, is_plain=is_plain)
        self._note("file_finished", facts=msgspec.to_builtins(facts))
        if is_plain:
            temporary.replace(path)
        sync_path(self._folder)
        return facts

    def whole(self, report: Callable[[int, int], None]) -> Manifest:
        """Finish everything; `report(done, total)` before each file. Raises: ManifestInvalid, OSError."""
        parts = self.parts()
        finished: list[PartFacts] = []
        for done, part in enumerate(parts):
            report(done, len(parts))
            facts = self.finish(part)
            if facts is not None:
                finished.append(facts)
        others = []
        for name in (names.CHAT, names.EVENTS):
            path = self._folder / name
            if path.is_file():
                others.append(OtherEntry(name=name, size_bytes=path.stat().st_size, sha256=sha256_of(path)))
        events, chat = self.read(names.EVENTS), self.read(names.CHAT)
        return build(read_lines(events), read_lines(chat), finished, others)

    def write_draft(self, manifest: Manifest) -> int:
        """Leave the manifest to be signed; bytes of the recording's files."""
        replace_file(self._folder / names.DRAFT, msgspec.json.encode(manifest))
        sizes = [file.size_bytes for file in manifest.files] + [file.size_bytes for file in manifest.others]
        return sum(sizes)

    def _facts(self, part: names.PartName, content: Remuxed, path: Path, *, is_plain: bool) -> PartFacts:
        kind: Literal["audio", "video"] = "audio" if part.kind == "audio" else "video"
        return PartFacts(
            name=str(part),
            kind=kind,
            person=part.person,
            source=part.source,
            frames=content.frames,
            start_ms=content.start_ms,
            end_ms=content.end_ms,
            size_bytes=path.stat().st_size,
            sha256=sha256_of(path),
            is_plain=is_plain,
        )

    def _put_aside(self, path: Path) -> None:
        """An empty file goes; one that has something nobody can read is kept apart."""
        if path.stat().st_size == 0:
            path.unlink()
            return
        aside = self._folder / names.QUARANTINE
        aside.mkdir(mode=0o700, exist_ok=True)
        self._note("file_quarantined", file=path.name)
        path.replace(aside / path.name)

    def _note(self, event: str, **fields: object) -> None:
        with (self._folder / names.EVENTS).open("ab") as file:
            file.write(encode_line(0, event, {**fields, "unix_ms": time.time_ns() // 1_000_000}))
            file.flush()
            os.fsync(file.fileno())

    def read(self, name: str) -> bytes:
        """A journal's content; nothing when it is not there."""
        path = self._folder / name
        if not path.is_file() or path.is_symlink():
            return b""
        with path.open("rb") as file:
            return file.read(JOURNAL_MAX_BYTES)


def finish_folder(folder: Path, send: Callable[[msgspec.Struct], None]) -> bool:
    """Finish a folder and tell the server; whether a draft waits to be signed. Raises: OSError."""
    finisher = Finisher(folder)
    finisher.tidy()
    try:
        manifest = finisher.whole(lambda done, total: send(FinishProgress(done, total)))
    except ManifestInvalid as error:
        send(Failed("no_events", str(error)))
        return False
    send(Finished(finisher.write_draft(manifest), len(manifest.quarantined)))
    return True
