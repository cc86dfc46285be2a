"""Judges a WHIP endpoint's answer before anything is sent where it says."""

from typing import Any, Final

from aiortc.sdp import SessionDescription

from rebroadcast.url_policy import DestinationRefused, UrlPolicy
from rebroadcast.worker.link import LinkError

# Whatever the parser of the peer connection raises for what it does not understand.
_MALFORMED: Final = (
    ValueError,
    KeyError,
    IndexError,
    AssertionError,
    AttributeError,
    TypeError,
    StopIteration,
)


def judge(answer: str, policy: UrlPolicy) -> None:
    """Let an answer pass when every address in it may be sent to.

    It is read as the peer connection reads it, so that no spelling of a line hides an address.

    Raises:
        LinkError: an address that may not be sent to, or no answer at all.
    """
    try:
        read: Any = SessionDescription.parse(answer)
    except _MALFORMED as error:
        raise LinkError("the site's answer does not fit the offer") from error
    for host in [candidate.ip for media in read.media for candidate in media.ice_candidates]:
        try:
            policy.check_address(host)
        except DestinationRefused as error:
            raise LinkError(f"the site's answer is not allowed: {error}") from error
        except ValueError as error:
            raise LinkError("the site's answer names a host instead of an address") from error
