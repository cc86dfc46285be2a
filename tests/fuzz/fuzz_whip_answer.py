"""Fuzz target: the answer of a WHIP endpoint: what passes names no address that may not be sent to."""

from aiortc.sdp import SessionDescription

from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.link import LinkError
from rebroadcast.worker.whip.answer import judge
from tests.fuzz import harness

_POLICY = UrlPolicy()
_SECTION = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na="


def one_input(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for answer in (
        text,
        _SECTION + text,
        f"{_SECTION}candidate:{text}",
        f"{_SECTION}candidate:1 1 udp 1 {text}",
    ):
        try:
            judge(answer, _POLICY)
        except LinkError:
            continue
        for media in SessionDescription.parse(answer).media:
            for candidate in media.ice_candidates:
                _POLICY.check_address(candidate.ip)


if __name__ == "__main__":
    harness.run(one_input)
