"""The manifest of a recording: what is in its folder, who agreed to it, and a signature over both. PURE.

`recorder.history` builds it. Source of the signature scheme: RFC 8032 (Ed25519).
"""

import base64
import binascii
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.errors import ManifestInvalid

FORMAT: Final = "parley-recording/1"
NAME_CONTEXT: Final = b"name"
"""What a sealed name opens with, beside the person's key."""
_DAMAGED: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One media file. Its own timestamps are on the recording's time line."""

    name: str
    kind: Literal["audio", "video"]
    person: str
    source: str
    track: int
    codec: str
    width: int
    height: int
    start_ms: int
    """First frame."""
    end_ms: int
    """Last frame."""
    frames: int
    size_bytes: int
    """Of the plain file, as it is downloaded."""
    sha256: str
    """Of the plain file."""
    stored_sha256: str = ""
    """Of the file as it lies on the disk, when that is sealed."""
    is_plain: bool
    """False when the disk had no room to write it anew: fragments, without duration and index."""


class OtherEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Another file of the folder."""

    name: str
    size_bytes: int
    sha256: str
    stored_sha256: str = ""
    """Of the file as it lies on the disk, when lines of it are sealed."""


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which a person was recorded under one grant."""

    participant: str
    from_ms: int
    to_ms: int
    terms_version: str
    """The terms that they had accepted."""
    ended: str
    """Why it ended: `revoked`, `left`, ...; empty when the recording ended first."""


class PersonEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is in the recording; nobody else is named."""

    person: str
    name: str
    """Empty when it is sealed."""
    sealed_name: str = ""
    """Base64, sealed with the person's key."""
    grants: list[Join]
    chat_lines: int


class TrackEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One published track."""

    track: int
    person: str
    participant: str
    kind: str
    source: str
    from_ms: int
    to_ms: int
    clock: list[dict[str, int]]
    """Where the publisher's wall clock (by RTCP sender reports) stood on the time line."""
    gaps: list[dict[str, int | str]]
    layers: list[dict[str, int]]
    """Switches between simulcast encodings."""
    mutes: list[dict[str, int | bool]]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed. Times are milliseconds on the recording's time line unless the name says otherwise."""

    format: str = FORMAT
    version: int = 1
    """Grows with each manifest of the same recording."""
    supersedes: str = ""
    """SHA-256 of the manifest before this one; empty for the first."""
    recording: str
    room: str
    state: Literal["finished", "interrupted"]
    reason: str
    started_unix_ms: int
    duration_ms: int
    terms_version: str
    """In force when the recording started."""
    worker_starts: int
    people: list[PersonEntry]
    tracks: list[TrackEntry]
    files: list[FileEntry]
    others: list[OtherEntry]
    quarantined: list[str]
    """Files that could not be read and were put aside."""
    pauses: list[dict[str, int]] = []
    """Spans (`from_ms`, `to_ms`) in which nothing was kept."""


class Signature(msgspec.Struct, frozen=True):
    """Ed25519 over the canonical JSON (sorted keys, no white space, UTF-8) of `manifest`."""

    alg: Literal["ed25519"]
    public_key: str
    """Base64 of the 32 bytes."""
    value: str
    """Base64 of the 64 bytes."""


class SignedManifest(msgspec.Struct, frozen=True):
    """What `manifest.json` holds."""

    manifest: Manifest
    signature: Signature


def canonical(manifest: Manifest) -> bytes:
    """The bytes that are signed."""
    return msgspec.json.encode(manifest, order="sorted")


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """The content of `manifest.json`."""
    public = key.public_key().public_bytes_raw()
    value = base64.b64encode(key.sign(canonical(manifest))).decode()
    signature = Signature("ed25519", base64.b64encode(public).decode(), value)
    return (
        msgspec.json.format(msgspec.json.encode(SignedManifest(manifest, signature), order="sorted")) + b"\n"
    )


def parse_draft(data: bytes) -> Manifest:
    """Read what a worker wrote to be signed. Raises: ManifestInvalid."""
    try:
        return msgspec.json.decode(data, type=Manifest)
    except _DAMAGED as error:
        raise ManifestInvalid(f"the draft cannot be read: {error}") from error


def parse_signed(data: bytes) -> Manifest:
    """Read a `manifest.json` without a look at its signature. Raises: ManifestInvalid."""
    try:
        return msgspec.json.decode(data, type=SignedManifest).manifest
    except _DAMAGED as error:
        raise ManifestInvalid(f"the manifest cannot be read: {error}") from error


def verify(data: bytes, public_key: bytes | None = None) -> Manifest:
    """Check the signature of a `manifest.json`; its manifest.

    `public_key`: the 32 bytes that it must be signed with; None trusts the key in the file itself, which
    shows only that nothing was changed by accident.
    Raises: ManifestInvalid.
    """
    try:
        signed = msgspec.json.decode(data, type=SignedManifest)
        raw = msgspec.json.decode(data, type=dict[str, Any])
        named = base64.b64decode(signed.signature.public_key, validate=True)
        value = base64.b64decode(signed.signature.value, validate=True)
        if public_key is not None and named != public_key:
            raise ManifestInvalid("the manifest is signed with another key")
        # The bytes that were signed, with whatever fields a later version may have added.
        Ed25519PublicKey.from_public_bytes(named).verify(
            value, msgspec.json.encode(raw["manifest"], order="sorted")
        )
    except (*_DAMAGED, binascii.Error, ValueError) as error:
        raise ManifestInvalid(f"the manifest cannot be read: {error}") from error
    except InvalidSignature as error:
        raise ManifestInvalid("the manifest's signature does not verify") from error
    return signed.manifest


class PartFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a media file itself says."""

    name: str
    kind: Literal["audio", "video"]
    person: str
    source: str
    frames: int
    start_ms: int
    end_ms: int
    size_bytes: int
    sha256: str
    stored_sha256: str = ""
    is_plain: bool
