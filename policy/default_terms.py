"""The terms document that Parley ships: the first version, as data. PURE."""

from typing import Final

from policy.terms import TermsDocument, TermsUse
from policy.uses import LIVE, RECORD, REPLAY, Media

_EVERYTHING: Final = frozenset({Media.AUDIO, Media.VIDEO, Media.CHAT})

_TEXT: Final = """\
What you show, say and write in this room can leave it. Video and chat sessions may be broadcast
live through third-party sites, or recorded and broadcast again later through such sites. The chat
goes along with the video.

Please be careful what you disclose. Whatever you reveal on camera, by voice or in the chat reaches
the people in the room, the users of this service and, while it is broadcast, anybody who watches on
the other sites. Copies that others make there are beyond our reach.

You are told when it happens. Before a recording or a broadcast uses anything of yours, you see a
notice with what it is for and where it goes; a mark stays visible for as long as it runs. Until you
have acknowledged the notice, nothing of you is recorded or sent anywhere.

You can stop it at any time. Withdraw your agreement, or leave the room, and your picture, sound and
chat are taken out at once; the others see an anonymous placeholder. Outside the room only the
screen name you chose stands for you, so do not choose your real name unless you want it known.

A register keeps what you agreed to and when. It holds random numbers, no names and no addresses.
"""

DEFAULT_TERMS: Final = TermsDocument(
    version="2026-11",
    number=1,
    title="Broadcast terms",
    effective_at_ms=0,
    is_material=True,
    paragraphs=tuple(" ".join(paragraph.split()) for paragraph in _TEXT.split("\n\n")),
    age_statement="I am 18 years old or older.",
    uses=(
        TermsUse(
            use=LIVE,
            title="Live on other sites",
            text="My video, sound and chat may be shown on third-party sites while the session goes on.",
            media=_EVERYTHING,
        ),
        TermsUse(
            use=RECORD,
            title="Recording",
            text="My video, sound and chat may be recorded.",
            media=_EVERYTHING,
        ),
        TermsUse(
            use=REPLAY,
            title="Shown again later",
            text="Recordings with my video, sound and chat may be shown again later on third-party sites.",
            media=_EVERYTHING,
        ),
    ),
)
"""Terms that a fresh installation publishes; an operator replaces them by publishing a newer version."""
