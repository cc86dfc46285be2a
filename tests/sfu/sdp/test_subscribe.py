import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sfu.engine.types import TrackId
from sfu.errors import NegotiationError, SdpError
from sfu.sdp import CodecPolicy, Direction, Setup, SubscribeSession, parse
from tests.sfu.sdp.descriptions import FINGERPRINT, capture, local, rng


def _session(**more):
    return SubscribeSession(more.pop("policy", CodecPolicy()), local(), rng=rng(), **more)


def _answer(offer, *, reject=(), refuse=(), ufrag="clientufrag", keep=".*"):
    """What a client would answer: `reject` by port 0, `refuse` by inactive, `keep` a regex of codec names."""
    sections = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    head = [line for line in sections[0].splitlines() if "ice-lite" not in line]
    lines = []
    mids = []
    for text in sections[1:]:
        media = parse("v=0\r\no=- 1 1 IN IP4 0\r\n" + text).media[0]
        kept = [
            c for c in media.codecs if re.fullmatch(keep, c.name if c.name != "rtx" else _carried(media, c))
        ]
        if media.is_stopped or media.mid in reject or not kept:
            lines += [f"m={media.kind} 0 UDP/TLS/RTP/SAVPF 0", f"a=mid:{media.mid}"]
            continue
        mids.append(media.mid)
        direction = "inactive" if media.mid in refuse or not media.direction.sends else "recvonly"
        lines += [
            f"m={media.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(str(c.pt) for c in kept)}",
            f"a=mid:{media.mid}",
            f"a=ice-ufrag:{ufrag}",
            f"a=ice-pwd:{'c' * 24}",
            f"a=fingerprint:sha-256 {FINGERPRINT.value}",
            "a=setup:active",
            "a=rtcp-mux",
            f"a={direction}",
            *(f"a=extmap:{e.id} {e.uri}" for e in media.extensions),
        ]
        for codec in kept:
            lines.append(
                f"a=rtpmap:{codec.pt} {codec.name}/{codec.clock_hz}" + ("/2" if codec.channels == 2 else "")
            )
            lines += [f"a=rtcp-fb:{codec.pt} {feedback}" for feedback in codec.feedback]
            if codec.name == "rtx":
                lines.append(f"a=fmtp:{codec.pt} apt={codec.parameter('apt')}")
    head = [f"a=group:BUNDLE {' '.join(mids)}" if "BUNDLE" in line else line for line in head]
    return "".join(f"{line}\r\n" for line in [*head, *lines])


def _carried(media, rtx):
    return next(c.name for c in media.codecs if str(c.pt) == rtx.parameter("apt"))


def _add(session, *tracks):
    for track, kind in tracks:
        session.add(TrackId(track), kind, stream=f"stream{track}")


def test_a_first_offer_says_everything_a_browser_needs():
    session = _session()
    _add(session, (1, "audio"), (2, "video"))
    offer = session.offer()
    assert offer is not None
    described = parse(offer.sdp)

    assert offer.version == described.version == 1
    assert offer.tracks == (("0", 1), ("1", 2))
    assert described.ice_lite
    assert described.extmap_allow_mixed
    assert described.bundle == ("0", "1")
    audio, video = described.media
    assert audio.candidates
    assert video.candidates == audio.candidates
    for media in described.media:
        assert media.direction is Direction.SENDONLY
        assert media.setup is Setup.ACTPASS
        assert media.rtcp_mux
        assert media.rtcp_rsize
    assert [codec.name for codec in video.codecs] == ["vp8", "rtx", "h264", "rtx", "vp9", "rtx", "av1", "rtx"]
    assert [codec.parameter("useinbandfec") for codec in audio.codecs if codec.name == "opus"] == ["1"]
    assert video.ssrc_groups[0].ssrcs == video.ssrcs
    assert video.msid[0] == "stream2"


