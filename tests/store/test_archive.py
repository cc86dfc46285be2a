"""One contract for finished files at rest, on the disk and in a bucket of a real S3 server; then S3's own."""

import asyncio
import hashlib
import os
from dataclasses import replace

import pytest

from store import Archive, ArchiveUnavailable, BlobError, Blobs, Secret, Stored, new_id
from tests.support.s3 import VERSIONED, S3Server

pytestmark = pytest.mark.shares("the S3 server, and the client's connections to it")
PIECE_BYTES = 100_000


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("swift"))
    server.start()
    yield server
    server.stop()


class OnDisk:
    """Files of one folder, as `Blobs` keeps them."""

    def __init__(self, root, owner):
        self._blobs, self._owner = Blobs(root), owner

    async def put(self, name, data):
        self._blobs.folder("recordings", self._owner)
        with os.fdopen(
            self._blobs.open("recordings", self._owner, name, os.O_CREAT | os.O_WRONLY), "wb"
        ) as file:
            file.write(data)

    def open(self, name):
        return os.fdopen(self._blobs.open("recordings", self._owner, name), "rb")

    async def remove(self):
        self._blobs.remove("recordings", self._owner)


class InBucket:
    """The same, as `Archive` keeps them."""

    def __init__(self, config, owner):
        self._archive, self._shelf, self._files = Archive(config), f"recordings/{owner}", {}

    async def put(self, name, data):
        file = self._files[name] = stored(self._shelf, name, data)
        for piece in file.pieces():
            await self._archive.put(piece, data[piece.offset : piece.offset + piece.size_bytes])

    def open(self, name):
        return self._archive.open(self._files.get(name) or stored(self._shelf, name, b"?"))

    async def remove(self):
        await self._archive.remove((await self._archive.listed(self._shelf)).keys())


def stored(shelf, name, data):
    return Stored(shelf, name, hashlib.sha256(data).hexdigest(), len(data), PIECE_BYTES)


@pytest.fixture(params=["disk", "s3"])
def rest(request, tmp_path):
    """An empty folder at rest."""
    owner = new_id("rec")
    if request.param == "disk":
        return OnDisk(tmp_path, owner)
    return InBucket(request.getfixturevalue("s3").config(owner), owner)


async def reading(rest, name, *places):
    """What is read of a file at (offset, size) places, in a thread as the server does."""

    def work():
        with rest.open(name) as file:
            size = file.seek(0, os.SEEK_END)
            return size, [(file.seek(offset), file.read(count))[1] for offset, count in places]

    return await asyncio.to_thread(work)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17])
async def test_a_file_is_read_from_any_place_as_it_was_put(rest, size):
    data = os.urandom(size)
    await rest.put("ada-camera-001.webm", data)
    places = [
        (0, -1),
        (size // 2, 10),
        (PIECE_BYTES - 5, 10),
        (max(size - 3, 0), 100),
        (size, 5),
        (size + 9, 5),
    ]
    found, read = await reading(rest, "ada-camera-001.webm", *places)
    assert found == size
    assert read == [data, *(data[offset : offset + count] for offset, count in places[1:])]


async def test_a_file_that_is_not_there_or_was_removed_is_an_error(rest):
    await rest.put("a.webm", b"here")
    assert (await reading(rest, "a.webm", (0, 4)))[1] == [b"here"]
    with pytest.raises(OSError):
        await reading(rest, "b.webm", (0, 1))
    await rest.remove()
    await rest.remove()
    with pytest.raises(OSError):
        await reading(rest, "a.webm", (0, 1))


@pytest.mark.parametrize("name", ["../a.webm", "a/b.webm", "A.webm", "", "a..webm", "x" * 200])
async def test_a_name_outside_the_rules_is_refused(rest, name):
    with pytest.raises((BlobError, ArchiveUnavailable)):
        await rest.put(name, b"data")


async def test_what_is_there_is_listed_and_removed_one_by_one(s3):
    archive = Archive(s3.config(new_id("rec")))
    one, two = f"recordings/{new_id('rec')}", f"recordings/{new_id('rec')}"
    data = os.urandom(2 * PIECE_BYTES + 1)
    for shelf in (one, two):
        for piece in stored(shelf, "a.webm", data).pieces():
            await archive.put(piece, data[piece.offset : piece.offset + piece.size_bytes])
    pieces = list(stored(one, "a.webm", data).pieces())
    assert await archive.listed(one) == {piece.key: piece.size_bytes for piece in pieces}
    await archive.remove([pieces[1].key])
    assert set(await archive.listed(one)) == {pieces[0].key, pieces[2].key}
    await archive.remove([pieces[1].key])
    await archive.remove((await archive.listed(one)).keys())
    assert await archive.listed(one) == {}
    assert len(await archive.listed(two)) == 3


async def test_a_check_tells_whether_old_versions_stay_and_leaves_nothing(s3):
    archive = Archive(s3.config("plain"))
    assert not await archive.check()
    assert await archive.listed("probe") == {}
    assert await Archive(s3.config("kept", bucket=VERSIONED)).check()


async def test_what_the_server_refuses_is_told_without_the_secret(s3):
    config = s3.config("refused")
    wrong = replace(config, secret_access_key=Secret("wrong-secret-value"))
    for refused in (
        wrong,
        replace(config, bucket="no-such-bucket"),
        replace(config, endpoint="http://127.0.0.1:9"),
    ):
        with pytest.raises(ArchiveUnavailable, match=f"{refused.where} cannot be used") as caught:
            await Archive(refused).check()
        told = str(caught.value)
        assert "secret-value" not in told
        assert "\n" not in told
        assert len(told) < 500
    assert "wrong-secret-value" not in repr(wrong)


async def test_an_object_that_is_shorter_than_it_was_is_an_error(s3):
    archive = Archive(s3.config(new_id("rec")))
    data = os.urandom(1000)
    file = stored(f"recordings/{new_id('rec')}", "a.webm", data)
    (piece,) = file.pieces()
    await archive.put(piece, data[:600])

    def read():
        with archive.open(file) as opened:
            return opened.read()

    with pytest.raises(ArchiveUnavailable, match="shorter"):
        await asyncio.to_thread(read)
