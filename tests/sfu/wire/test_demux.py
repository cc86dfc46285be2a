import pytest

from sfu.wire import DatagramKind, classify


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", DatagramKind.UNKNOWN),
        (b"\x16", DatagramKind.UNKNOWN),
        (b"\x00" * 20, DatagramKind.STUN),
        (b"\x00" * 19, DatagramKind.UNKNOWN),
        (b"\x03" + bytes(19), DatagramKind.STUN),
        (b"\x04" + bytes(30), DatagramKind.UNKNOWN),
        (b"\x13" + bytes(30), DatagramKind.UNKNOWN),
        (b"\x14" + bytes(12), DatagramKind.DTLS),
        (b"\x16" + bytes(11), DatagramKind.UNKNOWN),
        (b"\x3f" + bytes(12), DatagramKind.DTLS),
        (b"\x40" + bytes(12), DatagramKind.UNKNOWN),
        (b"\x7f" + bytes(12), DatagramKind.UNKNOWN),
        (b"\x80\x60\x00\x00", DatagramKind.RTP),
        (b"\x80\xc8\x00\x00", DatagramKind.RTCP),
        (b"\x80\xdf\x00\x00", DatagramKind.RTCP),
        (b"\x80\xe0\x00\x00", DatagramKind.RTP),
        (b"\x80\xbf\x00\x00", DatagramKind.RTP),
        (b"\xbf\x60\x00\x00", DatagramKind.RTP),
        (b"\xc0\x60\x00\x00", DatagramKind.UNKNOWN),
        (b"\xff" * 100, DatagramKind.UNKNOWN),
    ],
)
def test_the_first_byte_names_the_protocol(data, kind):
    assert classify(data) is kind
