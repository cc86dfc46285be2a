"""Fuzz target: a session description, read and negotiated in every role, and what we would send for it."""

import contextlib
import random

from sfu.engine.types import TrackId
from sfu.errors import NegotiationError, SdpError
from sfu.sdp import (
    CodecPolicy,
    Fingerprint,
    LocalTransport,
    SubscribeSession,
    ViewTrack,
    answer_publish,
    answer_view,
    parse,
)
from tests.fuzz import harness

_POLICY = CodecPolicy(audio=("red", "opus"))
_LOCAL = LocalTransport(
    "ourufrag1234",
    "o" * 24,
    Fingerprint("sha-256", ":".join(["AB"] * 32)),
    ("1 1 udp 2130706431 198.51.100.7 7882 typ host",),
    1,
)
_TRACKS = [ViewTrack(TrackId(1), "audio", "s"), ViewTrack(TrackId(2), "video", "s")]


def one_input(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(SdpError):
        parse(text)
    answers = []
    with contextlib.suppress(SdpError, NegotiationError):
        first = answer_publish(text, _POLICY, _LOCAL)
        answers.append(first.answer)
        again = answer_publish(text, _POLICY, _LOCAL, previous=first, version=2)
        if again.tracks != first.tracks:
            raise AssertionError("the same offer, other tracks")
    with contextlib.suppress(SdpError, NegotiationError):
        answers.append(answer_view(text, _POLICY, _LOCAL, _TRACKS, rng=random.Random(1)).answer)
    for answer in answers:
        _check(answer)
    session = SubscribeSession(_POLICY, _LOCAL, rng=random.Random(1))
    for track in _TRACKS:
        session.add(track.track, track.kind, stream="s")
    session.offer()
    with contextlib.suppress(SdpError, NegotiationError):
        session.answer(1, text)
        if session.offer() is not None:
            raise AssertionError("an offer without a change")


def _check(answer: str) -> None:
    """What goes out reads back, and holds our credentials and nobody else's."""
    for media in parse(answer).media:
        if media.port and (media.ice_ufrag, media.ice_pwd) != (_LOCAL.ufrag, _LOCAL.pwd):
            raise AssertionError("foreign credentials in our answer")
        if media.ssrcs and media.direction.receives:
            raise AssertionError("a receiving section announces sources")


if __name__ == "__main__":
    harness.run(one_input)
