"""Finished files at rest in an S3 bucket: each is a row of objects of one size, named by what is in it.

`<prefix>/<folder>/<file>/<digest>/<number>`: the digest is the file's own, so an object that is there is the
right one, and what is missing after a crash, a restart or an outage is read off a listing: nothing is sent
twice, and there is no upload on the other side that only its own client knows of.
"""

import io
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar, cast

from store.errors import ArchiveUnavailable
from store.secret import Secret

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig, S3Config, S3Store

DIGEST_LETTERS: Final = 32
"""Of a SHA-256 in hex, in an object's name."""
PIECES_MOST: Final = 100_000
"""Of one file: an object's number has five digits."""
_READ_AHEAD: Final = 1 << 20
_CONNECT_S: Final = 5
_READ_S: Final = 30
_WRITE_S: Final = 600
_RETRIES: Final = 2
_DELETES_AT_ONCE: Final = 100
_ERROR_LETTERS: Final = 300
_PROBE: Final = "probe"
_FOLDER: Final = re.compile(r"[a-z]{1,20}(/[a-z]{1,4}_[a-z2-7]{16}){1,2}")
_FILE: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveConfig:
    """Where the bucket is and who may use it. What is empty is taken as the AWS tools take it."""

    bucket: str
    prefix: str = "parley"
    """What every object's name begins with."""
    endpoint: str = ""
    """Of another provider than AWS; http only when `allows_http`."""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    ca_file: Path | None = None
    allows_http: bool = False
    piece_bytes: int = 16 << 20
    """Of an object; what an upload holds in memory, and what a crash has to send again at most."""

    @property
    def where(self) -> str:
        """For people, and to tell one archive from another."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One object: a part of a file."""

    key: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it lies in the archive."""

    folder: str
    """`recordings/<id>` or `renditions/<recording>/<id>`."""
    name: str
    sha256: str
    size_bytes: int
    piece_bytes: int

    def pieces(self) -> Iterator[Piece]:
        """Its objects, in order; an empty file has one.

        Raises: ArchiveUnavailable when a part of its name is outside the rules.
        """
        is_named = _FOLDER.fullmatch(self.folder) and _FILE.fullmatch(self.name)
        if not is_named or not _DIGEST.fullmatch(self.sha256) or ".." in self.name:
            raise ArchiveUnavailable("a file's name or digest is outside the rules of the archive")
        if self.piece_bytes < 1 or not 0 <= self.size_bytes <= self.piece_bytes * PIECES_MOST:
            raise ArchiveUnavailable("a file's size is outside the rules of the archive")
        stem = f"{self.folder}/{self.name}/{self.sha256[:DIGEST_LETTERS]}"
        for number, offset in enumerate(range(0, max(self.size_bytes, 1), self.piece_bytes)):
            size = min(self.piece_bytes, self.size_bytes - offset)
            yield Piece(f"{stem}/{number:05d}", offset, size)


class Archive:
    """One bucket. What is sent and removed is awaited; what is read blocks, for threads that read files."""

    def __init__(self, config: ArchiveConfig) -> None:
        """Nothing is asked of the bucket yet. Raises: ArchiveUnavailable: the settings fit no client."""
        # Loaded here: a server without a bucket carries no client of one.
        import obstore  # noqa: PLC0415
        from obstore.exceptions import BaseError  # noqa: PLC0415

        self.config = config
        self._errors = (BaseError, OSError, ValueError)
        self._obstore = obstore
        self._writer = self._guarded(lambda: _client(config, _WRITE_S))
        self._reader = self._guarded(lambda: _client(config, _READ_S))

    async def check(self) -> bool:
        """Write, list, read and remove an object; whether the bucket keeps old versions.

        Raises: ArchiveUnavailable, saying what was refused.
        """
        key = f"{_PROBE}/{os.urandom(8).hex()}"
        data = os.urandom(32)
        try:
            version = (await self._obstore.put_async(self._writer, key, data, use_multipart=False))["version"]
            found = await self.listed(_PROBE)
            read = bytes(await self._obstore.get_range_async(self._reader, key, start=0, length=len(data)))
            await self._obstore.delete_async(self._writer, key)
        except self._errors as error:
            raise self._told(error) from error
        if found.get(key) != len(data) or read != data:
            raise ArchiveUnavailable(f"{self.config.where} does not give back what was put there")
        return version is not None

    async def put(self, piece: Piece, data: bytes) -> None:
        """Store one object; its SHA-256 is part of the signed request. Raises: ArchiveUnavailable."""
        try:
            await self._obstore.put_async(self._writer, piece.key, data, use_multipart=False)
        except self._errors as error:
            raise self._told(error) from error

    async def listed(self, folder: str) -> dict[str, int]:
        """Sizes of all objects of a folder, by key. Raises: ArchiveUnavailable."""
        try:
            objects = await self._obstore.list(self._reader, folder).collect_async()
        except self._errors as error:
            raise self._told(error) from error
        return {item["path"]: item["size"] for item in objects}

    async def remove(self, keys: Collection[str]) -> None:
        """Remove objects; those that are not there are fine. Raises: ArchiveUnavailable."""
        left = list(keys)
        try:
            while left:
                await self._obstore.delete_async(self._writer, left[:_DELETES_AT_ONCE])
                left = left[_DELETES_AT_ONCE:]
        except self._errors as error:
            raise self._told(error) from error

    def open(self, file: Stored) -> BinaryIO:
        """Open a file to be read from any place; what is wrong is found when it is read.

        Raises: ArchiveUnavailable.
        """
        raw = _StoredFile(list(file.pieces()), file.size_bytes, self._read)
        return cast("BinaryIO", io.BufferedReader(raw, _READ_AHEAD))

    def _read(self, key: str, offset: int, size: int) -> bytes:
        try:
            return bytes(self._obstore.get_range(self._reader, key, start=offset, length=size))
        except self._errors as error:
            raise self._told(error) from error

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except self._errors as error:
            raise self._told(error) from error

    def _told(self, error: BaseException) -> ArchiveUnavailable:
        """What the client says, on one line without what it knows of itself."""
        reason = str(error).partition("\n\nDebug source:")[0]
        text = " ".join(reason.split())[:_ERROR_LETTERS]
        return ArchiveUnavailable(f"{self.config.where} cannot be used: {text or type(error).__name__}")


class _StoredFile(io.RawIOBase):
    """Reads a row of objects as one file. Belongs to one thread at a time."""

    def __init__(self, pieces: list[Piece], size_bytes: int, read: Callable[[str, int, int], bytes]) -> None:
        self._pieces = pieces
        self._size = size_bytes
        self._read = read
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        if self._place >= self._size or not view:
            return 0
        piece = self._pieces[self._place // self._pieces[0].size_bytes]
        start = self._place - piece.offset
        wanted = min(len(view), piece.size_bytes - start)
        data = self._read(piece.key, start, wanted)
        if len(data) != wanted:
            raise ArchiveUnavailable("an object of the archive is shorter than it was")
        view[:wanted] = data
        self._place += wanted
        return wanted


def _client(config: ArchiveConfig, timeout_s: int) -> "S3Store":
    from obstore.store import S3Store  # noqa: PLC0415 - as in Archive

    given: S3Config = {
        "checksum_algorithm": "SHA256",
        # One request for many is refused by some providers.
        "disable_bulk_delete": True,
        "virtual_hosted_style_request": not config.endpoint,
    }
    if config.endpoint:
        given["endpoint"] = config.endpoint
    if config.region:
        given["region"] = config.region
    if config.access_key_id and config.secret_access_key is not None:
        given["access_key_id"] = config.access_key_id
        given["secret_access_key"] = config.secret_access_key.reveal()
    if config.session_token is not None:
        given["session_token"] = config.session_token.reveal()
    options: ClientConfig = {
        "allow_http": config.allows_http,
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "timeout": timedelta(seconds=timeout_s),
    }
    if config.ca_file is not None:
        options["root_certificate"] = config.ca_file.read_bytes()
    return S3Store(
        config.bucket,
        prefix=config.prefix or None,
        config=given,
        client_options=options,
        retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_READ_S)},
    )
