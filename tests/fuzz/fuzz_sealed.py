"""Fuzz target: any bytes as a sealed file; a byte changed and an end cut off cost what follows, no more."""

import io
from contextlib import suppress

from media.sealed import KEY_BYTES, SealedReader, SealedWriter, Sealer, SealError, is_sealed, unseal
from tests.fuzz import harness

_KEY = bytes(KEY_BYTES)
_CHUNK = 32


def one_input(data: bytes) -> None:
    is_sealed(data)
    with suppress(SealError):
        unseal(_KEY, data, b"")
    _read(data)
    for chunk_bytes in (0, _CHUNK):
        _read(Sealer(_KEY, chunk_bytes).header + data)
    pieces = [piece for piece in harness.split(data[4:]) if piece]
    plain = b"".join(pieces)
    for whole in (_grown(pieces), _finished(plain)):
        if _read(whole) != plain:
            raise AssertionError("a sealed file does not read back")
        if not plain.startswith(_read(_damaged(whole, data))):
            raise AssertionError("damage was read as if it had been written")


def _grown(pieces: list[bytes]) -> bytes:
    sealer = Sealer(_KEY)
    return sealer.header + b"".join(sealer.frame(number, piece) for number, piece in enumerate(pieces))


def _finished(plain: bytes) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, _KEY, _CHUNK)
    writer.write(plain)
    writer.flush()
    return file.getvalue()


def _damaged(whole: bytes, data: bytes) -> bytes:
    """One byte changed, and the end cut off, as the input's first four bytes say."""
    where, mask, cut = int.from_bytes(data[:2]), int.from_bytes(data[2:3]), int.from_bytes(data[3:4])
    changed = bytearray(whole)
    changed[where % len(whole)] ^= mask
    return bytes(changed[: len(whole) - cut % len(whole)])


def _read(sealed: bytes) -> bytes:
    """What can be read from the beginning on."""
    found = b""
    try:
        with SealedReader(io.BytesIO(sealed), _KEY) as reader:
            while piece := reader.read(1000):
                found += piece
            if reader.sealed_end > len(sealed):
                raise AssertionError("a frame behind the end")
    except SealError:
        pass
    _trim(sealed)
    return found


def _trim(sealed: bytes) -> None:
    """What is left after a look at every frame opens."""
    try:
        reader = SealedReader(io.BytesIO(sealed), _KEY)
    except SealError:
        return
    with reader:
        reader.trim()
        if len(reader.read()) > reader.size:
            raise AssertionError("more than its size")


if __name__ == "__main__":
    harness.run(one_input)
