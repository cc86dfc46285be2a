"""Data channels in offers and answers."""

import pytest

from sfu.errors import NegotiationError, SdpError
from sfu.sdp import CodecPolicy, DataSection, answer_publish, parse
from sfu.sdp.publish import PublishNegotiation
from tests.sfu.sdp.descriptions import AUDIO, TRANSPORT, capture, description, local, section

CAP = 16_384
DATA = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *TRANSPORT[:4])


def answer(offer: str, **fields: object) -> PublishNegotiation:
    return answer_publish(offer, CodecPolicy(), local(), **{"data_bytes": CAP, **fields})  # type: ignore[arg-type]


def data(mid: str = "d", *extra: str) -> list[str]:
    return [*DATA, f"a=mid:{mid}", "a=sctp-port:5000", *extra]


@pytest.mark.parametrize(
    ("name", "message_bytes"),
    [("chromium-offer-data+audio", 262_144), ("firefox-offer-data+audio", 1_073_741_823)],
)
def test_browsers_data_channels_are_accepted_beside_their_audio(name: str, message_bytes: int) -> None:
    result = answer(capture(name))
    assert result.data == DataSection("1", 5_000, message_bytes)
    audio, section = parse(result.answer).media
    assert (audio.mid, audio.port) == ("0", 9)
    assert (section.mid, section.port, section.sctp_port, section.max_message_bytes) == ("1", 9, 5_000, CAP)
    assert section.ice_ufrag == audio.ice_ufrag
    assert parse(result.answer).bundle == ("0", "1")


def test_data_channels_may_come_alone_and_have_no_direction() -> None:
    result = answer(description(data()))
    assert result.data == DataSection("d", 5_000, 65_536)
    assert result.tracks == ()
    assert "a=sendrecv" not in result.answer
    assert "a=rtcp-mux" not in result.answer


def test_without_leave_the_section_is_refused_and_the_rest_goes_on() -> None:
    result = answer(capture("chromium-offer-data+audio"), data_bytes=None)
    assert result.data is None
    assert [media.port for media in parse(result.answer).media] == [9, 0]
    with pytest.raises(NegotiationError, match="no audio or video"):
        answer(description(data()), data_bytes=None)


@pytest.mark.parametrize(
    "lines",
    [
        [line for line in data() if not line.startswith("a=sctp-port")],
        [line.replace("webrtc-datachannel", "other") for line in data()],
        [line.replace("UDP/DTLS/SCTP", "DTLS/SCTP") for line in data()],
        [line.replace("m=application 9", "m=application 0") for line in data()],
    ],
)
def test_a_section_that_is_not_for_us_is_refused_alone(lines: list[str]) -> None:
    result = answer(description(section(AUDIO, "0"), lines, bundle="0 d"))
    assert result.data is None
    assert [media.port for media in parse(result.answer).media] == [9, 0]


def test_a_section_outside_the_bundle_and_a_second_one_are_refused() -> None:
    outside = answer(description(section(AUDIO, "0"), data(), bundle="0"))
    assert outside.data is None
    second = answer(description(section(AUDIO, "0"), data(), data("e")))
    assert second.data is not None
    assert [media.port for media in parse(second.answer).media] == [9, 9, 0]


def test_data_goes_on_over_a_renegotiation_and_ends_with_its_section() -> None:
    first = answer(description(data()))
    both = answer(description(data(), section(AUDIO, "0")), previous=first, version=2)
    assert both.data is not None
    assert len(both.tracks) == 1
    stopped = [line.replace("application 9", "application 0") for line in data()]
    ended = answer(description(stopped, section(AUDIO, "0"), bundle="0"), previous=both, version=3)
    assert ended.data is None


@pytest.mark.parametrize(
    "line", ["a=sctp-port:0", "a=sctp-port:x", "a=max-message-size:-1", "a=max-message-size:"]
)
def test_malformed_numbers_are_refused_with_their_line(line: str) -> None:
    with pytest.raises(SdpError) as caught:
        parse(description(data("d", line)))
    assert caught.value.line > 0
