"""What ICE fragments of a peer ask for, after its offer (RFC 8840, WHIP and WHEP `PATCH`)."""

from sfu.engine.types import Ack
from sfu.errors import NegotiationError
from sfu.route.roster import Member
from sfu.route.subscriber import Subscriber
from sfu.sdp import parse_fragment, write_fragment


def check_trickle(member: Member, fragment: str) -> None:
    """Take a trickle fragment; to an ICE-lite peer it only matters whether it belongs to the peer.

    Raises:
        SdpError: it does not parse.
        NegotiationError: it belongs to another ICE generation.
    """
    parsed = parse_fragment(fragment)
    if parsed.ufrag is not None and not member.peer.is_remote_generation(parsed.ufrag):
        raise NegotiationError("the fragment belongs to another ICE generation")


def restart(member: Member, fragment: str) -> tuple[str, list[Ack]]:
    """Restart ICE as a fragment asks: the answer's fragment, true when the acks are there.

    Raises:
        SdpError: it does not parse.
        NegotiationError: the fragment has no credentials, or the peer is a subscriber.
    """
    if isinstance(member, Subscriber):
        raise NegotiationError("a subscriber's ICE restarts by a new offer")
    parsed = parse_fragment(fragment)
    if not parsed.ufrag or not parsed.pwd:
        raise NegotiationError("an ICE restart needs ice-ufrag and ice-pwd")
    if member.agreed is None:
        raise NegotiationError("there is nothing to restart yet")
    local = member.peer.next_local()
    answer = write_fragment(local, member.agreed)
    return answer, member.peer.restart(local, remote_ufrag=parsed.ufrag)