@pytest.mark.parametrize(
    ("browser", "codecs"),
    [
        ("chromium", {"vp8": (96, 97), "h264": (102, 103), "vp9": (98, 99), "av1": (45, 46)}),
        ("firefox", {"vp8": (96, 97), "vp9": (98, 99), "av1": (45, 46)}),
    ],
)
def test_real_browsers_answers_are_read(browser, codecs):
    session = _session()
    _add(session, (1, "audio"), (2, "video"), (3, "video"))
    session.offer()
    first = session.answer(1, capture(f"{browser}-answer-to-server-offer"))

    assert [(section.track, section.accepted) for section in first.sections] == [
        (1, True),
        (2, True),
        (3, True),
    ]
    assert first.sections[0].payload_types == {"opus": (111, -1)}
    assert first.sections[1].payload_types == codecs
    assert first.remote.dtls_role == "server"
    assert first.extensions["mid"] == 1
    assert "twcc" in first.extensions

    session.remove(TrackId(2))
    _add(session, (9, "audio"))
    offer = session.offer()
    assert offer is not None
    assert offer.tracks == (("0", 1), ("2", 3), ("3", 9))
    second = session.answer(2, capture(f"{browser}-answer-to-server-offer-one-removed"))
    assert [section.track for section in second.sections] == [1, 3, 9]

    _add(session, (10, "video"))
    offer = session.offer(restart=local(ufrag="freshufrag12"))
    assert offer is not None
    assert offer.tracks == (("0", 1), ("1", 10), ("2", 3), ("3", 9))
    third = session.answer(3, capture(f"{browser}-answer-to-server-offer-section-reused"))
    assert [section.track for section in third.sections] == [1, 10, 3, 9]
    assert third.ice_restart


def test_nothing_to_say_is_no_offer():
    session = _session()
    assert session.offer() is None
    _add(session, (1, "audio"))
    assert session.pending
    offer = session.offer()
    assert offer is not None
    assert session.offer() is None, "one offer at a time"
    session.answer(1, _answer(offer.sdp))
    assert not session.pending
    assert session.offer() is None
    _add(session, (1, "audio"))
    assert session.offer() is None, "wanting a track twice is once"


def test_changes_during_an_offer_come_with_the_next():
    session = _session()
    _add(session, (1, "audio"))
    offer = session.offer()
    assert offer is not None
    _add(session, (2, "video"))
    session.remove(TrackId(1))
    result = session.answer(1, _answer(offer.sdp))
    assert result.sections == ()
    offer = session.offer()
    assert offer is not None
    assert offer.tracks == (("1", 2),)
    assert parse(offer.sdp).media[0].direction is Direction.INACTIVE


def test_a_section_is_reused_only_after_the_client_saw_it_empty_and_with_new_sources():
    session = _session()
    _add(session, (1, "video"))
    first = session.offer()
    assert first is not None
    before = session.answer(1, _answer(first.sdp)).sections[0]
    session.remove(TrackId(1))
    _add(session, (2, "video"))
    second = session.offer()
    assert second is not None
    assert second.tracks == (("1", 2),), "not into the section that is still leaving"
    session.answer(2, _answer(second.sdp))
    _add(session, (3, "video"))
    third = session.offer()
    assert third is not None
    assert third.tracks == (("0", 3), ("1", 2))
    after = session.answer(3, _answer(third.sdp)).sections[0]
    assert not {before.ssrc, before.rtx_ssrc} & {after.ssrc, after.rtx_ssrc}


def test_a_section_is_not_reused_for_another_kind():
    session = _session()
    _add(session, (1, "video"))
    session.answer(1, _answer(session.offer().sdp))
    session.remove(TrackId(1))
    session.answer(2, _answer(session.offer().sdp))
    _add(session, (2, "audio"))
    assert session.offer().tracks == (("1", 2),)


