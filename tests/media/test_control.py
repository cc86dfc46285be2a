"""The framed control channel, both ends."""

import asyncio
import contextlib
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.control import (
    FRAME_MAX_BYTES,
    BlockingControl,
    ControlChannel,
    ControlError,
    FrameBuffer,
    WorkerStart,
    control_pair,
    convert_config,
    decode_frame,
    encode_frame,
)


class Say(msgspec.Struct, frozen=True, tag="say"):
    text: str


class Add(msgspec.Struct, frozen=True, tag="add"):
    number: int


DECODER = msgspec.msgpack.Decoder(Say | Add)


@given(st.lists(st.text(max_size=50), max_size=8), st.integers(1, 7))
def test_frames_survive_any_cutting_of_the_stream(texts, chunk):
    stream = b"".join(encode_frame(Say(text)) for text in texts)
    buffer = FrameBuffer()
    frames = []
    for at in range(0, len(stream), chunk):
        frames += buffer.receive(stream[at : at + chunk])
    assert [decode_frame(frame, DECODER) for frame in frames] == [Say(text) for text in texts]
    assert buffer.is_empty


@given(st.binary(max_size=200))
def test_any_frame_is_decoded_or_refused(data):
    with contextlib.suppress(ControlError):
        decode_frame(data, DECODER)


def test_a_deeply_nested_message_is_refused():
    with pytest.raises(ControlError):
        decode_frame(b"\x91" * 200_000 + b"\xc0", msgspec.msgpack.Decoder(WorkerStart))


def test_a_frame_above_the_limit_ends_the_channel():
    with pytest.raises(ControlError):
        FrameBuffer().receive((FRAME_MAX_BYTES + 1).to_bytes(4, "big"))


def test_a_frame_of_no_bytes_ends_the_channel():
    with pytest.raises(ControlError):
        FrameBuffer().receive(bytes(4))


def test_a_message_above_the_limit_is_not_sent():
    with pytest.raises(ControlError):
        encode_frame(Say("x" * FRAME_MAX_BYTES))


def test_a_configuration_that_does_not_fit_is_refused():
    with pytest.raises(ControlError):
        convert_config({"text": 3}, Say)


async def test_both_ends_talk():
    ours, theirs = control_pair()
    channel = await ControlChannel.open(ours)
    worker = BlockingControl(theirs)

    def run() -> None:
        while (message := worker.receive(DECODER)) is not None:
            worker.send(Add(len(message.text)))
        worker.close()

    thread = threading.Thread(target=run)
    thread.start()
    for size in (0, 1, 100_000):
        channel.send(Say("x" * size))
        assert await channel.receive(DECODER) == Add(size)
    await channel.close()
    await asyncio.to_thread(thread.join)


async def test_a_peer_that_closes_is_seen_by_both_ends():
    ours, theirs = control_pair()
    channel = await ControlChannel.open(ours)
    BlockingControl(theirs).close()
    assert await channel.receive(DECODER) is None
    await channel.close()
    with pytest.raises(ControlError):
        channel.send(Add(1))


async def test_a_peer_that_ends_within_a_frame_is_an_error():
    ours, theirs = control_pair()
    channel = await ControlChannel.open(ours)
    theirs.sendall(b"\0\0\0\x05ab")
    theirs.close()
    with pytest.raises(ControlError):
        await channel.receive(DECODER)
    await channel.close()


async def test_a_peer_that_does_not_read_is_refused_more_instead_of_buffered():
    ours, theirs = control_pair()
    channel = await ControlChannel.open(ours)

    def flood():
        for _ in range(100):
            channel.send(Say("x" * 500_000))

    with pytest.raises(ControlError, match="does not read"):
        flood()
    theirs.close()
    await channel.close()


async def test_cancelling_a_receive_loses_no_message():
    ours, theirs = control_pair()
    channel = await ControlChannel.open(ours)
    receiving = asyncio.ensure_future(channel.receive(DECODER))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait([receiving])
    theirs.sendall(encode_frame(Add(4)))
    assert await channel.receive(DECODER) == Add(4)
    theirs.close()
    await channel.close()
