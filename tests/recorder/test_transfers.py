"""What is being read ends with what it was given out for, however slowly somebody reads."""

import asyncio
import fcntl
import socket
import termios
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from recorder import RecorderUnavailable, RecordingConflict
from recorder.quotes import KEPT_MOST_BYTES, Quotes, Said
from recorder.reading import OpenFile
from recorder.transfers import MOST, Transfers
from signaling import Problem, SignalingConfig
from signaling.context import CONTEXT, Context, problem_response
from signaling.rest import download
from signaling.rest.download import EACH, send_file
from tests.recorder.house import until

SIZE = 32 << 20
WINDOW = 64 << 10


@asynccontextmanager
async def sending(path, transfers):
    """A server that gives out a film of ada's, and a reader's socket with a small window."""
    readers = ThreadPoolExecutor(1)

    async def film(request):
        with transfers.opening("rec_1", ["ada"], rendition="rnd_1", use="replay") as transfer:
            file = OpenFile(path.open("rb"), SIZE, readers, transfers, transfer)
        try:
            return await send_file(request, file, content_type="video/mp4", name=None, sha256=None)
        except Problem as problem:
            return problem_response(problem)

    app = web.Application()
    app[CONTEXT] = Context(services=None, config=SignalingConfig(web_root=path))
    app.router.add_get("/film", film)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(reader, runner.addresses[0])
        await loop.sock_sendall(reader, b"GET /film HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n")
        yield reader
    finally:
        reader.close()
        await runner.cleanup()
        readers.shutdown()


def queued(reader):
    """What the kernel holds for a reader."""
    size = array("i", [0])
    fcntl.ioctl(reader, termios.FIONREAD, size)
    return size[0]


async def rest(reader):
    """How much a reader still gets, and whether its connection was reset."""
    loop, size = asyncio.get_running_loop(), 0
    async with asyncio.timeout(10):
        try:
            while piece := await loop.sock_recv(reader, 1 << 16):
                size += len(piece)
        except ConnectionResetError:
            return size, True
    return size, False


@pytest.mark.parametrize(
    "takes_back",
    [
        lambda transfers: transfers.withdraw("ada", ""),
        lambda transfers: transfers.withdraw("ada", "rec_1"),
        lambda transfers: transfers.take_back("ada", {"record"}),
        lambda transfers: transfers.end("rec_1"),
        lambda transfers: transfers.end("rec_1", "rnd_1"),
    ],
)
async def test_nothing_follows_beyond_what_the_reader_has_in_its_own_buffer(tmp_path, takes_back):
    path, transfers = tmp_path / "film", Transfers()
    path.write_bytes(bytes(SIZE))
    async with sending(path, transfers) as reader:
        head = await asyncio.get_running_loop().sock_recv(reader, 4096)
        assert head.startswith(b"HTTP/1.1 206")
        await asyncio.sleep(0.1)  # the buffers fill, and the server waits
        assert len(transfers) == 1
        own = queued(reader)
        takes_back(transfers)
        assert len(transfers) == 0
        await asyncio.sleep(0)  # the loop's next turn closes
        size, is_reset = await rest(reader)
        assert is_reset
        assert own <= size < own + WINDOW, "and what was on its way just then"
        assert size < SIZE / 8


async def test_who_takes_nothing_is_left(tmp_path, monkeypatch):
    path, transfers = tmp_path / "film", Transfers()
    path.write_bytes(bytes(SIZE))
    monkeypatch.setattr(download, "STALL_S", 0.2)
    async with sending(path, transfers) as reader:
        await until(lambda: transfers, "the transfer")
        await until(lambda: not transfers, "its end")
        assert (await rest(reader))[1], "reset"