def test_a_rejected_section_stays_dead_in_its_place():
    session = _session()
    _add(session, (1, "video"), (2, "audio"))
    result = session.answer(1, _answer(session.offer().sdp, reject={"0"}))
    assert [(section.track, section.accepted) for section in result.sections] == [(1, False), (2, True)]
    session.remove(TrackId(1))
    assert session.offer() is None
    _add(session, (3, "video"))
    offer = session.offer()
    described = parse(offer.sdp)
    assert [media.port for media in described.media] == [0, 9, 9]
    assert described.bundle == ("1", "2")
    assert described.media[1].candidates, "every live section carries the candidates"
    session.answer(2, _answer(offer.sdp))


def test_a_client_without_a_codec_is_told_by_its_absence():
    session = _session()
    _add(session, (1, "video"))
    result = session.answer(1, _answer(session.offer().sdp, keep="vp9|h264"))
    assert set(result.sections[0].payload_types) == {"vp9", "h264"}


def test_an_inactive_answer_is_not_accepted_yet_alive():
    session = _session()
    _add(session, (1, "audio"))
    result = session.answer(1, _answer(session.offer().sdp, refuse={"0"}))
    assert not result.sections[0].accepted
    _add(session, (2, "audio"))
    assert [media.port for media in parse(session.offer().sdp).media] == [9, 9]


def test_a_payload_type_with_another_meaning_is_not_taken():
    session = _session()
    _add(session, (1, "video"))
    answer = _answer(session.offer().sdp).replace("a=rtpmap:96 vp8", "a=rtpmap:96 vp9")
    assert "vp8" not in session.answer(1, answer).sections[0].payload_types


def test_an_extension_under_another_id_is_not_taken():
    session = _session()
    _add(session, (1, "audio"))
    answer = _answer(session.offer().sdp).replace("a=extmap:1 ", "a=extmap:13 ")
    assert "mid" not in session.answer(1, answer).extensions


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("setup:active", "setup:actpass"), "setup:active"),
        (lambda text: text[: text.rindex("m=video")], "2 sections"),
        (lambda text: text.replace("a=mid:1", "a=mid:7").replace("BUNDLE 0 1", "BUNDLE 0 7"), "out of place"),
        (lambda text: text.replace("m=audio", "m=video", 1), "out of place"),
        (lambda text: text.replace(" 9 UDP", " 0 UDP"), "every section is rejected"),
        (lambda text: text.replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (lambda text: text.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "BUNDLE"),
        (lambda text: text.replace("a=ice-ufrag:clientufrag\r\n", ""), "ice-ufrag"),
    ],
)
def test_an_answer_that_does_not_fit_leaves_the_offer_outstanding(change, complaint):
    session = _session()
    _add(session, (1, "audio"), (2, "video"))
    offer = session.offer()
    answer = _answer(offer.sdp)
    with pytest.raises(NegotiationError, match=complaint):
        session.answer(1, change(answer))
    with pytest.raises(SdpError):
        session.answer(1, "junk")
    assert session.answer(1, answer).sections[0].accepted


def test_answers_to_other_offers_are_refused():
    session = _session()
    with pytest.raises(NegotiationError, match="version 1"):
        session.answer(1, "")
    _add(session, (1, "audio"))
    offer = session.offer()
    with pytest.raises(NegotiationError, match="version 2"):
        session.answer(2, _answer(offer.sdp))
    session.answer(1, _answer(offer.sdp))
    with pytest.raises(NegotiationError, match="version 1"):
        session.answer(1, _answer(offer.sdp))


def test_a_restart_gives_the_outstanding_offer_up():
    session = _session()
    _add(session, (1, "audio"))
    stale = session.offer()
    fresh = session.offer(restart=local(ufrag="freshufrag12"))
    assert fresh.version == 2
    assert parse(fresh.sdp).media[0].ice_ufrag == "freshufrag12"
    with pytest.raises(NegotiationError):
        session.answer(1, _answer(stale.sdp))
    assert session.answer(2, _answer(fresh.sdp)).sections[0].accepted


