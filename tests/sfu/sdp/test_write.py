from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.sdp import (
    Codec,
    CodecPolicy,
    ExtMap,
    Fingerprint,
    Media,
    SessionDescription,
    answer_publish,
    parse,
    write,
)
from sfu.sdp.model import Rid, Simulcast, SimulcastStream, SsrcGroup
from tests.sfu.sdp.descriptions import CANDIDATE, FINGERPRINT, OFFERS, capture, local

_SECTION = Media("video", 9, "UDP/TLS/RTP/SAVPF", ("96",), mid="0")


def _described(media: Media) -> SessionDescription:
    return SessionDescription(1, 1, (media,), bundle=(media.mid,), ice_lite=True, ice_options=("trickle",))


def _without_lines(description: SessionDescription) -> SessionDescription:
    return replace(description, media=tuple(replace(media, line=0) for media in description.media))


def test_what_is_written_reads_back_the_same():
    media = replace(
        _SECTION,
        ice_ufrag="abcd",
        ice_pwd="a" * 24,
        fingerprints=(FINGERPRINT,),
        rtcp_mux=True,
        rtcp_rsize=True,
        codecs=(
            Codec(96, "vp8", 90_000, feedback=("nack", "nack pli"), fmtp=(("max-fr", "30"), ("", "x/y"))),
        ),
        extensions=(ExtMap(3, "urn:ietf:params:rtp-hdrext:sdes:mid"),),
        rids=(Rid("l", sends=False, pts=(96,)), Rid("h", sends=True)),
        simulcast=Simulcast(
            send=(SimulcastStream(("h", "l"), paused=True),), recv=(SimulcastStream(("l",)),)
        ),
        ssrcs=(1, 2),
        ssrc_groups=(SsrcGroup("FID", (1, 2)),),
        cname="c",
        msid=("s", "t"),
        candidates=(CANDIDATE,),
        end_of_candidates=True,
    )
    written = write(_described(media))

    assert _without_lines(parse(written)) == _described(media)
    assert written.count("\r\n") == written.count("\n") == written.count("\r")


@pytest.mark.parametrize("name", OFFERS)
def test_our_answers_read_back_the_same(name):
    answer = answer_publish(capture(name), CodecPolicy(), local()).answer
    assert write(parse(answer)) == answer


_INJECTION = "x\r\na=ice-ufrag:evil"


@pytest.mark.parametrize(
    "media",
    [
        replace(_SECTION, mid=_INJECTION[:16]),
        replace(_SECTION, mid="m\nm"),
        replace(_SECTION, mid="y" * 17),
        replace(_SECTION, kind=_INJECTION),
        replace(_SECTION, protocol=_INJECTION),
        replace(_SECTION, formats=(_INJECTION,)),
        replace(_SECTION, ice_ufrag=_INJECTION),
        replace(_SECTION, ice_ufrag="abcd", ice_pwd="a" * 22 + "\n"),
        replace(_SECTION, fingerprints=(Fingerprint(_INJECTION, FINGERPRINT.value),)),
        replace(_SECTION, fingerprints=(Fingerprint("sha-256", _INJECTION),)),
        replace(_SECTION, codecs=(Codec(96, _INJECTION, 1),)),
        replace(_SECTION, codecs=(Codec(128, "vp8", 1),)),
        replace(_SECTION, codecs=(Codec(96, "vp8", 1, fmtp=(("a", _INJECTION),)),)),
        replace(_SECTION, codecs=(Codec(96, "vp8", 1, feedback=(_INJECTION,)),)),
        replace(_SECTION, extensions=(ExtMap(1, _INJECTION),)),
        replace(_SECTION, rids=(Rid(_INJECTION, sends=True),)),
        replace(_SECTION, simulcast=Simulcast(send=(SimulcastStream((_INJECTION,)),))),
        replace(_SECTION, ssrcs=(1,), cname=_INJECTION),
        replace(_SECTION, ssrcs=(1 << 32,), cname="c"),
        replace(_SECTION, ssrc_groups=(SsrcGroup(_INJECTION, (1,)),)),
        replace(_SECTION, msid=(_INJECTION, "t")),
        replace(_SECTION, msid=("s", _INJECTION)),
        replace(_SECTION, candidates=(_INJECTION,)),
        replace(_SECTION, candidates=(CANDIDATE + "\r\na=x",)),
        replace(_SECTION, port=-1),
    ],
)
def test_no_value_can_end_its_line(media):
    with pytest.raises(SdpError):
        write(_described(media))


@pytest.mark.parametrize(
    "description",
    [
        SessionDescription(1, 1, (), bundle=(_INJECTION,)),
        SessionDescription(1, 1, (), ice_options=(_INJECTION,)),
        SessionDescription(-1, 1, ()),
        SessionDescription(1, 1 << 64, ()),
    ],
)
def test_no_session_value_can_end_its_line(description):
    with pytest.raises(SdpError):
        write(description)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_whatever_the_tokens_are_the_lines_stay_the_same_number(mid, stream, cname, rid):
    media = replace(
        _SECTION, mid=mid, msid=(stream, ""), ssrcs=(1,), cname=cname, rids=(Rid(rid, sends=True),)
    )
    try:
        written = write(_described(media))
    except SdpError:
        return
    plain = write(
        _described(
            replace(media, mid="0", msid=("s" if stream else "", ""), cname="c", rids=(Rid("r", sends=True),))
        )
    )
    assert written.count("\n") == plain.count("\n") - (0 if mid else 1)
    assert written.count("\r") == written.count("\n")
