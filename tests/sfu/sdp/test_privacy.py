"""Nothing of one peer's description reaches another's (threat model, rows 21 and 40)."""

import re

import pytest

from sfu.engine.types import TrackId
from sfu.sdp import CodecPolicy, SubscribeSession, ViewTrack, answer_publish, answer_view
from tests.sfu.sdp.descriptions import CANDIDATE, OFFERS, capture, local, rng

_PUBLISHERS = [name for name in OFFERS if "recvonly" not in name]


def _words(text):
    """Every word of a description that could identify somebody: addresses, ids, keys, names."""
    words = set()
    for line in text.splitlines():
        if re.match(r"a=(rtpmap|fmtp|rtcp-fb|extmap|group|setup|rid|simulcast|framerate)|[vst]=", line):
            continue
        words |= {word for word in re.split(r"[\s:]+", line.partition("=")[2]) if len(word) > 6}
    return words


_PUBLIC = re.compile(
    r"SAVPF|webrtc-datachannel|0\.0\.0\.0|127\.0\.0\.1|sha-(256|384|512)|trickle|BUNDLE|fingerprint|candidate|ice-.*|"
    r"end-of-candidates|rtcp.*|extmap.*|bundle-only|(send|recv)only|sendrecv|inactive|max-message-size|sctp-port|"
    r"msid-semantic|ssrc-group|setup|UDP/.*|application|passive|tcptype|generation|network-id|rcvr-rtt.*"
)


@pytest.mark.parametrize("name", _PUBLISHERS)
def test_a_subscriber_learns_nothing_of_a_publisher(name):
    offer = capture(name)
    secrets = {word for word in _words(offer) if not _PUBLIC.fullmatch(word)}
    assert len(secrets) > 2
    session = SubscribeSession(CodecPolicy(), local(), rng=rng())
    for track in (1, 2):
        session.add(TrackId(track), "video", stream="5tr3am")
    server_offer = session.offer()
    assert server_offer is not None
    viewer = answer_view(
        capture("chromium-offer-recvonly-av"),
        CodecPolicy(),
        local(),
        [ViewTrack(TrackId(1), "video")],
        rng=rng(),
    )
    for text in (server_offer.sdp, viewer.answer):
        assert not [word for word in secrets if word in text]
        sections = len(re.findall(r"a=ice-ufrag:", text))
        assert re.findall(r"a=candidate:(.*)", text.replace("\r", "")) == [CANDIDATE] * sections


@pytest.mark.parametrize("name", _PUBLISHERS)
def test_a_publishers_own_answer_repeats_none_of_its_addresses_keys_or_names(name):
    offer = capture(name)
    answer = answer_publish(offer, CodecPolicy(), local()).answer
    secrets = {word for word in _words(offer) if not _PUBLIC.fullmatch(word)}
    assert not [word for word in secrets if word in answer and word not in {"audio1", "video0"}]