def test_a_changed_certificate_is_refused():
    session = _session()
    _add(session, (1, "audio"))
    session.answer(1, _answer(session.offer().sdp))
    _add(session, (2, "audio"))
    answer = _answer(session.offer().sdp).replace("AB:AB", "CD:CD")
    with pytest.raises(NegotiationError, match="certificate"):
        session.answer(2, answer)


def test_a_client_that_insists_on_being_server_makes_us_client_for_good():
    session = _session()
    _add(session, (1, "audio"))
    answer = _answer(session.offer().sdp).replace("setup:active", "setup:passive")
    assert session.answer(1, answer).remote.dtls_role == "client"
    _add(session, (2, "audio"))
    with pytest.raises(NegotiationError, match="DTLS roles"):
        session.answer(2, _answer(session.offer().sdp))


def test_sections_are_capped():
    session = _session(max_sections=2)
    _add(session, (1, "audio"), (2, "audio"))
    with pytest.raises(NegotiationError, match="at most 2"):
        _add(session, (3, "audio"))


def test_a_room_of_a_hundred_is_offered_and_answered():
    session = _session()
    _add(session, *((number, "video" if number % 2 else "audio") for number in range(200)))
    offer = session.offer()
    result = session.answer(1, _answer(offer.sdp))
    assert all(section.accepted for section in result.sections)
    assert len(result.sections) == 200


class _Subscriber(RuleBasedStateMachine):
    """Any order of adding, removing, offering and answering keeps the promises of the module."""

    def __init__(self):
        super().__init__()
        self.session = _session(max_sections=24)
        self.wanted = {}
        self.next_track = 0
        self.outstanding = None
        self.places = []
        self.used_ssrcs = {}
        self.connected = False
        self.dead = set()

    @rule(kind=st.sampled_from(["audio", "video"]))
    def add(self, kind):
        self.next_track += 1
        try:
            self.session.add(TrackId(self.next_track), kind, stream="s")
        except NegotiationError:
            assert len(self.session.sections()) <= 24
            return
        self.wanted[self.next_track] = kind

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def remove(self, data):
        track = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[track]
        self.session.remove(TrackId(track))

    @rule(restart=st.booleans())
    def offer(self, restart):
        offer = self.session.offer(restart=local(ufrag="freshufrag12") if restart else None)
        if offer is None:
            return
        self.outstanding = offer
        described = parse(offer.sdp)
        for place, media in enumerate(described.media):
            if place < len(self.places):
                assert self.places[place] == (media.kind, media.mid), "a section kept its place, kind and mid"
            else:
                self.places.append((media.kind, media.mid))
        carried = {track: mid for mid, track in offer.tracks}
        assert set(carried) <= set(self.wanted)
        for media in described.media:
            owner = next((track for track, mid in carried.items() if mid == media.mid), None)
            assert media.direction.sends == (owner is not None) or media.is_stopped
            for ssrc in media.ssrcs:
                assert self.used_ssrcs.setdefault(ssrc, owner) == owner, "an SSRC served one track only"

    @precondition(lambda self: self.outstanding is not None)
    @rule(data=st.data())
    def answer(self, data):
        offer, self.outstanding = self.outstanding, None
        mids = [mid for mid, _ in offer.tracks]
        reject = set(data.draw(st.lists(st.sampled_from(mids), max_size=1))) if mids else set()
        if not self.connected and len(reject) == sum(media.port > 0 for media in parse(offer.sdp).media):
            reject = set()  # a first answer must describe a transport
        self.dead |= reject
        self.connected = True
        result = self.session.answer(offer.version, _answer(offer.sdp, reject=reject))
        for section in result.sections:
            assert section.track in self.wanted
            assert section.accepted == (section.mid not in self.dead)
            assert section.accepted == bool(section.payload_types)

    @invariant()
    def every_wanted_track_has_one_section(self):
        assert sorted(section.track for section in self.session.sections()) == sorted(self.wanted)


_Subscriber.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSubscriber = _Subscriber.TestCase
