"""Sealed files read like plain ones, up to where they are whole, and show nothing without their key."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.sealed import SealedReader, SealedWriter, Sealer, SealError, is_sealed, new_key, seal, unseal

KEY = bytes(range(32))
PIECES = st.lists(st.binary(min_size=1, max_size=60), max_size=8)


class Kept(io.BytesIO):
    """Bytes that stay readable after close."""

    def close(self):
        self.kept = self.getvalue()
        super().close()


def grown(pieces):
    sealer = Sealer(KEY)
    return sealer.header + b"".join(sealer.frame(number, piece) for number, piece in enumerate(pieces))


def reader(data, key=KEY):
    return SealedReader(io.BytesIO(data), key)


@given(PIECES, st.integers(0, 500), st.integers(0, 100))
def test_a_grown_file_reads_like_what_was_appended(pieces, place, size):
    plain = b"".join(pieces)
    opened = reader(grown(pieces))
    assert opened.size == len(plain)
    assert opened.read() == plain
    opened.seek(min(place, len(plain)))
    assert plain[opened.tell() :].startswith(opened.read(size))
    assert opened.sealed_end == len(grown(pieces))


@given(PIECES, st.integers(0, 100))
def test_a_torn_file_reads_up_to_its_last_whole_frame(pieces, torn):
    data = grown(pieces)
    cut = max(32, len(data) - torn)
    opened = reader(data[:cut])
    plain = opened.read()
    whole = [b"".join(pieces[:count]) for count in range(len(pieces) + 1)]
    assert plain in whole
    assert len(grown(pieces[: whole.index(plain)])) == opened.sealed_end <= cut


def test_a_damaged_frame_does_not_open_and_trim_forgets_it_and_what_follows():
    data = bytearray(grown([b"first", b"second", b"third"]))
    data[len(grown([b"first"])) + 20] ^= 1
    opened = reader(bytes(data))
    with pytest.raises(SealError):
        opened.read()
    opened = reader(bytes(data))
    opened.trim()
    assert opened.read() == b"first"
    assert opened.sealed_end == len(grown([b"first"]))


def test_frames_cannot_change_places_or_files():
    sealer, other = Sealer(KEY), Sealer(KEY)
    first, second = sealer.frame(0, b"one"), sealer.frame(1, b"two")
    for data in (sealer.header + second + first, other.header + first):
        with pytest.raises(SealError):
            reader(data).read()


def test_nothing_opens_with_another_key():
    with pytest.raises(SealError):
        reader(grown([b"words"]), new_key()).read()
    with pytest.raises(SealError):
        unseal(new_key(), seal(KEY, b"words", b""), b"")
    with pytest.raises(SealError):
        unseal(KEY, seal(KEY, b"words", b"chat"), b"events")
    assert unseal(KEY, seal(KEY, b"words", b"chat"), b"chat") == b"words"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        opened = reader(Sealer(KEY).header[:12] + data)
        opened.trim()
        opened.read()
    except SealError:
        pass


WRITES = st.lists(st.tuples(st.integers(0, 90), st.binary(min_size=1, max_size=70)), max_size=8)


@given(WRITES, st.integers(1, 40))
def test_a_file_that_is_written_back_and_forth_reads_like_a_plain_one(writes, chunk_bytes):
    plain, below = io.BytesIO(), Kept()
    sealed = SealedWriter(below, KEY, chunk_bytes)
    for place, data in writes:
        for file in (plain, sealed):
            file.seek(place)
            file.write(data)
    assert sealed.tell() == plain.tell()
    sealed.close()
    assert is_sealed(below.kept)
    opened = reader(below.kept)
    assert opened.size == len(plain.getvalue())
    assert opened.read() == plain.getvalue()


def test_the_sealed_bytes_do_not_show_the_plain_ones():
    words = b"canary words that nobody may see"
    below = Kept()
    sealed = SealedWriter(below, KEY)
    sealed.write(words)
    sealed.close()
    assert words not in below.kept
    assert words not in grown([words])
