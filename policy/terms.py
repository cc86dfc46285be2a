"""Terms documents: what people are asked to agree to, immutable and versioned. PURE."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from policy.errors import TermsError
from policy.uses import Media, Use

_VERSION = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsUse:
    """One use that the document asks for, with what of a person it reaches."""

    use: Use
    title: str
    text: str
    media: frozenset[Media]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsDocument:
    """One version of the terms. A published version is never edited; a change is a new version.

    Raises: TermsError at construction when the document contradicts itself.
    """

    version: str
    """Its public name, for example `2026-11`; unique, lower-case letters, digits, dots and hyphens."""
    number: int
    """Its place in the order of versions: counts up from 1, larger is newer."""
    title: str
    effective_at_ms: int
    """Wall clock, Unix milliseconds, from which this version is in force."""
    is_material: bool
    """A material change asks everyone again: older acceptances no longer serve once it is in force."""
    paragraphs: tuple[str, ...]
    age_statement: str
    """The sentence that acceptance confirms; stored as one boolean, never as a birthday."""
    uses: tuple[TermsUse, ...]

    def __post_init__(self) -> None:
        names = [item.use for item in self.uses]
        if self.number < 1:
            raise TermsError(f"terms version {self.version[:40]!r} must have a number of at least 1")
        if not _VERSION.fullmatch(self.version):
            raise TermsError("a terms version is 1 to 32 lower-case letters, digits, dots and hyphens")
        if len(set(names)) != len(names):
            raise TermsError(f"terms version {self.version} names a use twice")
        if not self.title or not self.age_statement or not self.paragraphs:
            raise TermsError(f"terms version {self.version} needs a title, paragraphs and an age statement")
        if any(not item.media for item in self.uses):
            raise TermsError(f"terms version {self.version} has a use that covers nothing")

    def use(self, name: Use) -> TermsUse | None:
        """The use of that name, or None when the document does not ask for it."""
        return next((item for item in self.uses if item.use == name), None)

    def covers(self, name: Use, media: Media) -> bool:
        """Whether this version asks for `name` on `media`."""
        item = self.use(name)
        return item is not None and media in item.media

    def to_json(self) -> str:
        """Canonical JSON of the whole document (sorted keys, no spaces): what is stored and hashed."""
        plain = asdict(self)
        for item in plain["uses"]:
            item["media"] = sorted(item["media"])
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hex: what the ledger keeps beside an acceptance."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "TermsDocument":
        """The document that `to_json` wrote.

        Raises: TermsError when the text is not such a document.
        """
        try:
            plain = json.loads(text)
            uses = tuple(
                TermsUse(
                    use=Use(str(item["use"])),
                    title=str(item["title"]),
                    text=str(item["text"]),
                    media=frozenset(Media(kind) for kind in item["media"]),
                )
                for item in plain["uses"]
            )
            return cls(
                version=str(plain["version"]),
                number=int(plain["number"]),
                title=str(plain["title"]),
                effective_at_ms=int(plain["effective_at_ms"]),
                is_material=bool(plain["is_material"]),
                paragraphs=tuple(str(line) for line in plain["paragraphs"]),
                age_statement=str(plain["age_statement"]),
                uses=uses,
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise TermsError(f"not a terms document: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class TermsHistory:
    """All published versions, oldest first; answers which one is in force and which acceptances still serve.

    Raises: TermsError at construction when versions do not strictly increase or the history is empty.
    """

    documents: tuple[TermsDocument, ...]

    def __post_init__(self) -> None:
        if not self.documents:
            raise TermsError("there must be at least one terms document")
        numbers = [document.number for document in self.documents]
        if numbers != sorted(set(numbers)):
            raise TermsError("the numbers of terms versions must increase")
        if len({document.version for document in self.documents}) != len(self.documents):
            raise TermsError("terms versions must have different names")

    @classmethod
    def of(cls, documents: Iterable[TermsDocument]) -> "TermsHistory":
        """A history of `documents` in any order."""
        return cls(tuple(sorted(documents, key=lambda document: document.number)))

    def get(self, version: str) -> TermsDocument | None:
        """The document of that version, or None."""
        return next((document for document in self.documents if document.version == version), None)

    def current(self, now_ms: int) -> TermsDocument | None:
        """The newest version in force at `now_ms`, or None while none is."""
        in_force = [document for document in self.documents if document.effective_at_ms <= now_ms]
        return in_force[-1] if in_force else None

    def required(self, now_ms: int) -> TermsDocument | None:
        """The oldest version whose acceptance serves at `now_ms`; None while nothing is in force."""
        in_force = [document for document in self.documents if document.effective_at_ms <= now_ms]
        material = [document for document in in_force if document.is_material]
        return material[-1] if material else (in_force[0] if in_force else None)

    def serves(self, version: str, now_ms: int) -> bool:
        """Whether an acceptance of `version` still counts: no newer material version is in force."""
        accepted, required = self.get(version), self.required(now_ms)
        return accepted is not None and required is not None and accepted.number >= required.number

    def next_change_ms(self, now_ms: int) -> int | None:
        """When the next version comes into force, or None."""
        coming = [doc.effective_at_ms for doc in self.documents if doc.effective_at_ms > now_ms]
        return min(coming) if coming else None

    def publish(self, document: TermsDocument) -> "TermsHistory":
        """The history with one version more.

        Raises: TermsError when that version already exists or is older than the newest (published is
        immutable).
        """
        newest = self.documents[-1]
        if document.number <= newest.number or self.get(document.version) is not None:
            raise TermsError(f"version {document.version} is not newer than the published {newest.version}")
        if document.effective_at_ms < newest.effective_at_ms:
            raise TermsError(f"version {document.version} would be in force before {newest.version}")
        return replace(self, documents=(*self.documents, document))