async def test_one_address_gets_so_many_files_at_once_and_others_theirs(tmp_path):
    path, transfers = tmp_path / "film", Transfers()
    path.write_bytes(bytes(SIZE))
    async with sending(path, transfers) as reader, aiohttp.ClientSession() as http:
        host, port = reader.getpeername()
        other = aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0)))
        url = f"http://{host}:{port}/film"
        answers = [await http.get(url) for _ in range(EACH - 1)]
        assert {answer.status for answer in answers} == {200}
        async with http.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        async with other, other.get(url) as theirs:
            assert theirs.status == 200
        for answer in answers:
            answer.close()
        await until(lambda: len(transfers) <= 1, "the end of those that were closed")
        async with http.get(url) as again:
            assert again.status == 200


async def test_what_somebody_else_takes_back_does_not_matter(tmp_path):
    path, transfers = tmp_path / "film", Transfers()
    path.write_bytes(bytes(SIZE))
    async with sending(path, transfers) as reader:
        head = await asyncio.get_running_loop().sock_recv(reader, 64)
        transfers.withdraw("bea", "")
        transfers.withdraw("ada", "rec_2")
        transfers.take_back("ada", {"live"})
        transfers.end("rec_1", "rnd_2")
        received = len(head)
        while received < SIZE:
            received += len(await asyncio.get_running_loop().sock_recv(reader, 1 << 20))
        await until(lambda: not len(transfers), "the end of the transfer")


async def test_what_is_taken_back_while_a_file_is_opened_counts(tmp_path):
    path, transfers, readers = tmp_path / "film", Transfers(), ThreadPoolExecutor(1)
    path.write_bytes(b"film")
    with transfers.opening("rec_1", ["ada"]) as transfer:
        transfers.withdraw("ada", "")
        file = OpenFile(path.open("rb"), 4, readers, transfers, transfer)
    called = []
    file.on_end(lambda: called.append(1))
    assert called == [1]
    with pytest.raises(RecordingConflict, match="not given out"):
        await file.read(0, 4)
    await file.close()
    readers.shutdown()


async def test_a_review_ends_what_is_not_agreed_to_or_not_known():
    transfers = Transfers()
    for people in (["ada"], ["bea"], ["cid"], ["dan"]):
        with transfers.opening("rec_1", people, use="record") as transfer:
            transfer.is_given = True
    with transfers.opening("rec_1", ["ada"]) as transfer:
        transfer.is_given = True

    async def agree(recording, people, use):
        if "cid" in people:
            raise RecordingConflict("not now")
        if "dan" in people:
            raise RuntimeError("a fault of ours")
        return "bea" in people

    await transfers.review(agree)
    assert sorted((*one.people, one.use) for one in transfers._open) == [("ada", None), ("bea", "record")]


def test_only_so_many_are_open_and_a_failed_opening_is_not_one():
    transfers = Transfers()
    with pytest.raises(KeyError), transfers.opening("rec_1", ["ada"]):
        raise KeyError
    assert len(transfers) == 0
    for _ in range(MOST):
        with transfers.opening("rec_1", ["ada"]) as transfer:
            transfer.is_given = True
    with pytest.raises(RecorderUnavailable, match="already"), transfers.opening("rec_1", ["ada"]):
        pass


async def test_a_few_chats_are_kept_as_long_as_their_files_are_the_same():
    quotes, lines = Quotes(), (Said(1, "ada", "hello"),)
    quotes.keep("rec_1", "aa", lines, KEPT_MOST_BYTES // 2)
    assert quotes.get("rec_1", "aa") == lines
    assert quotes.get("rec_1", "bb") is None
    quotes.keep("rec_2", "cc", lines, KEPT_MOST_BYTES // 2)
    quotes.keep("rec_3", "dd", lines, 1)
    assert quotes.get("rec_1", "aa") is None
    quotes.keep("rec_4", "ee", lines, KEPT_MOST_BYTES + 1)
    assert quotes.get("rec_4", "ee") is None
    quotes.forget("rec_2")
    assert len(quotes) == 1
    quotes.forget("")
    assert len(quotes) == 0
