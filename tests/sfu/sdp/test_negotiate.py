"""Whatever a peer sends, a negotiation ends with a value of ours or one of the two documented errors."""

import contextlib

from hypothesis import given, settings

from sfu.engine.types import TrackId
from sfu.errors import NegotiationError, SdpError
from sfu.sdp import CodecPolicy, SubscribeSession, ViewTrack, answer_publish, answer_view, parse
from tests.sfu.sdp.descriptions import ANSWERS, OFFERS, capture, local, mutated, rng

_OFFERED = [capture(name) for name in OFFERS]
_ANSWERED = [capture(name) for name in ANSWERS if name.endswith("to-server-offer")]


@settings(max_examples=300, deadline=None)
@given(mutated(_OFFERED))
def test_mutated_offers_of_publishers(offer):
    with contextlib.suppress(SdpError, NegotiationError):
        result = answer_publish(offer, CodecPolicy(), local())
        assert len(parse(result.answer).media) == len(parse(offer).media)
        assert all(track.codecs and track.encodings for track in result.tracks)
        again = answer_publish(offer, CodecPolicy(), local(), previous=result)
        assert again.tracks == result.tracks
        assert not again.ice_restart


@settings(max_examples=200, deadline=None)
@given(mutated(_OFFERED))
def test_mutated_offers_of_viewers(offer):
    with contextlib.suppress(SdpError, NegotiationError):
        result = answer_view(offer, CodecPolicy(), local(), [ViewTrack(TrackId(1), "video")], rng=rng())
        assert parse(result.answer)
        ssrcs = [ssrc for section in result.sections for ssrc in (section.ssrc, section.rtx_ssrc) if ssrc]
        assert len(set(ssrcs)) == len(ssrcs)


@settings(max_examples=200, deadline=None)
@given(mutated(_ANSWERED))
def test_mutated_answers_of_subscribers(answer):
    session = SubscribeSession(CodecPolicy(), local(), rng=rng())
    for track, kind in ((1, "audio"), (2, "video"), (3, "video")):
        session.add(TrackId(track), kind, stream="s")
    session.offer()
    try:
        result = session.answer(1, answer)
    except (SdpError, NegotiationError):
        assert session.pending, "the offer stays outstanding"
        return
    assert [section.track for section in result.sections] == [1, 2, 3]
    assert all(section.payload_types for section in result.sections if section.accepted)
