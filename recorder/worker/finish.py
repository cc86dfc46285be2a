"""Makes a folder whole: torn ends off, plain files with index and duration, hashes, a manifest to sign.

Runs after a recording stopped and after any crash, and may itself be killed at any point: what it did is
noted before it takes effect, so that the next run goes on from there.
"""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal, cast

import msgspec

from media.containers import whole_end
from media.mux import MuxError
from media.remux import Remuxed, probe, remux
from media.sealed import SealedReader, SealedWriter, SealError, seal
from recorder import names
from recorder.data_keys import DataKeys
from recorder.errors import ManifestInvalid
from recorder.files import replace_file, sha256_of, sync_path
from recorder.history import build
from recorder.journal import encode_line, plain_lines, read_lines, whole_lines, without_deleted
from recorder.manifest import NAME_CONTEXT, Manifest, OtherEntry, PartFacts, PersonEntry
from recorder.parts import open_part, read_journal
from recorder.worker.messages import Failed, Finished, FinishProgress


class Finisher:
    """Works on one folder that this process has locked. Every method may raise OSError."""

    def __init__(
        self, folder: Path, keys: DataKeys | None, archived: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`keys`: of the folder's recording; what they do not open is put aside.

        `archived`: digests of finished files, by name, that need not be on the disk.
        """
        self._folder = folder
        self._archived = archived
        self._keys = keys
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
        for line in read_lines(self.read(names.EVENTS), self._key_of):
            if line.get("event") == "file_finished":
                try:
                    facts = msgspec.convert(line.get("facts"), PartFacts)
                except msgspec.ValidationError:
                    continue
                self._known[facts.name] = facts

    def parts(self) -> list[names.PartName]:
        """The media files, by person, source and number."""
        here = {path.name for path in self._folder.iterdir() if path.is_file() and not path.is_symlink()}
        found = [names.PartName.parse(name) for name in here | self._archived.keys()]
        return sorted(
            (part for part in found if part is not None),
            key=lambda part: (part.person, part.source, part.number),
        )

    def finish(self, part: names.PartName) -> PartFacts | None:
        """Make one file plain; None when nothing whole is in it and it is gone (removed or put aside).

        Raises: ManifestInvalid.
        """
        path = self._folder / str(part)
        known = self._known.get(str(part))
        if not path.exists():
            return self._elsewhere(part, known)
        if known is not None and sha256_of(path) == (known.stored_sha256 or known.sha256):
            return known
        facts: PartFacts | None = None
        try:
            with open_part(path, self._keys, writable=True) as source:
                if isinstance(source, SealedReader):
                    source.trim()
                end = whole_end(source, part.extension)
                if end:
                    source.truncate(end)
                    facts = self._rewrite(part, path, source)
        except (MuxError, SealError) as error:
            self._note("file_unreadable", file=str(part), reason=str(error))
        if facts is None:
            self._put_aside(path)
        return facts

    def _elsewhere(self, part: names.PartName, known: PartFacts | None) -> PartFacts:
        """Of a file that is in the archive alone. Raises: ManifestInvalid."""
        if known is None or (known.stored_sha256 or known.sha256) != self._archived.get(str(part)):
            raise ManifestInvalid(f"{part} is in the archive only, and the events do not say what it is")
        return known

    def _rewrite(self, part: names.PartName, path: Path, source: BinaryIO) -> PartFacts:
        """Copy what is whole into a plain file in its place. Raises: MuxError, SealError, OSError."""
        temporary = path.with_name(path.name + names.TEMPORARY)
        key = self._key_of(part.person) if isinstance(source, SealedReader) else None
        try:
            with temporary.open("wb+") as file, sealed_with(key, file) as target:
                content, is_plain = remux(source, target, part.extension), True
        except OSError:
            # No room for a second copy: the fragments play as they are.
            temporary.unlink(missing_ok=True)
            content, is_plain = probe(source, part.extension), False
            if isinstance(source, SealedReader):
                os.truncate(path, source.sealed_end)
        except (MuxError, SealError):
            temporary.unlink(missing_ok=True)
            raise
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
        self._drop_deleted_chat()
        others = [self._other(name) for name in (names.CHAT, names.EVENTS) if (self._folder / name).is_file()]
        events, chat = self.read(names.EVENTS), self.read(names.CHAT)
        manifest = build(read_lines(events, self._key_of), read_lines(chat, self._key_of), finished, others)
        return msgspec.structs.replace(
            manifest, people=[self._nameless(person) for person in manifest.people]
        )

    def _drop_deleted_chat(self) -> None:
        chat = self.read(names.CHAT)
        kept = without_deleted(chat, self._key_of)
        if kept != chat:
            replace_file(self._folder / names.CHAT, kept)

    def _other(self, name: str) -> OtherEntry:
        stored = self.read(name)
        plain = plain_lines(stored, self._key_of)
        is_sealed = plain != stored
        return OtherEntry(
            name=name,
            size_bytes=len(plain),
            sha256=hashlib.sha256(plain).hexdigest(),
            stored_sha256=hashlib.sha256(stored).hexdigest() if is_sealed else "",
        )

    def _nameless(self, person: PersonEntry) -> PersonEntry:
        """With the name sealed, where the person has a key."""
        key = self._key_of(person.person)
        if key is None or not person.name:
            return person
        sealed = base64.b64encode(seal(key, person.name.encode(), NAME_CONTEXT)).decode()
        return msgspec.structs.replace(person, name="", sealed_name=sealed)

    def _key_of(self, person: str) -> bytes | None:
        return self._keys.get(person) if self._keys is not None and names.is_person(person) else None

    def write_draft(self, manifest: Manifest) -> int:
        """Leave the manifest to be signed; bytes of the recording's files."""
        replace_file(self._folder / names.DRAFT, msgspec.json.encode(manifest))
        sizes = [file.size_bytes for file in manifest.files] + [file.size_bytes for file in manifest.others]
        return sum(sizes)

    def _facts(self, part: names.PartName, content: Remuxed, path: Path, *, is_plain: bool) -> PartFacts:
        with open_part(path, self._keys) as plain:
            sha256 = hashlib.file_digest(plain, "sha256").hexdigest()  # type: ignore[arg-type]
            size_bytes, is_sealed = plain.tell(), isinstance(plain, SealedReader)
        kind: Literal["audio", "video"] = "audio" if part.kind == "audio" else "video"
        return PartFacts(
            name=str(part),
            kind=kind,
            person=part.person,
            source=part.source,
            frames=content.frames,
            start_ms=content.start_ms,
            end_ms=content.end_ms,
            size_bytes=size_bytes,
            sha256=sha256,
            stored_sha256=sha256_of(path) if is_sealed else "",
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
        return read_journal(self._folder / name)


@contextmanager
def sealed_with(key: bytes | None, file: BinaryIO) -> Iterator[BinaryIO]:
    """What is written to `file` is sealed with a key; with None it is written as it is. Raises: OSError."""
    if key is None:
        yield file
    else:
        writer = SealedWriter(file, key)
        yield cast("BinaryIO", writer)
        writer.flush()


def finish_folder(folder: Path, keys: DataKeys | None, send: Callable[[msgspec.Struct], None]) -> bool:
    """Finish a folder and tell the server; whether a draft waits to be signed. Raises: OSError."""
    finisher = Finisher(folder, keys)
    finisher.tidy()
    try:
        manifest = finisher.whole(lambda done, total: send(FinishProgress(done, total)))
    except ManifestInvalid as error:
        send(Failed("no_events", str(error)))
        return False
    send(Finished(finisher.write_draft(manifest), len(manifest.quarantined)))
    return True
