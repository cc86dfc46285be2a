"""Files encrypted at rest: AES-256-GCM in frames, so that they grow, survive a crash, and can be read.

A sealed file is a header of 32 bytes and frames. The header: `PRLYSEAL`, a version byte (1), three zero
bytes, a big-endian u32 `chunk_bytes`, 16 random bytes that name the file. A frame: a big-endian u32 of its
plain length, 12 random bytes (the nonce), the encrypted bytes, a tag of 16 bytes; the file's name and the
frame's number are authenticated with it, so that frames cannot change places.
`chunk_bytes` 0: each frame is as long as what was appended (a file that grows). Otherwise every frame but the
last holds that many bytes (a finished file), and an offset is found without looking at the frames before it.
Source: NIST SP 800-38D (AES-GCM).
"""

import io
import os
import secrets
import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

KEY_BYTES: Final = 32
CHUNK_BYTES: Final = 65_536
FRAME_MAX_BYTES: Final = 64 << 20
"""A frame that says it is longer is damage."""
_MAGIC: Final = b"PRLYSEAL\x01\x00\x00\x00"
_HEADER: Final = struct.Struct(">12sI16s")
_LENGTH: Final = struct.Struct(">I")
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OVERHEAD: Final = _LENGTH.size + _NONCE_BYTES + _TAG_BYTES


class SealError(Exception):
    """A sealed file or value does not open: another key, or damage."""

    code = "seal_broken"


def new_key() -> bytes:
    """A fresh data key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, value: bytes, context: bytes) -> bytes:
    """Encrypt a short value; it opens with the same key and context only."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """What `seal` took. Raises: SealError."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError) as error:
        raise SealError("a sealed value does not open with this key") from error


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins with these bytes is sealed."""
    return head.startswith(_MAGIC[:8])


class Sealer:
    """Makes the bytes of one sealed file: `header` once, then frames numbered from 0. No I/O."""

    def __init__(self, key: bytes, chunk_bytes: int = 0) -> None:
        self._cipher = AESGCM(key)
        self._name = secrets.token_bytes(16)
        self.header = _HEADER.pack(_MAGIC, chunk_bytes, self._name)

    def frame(self, number: int, data: bytes) -> bytes:
        """The frame at a place, sealed anew under a fresh nonce."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = self._cipher.encrypt(nonce, data, _context(self._name, number))
        return _LENGTH.pack(len(data)) + nonce + text

    def opened(self, number: int, sealed: bytes) -> bytes:
        """What a frame of this file holds, given without its length. Raises: SealError."""
        return _opened(self._cipher, self._name, number, sealed)


def _opened(cipher: AESGCM, name: bytes, number: int, sealed: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _context(name, number))
    except (InvalidTag, ValueError) as error:
        raise SealError(f"frame {number} does not open: another key, or damage") from error


def _context(name: bytes, number: int) -> bytes:
    return name + number.to_bytes(8, "big")


class SealedReader(io.RawIOBase):
    """Reads a sealed file as if it were plain; what follows its last whole frame is not there.

    Belongs to one thread at a time. Reading raises SealError where a frame is damaged.
    """

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        """Takes over `file`. Raises: SealError when it is no sealed file; OSError."""
        self._file = file
        self._cipher = AESGCM(key)
        self._place = 0
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._cached: tuple[int, bytes] = (-1, b"")
        self._chunk_bytes, self._name = self._read_header()
        self._file_bytes = file.seek(0, os.SEEK_END)
        self._size = self._measure() if self._chunk_bytes else self._walk()

    @property
    def size(self) -> int:
        """Plain bytes."""
        return self._size

    @property
    def sealed_end(self) -> int:
        """Where the last frame that is read ends in the file."""
        frames = self._frames()
        if not frames:
            return _HEADER.size
        offset = self._offset(frames - 1)
        self._file.seek(offset)
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return int(offset + _OVERHEAD + length)

    def trim(self) -> None:
        """Look at every frame and forget from the first on that does not open. Raises: OSError."""
        for number in range(self._frames()):
            try:
                self._open(number)
            except SealError:
                self.truncate(self._start(number))
                return

    # io.RawIOBase

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The plain offset."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a plain offset. Raises: ValueError before the beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a negative offset")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read up to the end of one frame. Raises: SealError, OSError."""
        view = memoryview(buffer).cast("B")
        if self._place >= self._size or not view:
            return 0
        number = self._number(self._place)
        start = self._start(number)
        data = self._open(number)[self._place - start : self._size - start]
        count = min(len(view), len(data))
        view[:count] = data[:count]
        self._place += count
        return count

    def truncate(self, size: int | None = None) -> int:
        """Read no further than `size`; the file stays as it is."""
        wanted = self._place if size is None else size
        self._size = min(self._size, wanted)
        if not self._chunk_bytes:
            count = bisect_right(self._starts, self._size - 1) if self._size else 0
            del self._starts[count:], self._offsets[count:]
        return self._size

    def close(self) -> None:
        """Close the file below too."""
        if not self.closed:
            self._file.close()
        super().close()

    # Frames

    def _read_header(self) -> tuple[int, bytes]:
        self._file.seek(0)
        head = self._file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise SealError("the file ends within its header")
        magic, chunk_bytes, name = _HEADER.unpack(head)
        if magic != _MAGIC or chunk_bytes > FRAME_MAX_BYTES:
            raise SealError("this is no sealed file, or one of a later version")
        return chunk_bytes, name

    def _measure(self) -> int:
        """The size of a file of equal chunks."""
        whole, rest = divmod(self._file_bytes - _HEADER.size, self._chunk_bytes + _OVERHEAD)
        return whole * self._chunk_bytes + max(0, rest - _OVERHEAD)

    def _walk(self) -> int:
        """Note where each frame begins, up to the last whole one."""
        offset, size = _HEADER.size, 0
        while offset + _OVERHEAD <= self._file_bytes:
            self._file.seek(offset)
            (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
            end = offset + _OVERHEAD + length
            if not 0 < length <= FRAME_MAX_BYTES or end > self._file_bytes:
                break
            self._starts.append(size)
            self._offsets.append(offset)
            offset, size = end, size + length
        return size

    def _frames(self) -> int:
        return -(-self._size // self._chunk_bytes) if self._chunk_bytes else len(self._offsets)

    def _number(self, place: int) -> int:
        return place // self._chunk_bytes if self._chunk_bytes else bisect_right(self._starts, place) - 1

    def _start(self, number: int) -> int:
        return number * self._chunk_bytes if self._chunk_bytes else self._starts[number]

    def _offset(self, number: int) -> int:
        if self._chunk_bytes:
            return _HEADER.size + number * (self._chunk_bytes + _OVERHEAD)
        return self._offsets[number]

    def _open(self, number: int) -> bytes:
        if self._cached[0] == number:
            return self._cached[1]
        self._file.seek(self._offset(number))
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        if length > FRAME_MAX_BYTES or (self._chunk_bytes and length > self._chunk_bytes):
            raise SealError(f"frame {number} is damaged")
        sealed = self._file.read(_NONCE_BYTES + length + _TAG_BYTES)
        plain = _opened(self._cipher, self._name, number, sealed)
        self._cached = (number, plain)
        return plain


class SealedWriter(io.RawIOBase):
    """Writes a sealed file of equal chunks, and may go back in it as muxers do. Belongs to one thread.

    One chunk is in memory; going to another seals it and opens that one.
    """

    def __init__(self, file: BinaryIO, key: bytes, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Takes over `file`, open for reading and writing, and empty. Raises: OSError."""
        self._file = file
        self._sealer = Sealer(key, chunk_bytes)
        self._chunk_bytes = chunk_bytes
        self._number = 0
        self._chunk = bytearray()
        self._is_dirty = False
        self._place = 0
        self._size = 0
        file.write(self._sealer.header)

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The plain offset."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a plain offset; what is skipped beyond the end is zeros. Raises: ValueError."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a negative offset")
        self._place = base + offset
        return self._place

    def write(self, data: "ReadableBuffer") -> int:
        """Write all of `data`. Raises: OSError."""
        view = memoryview(data).cast("B")
        place, self._place = self._place, self._size
        while self._place < place:
            self._put(memoryview(bytes(min(place - self._place, self._chunk_bytes))))
        self._place = place
        rest = view
        while rest:
            rest = rest[self._put(rest) :]
        return len(view)

    def flush(self) -> None:
        """Seal the chunk in memory and hand everything to the system. Raises: OSError."""
        if not self.closed:
            self._store()
            self._file.flush()

    def close(self) -> None:
        """Flush, and close the file below too. Raises: OSError."""
        if self.closed:
            return
        try:
            super().close()
        finally:
            self._file.close()

    def fileno(self) -> int:
        """The descriptor of the file below."""
        return self._file.fileno()

    def _put(self, data: memoryview) -> int:
        """Write up to the end of one chunk."""
        number, offset = divmod(self._place, self._chunk_bytes)
        if number != self._number:
            self._store()
            self._load(number)
        piece = data[: self._chunk_bytes - offset]
        self._chunk[offset : offset + len(piece)] = piece
        self._is_dirty = True
        self._place += len(piece)
        self._size = max(self._size, self._place)
        return len(piece)

    def _load(self, number: int) -> None:
        self._number = number
        self._chunk = bytearray()
        if number * self._chunk_bytes >= self._size:
            return
        self._file.flush()
        self._file.seek(self._offset(number))
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        sealed = self._file.read(_NONCE_BYTES + length + _TAG_BYTES)
        self._chunk += self._sealer.opened(number, sealed)

    def _store(self) -> None:
        if self._is_dirty:
            self._file.seek(self._offset(self._number))
            self._file.write(self._sealer.frame(self._number, bytes(self._chunk)))
            self._is_dirty = False

    def _offset(self, number: int) -> int:
        return _HEADER.size + number * (self._chunk_bytes + _OVERHEAD)
