"""Rooms as people know them: admission, settings, chat, notices, moderation, and the consent service.

Floor 3; joins `cluster` and `store` to `sfu`. The only caller of the plane's taps and gates: a tap, or a
forward to somebody outside the room, is open if and only if `policy.decide` allows it.
"""

from rooms.activity import Activity, Kill
from rooms.activity_events import (
    ActivityEnded,
    ActivityEvent,
    ChatLine,
    Cut,
    PersonChanged,
    SinkLost,
    SitesChanged,
    Speakers,
    TapClosed,
    TapMuted,
    TapOpened,
)
from rooms.clock import Clock, SystemClock, Timer
from rooms.config import RoomsConfig
from rooms.consent import ConsentService
from rooms.errors import Code, Refused, RoomsError
from rooms.events import (
    ActivitiesChanged,
    Chat,
    CodecUnsupported,
    ConsentChanged,
    LayerChosen,
    LayersWanted,
    NoticeRaised,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    PeerClosed,
    Removed,
    RevocationDone,
    RoomClosed,
    RoomEvent,
    SpeakersChanged,
    SubscribeOfferReady,
    TermsChanged,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from rooms.joining import OWN_SITE
from rooms.ledger_keeper import LedgerUnavailable
from rooms.mailbox import Mailbox
from rooms.participant import Participant
from rooms.room import Room
from rooms.service import RoomService
from rooms.types import (
    Action,
    ActivityInfo,
    ChatMessage,
    JoinRequest,
    OfferedTrack,
    ParticipantInfo,
    Published,
    Revocation,
    RoomInfo,
    Source,
    State,
    SubscribeOffer,
    TrackInfo,
    Transport,
    Viewed,
)
from rooms.withdrawals import Withdrawal, Withdrawals

__all__ = [
    "OWN_SITE",
    "Action",
    "ActivitiesChanged",
    "Activity",
    "ActivityEnded",
    "ActivityEvent",
    "ActivityInfo",
    "Chat",
    "ChatLine",
    "ChatMessage",
    "Clock",
    "Code",
    "CodecUnsupported",
    "ConsentChanged",
    "ConsentService",
    "Cut",
    "JoinRequest",
    "Kill",
    "LayerChosen",
    "LayersWanted",
    "LedgerUnavailable",
    "Mailbox",
    "NoticeRaised",
    "OfferedTrack",
    "Participant",
    "ParticipantInfo",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantUpdated",
    "PeerClosed",
    "PersonChanged",
    "Published",
    "Refused",
    "Removed",
    "Revocation",
    "RevocationDone",
    "Room",
    "RoomClosed",
    "RoomEvent",
    "RoomInfo",
    "RoomService",
    "RoomsConfig",
    "RoomsError",
    "SinkLost",
    "SitesChanged",
    "Source",
    "Speakers",
    "SpeakersChanged",
    "State",
    "SubscribeOffer",
    "SubscribeOfferReady",
    "SystemClock",
    "TapClosed",
    "TapMuted",
    "TapOpened",
    "TermsChanged",
    "Timer",
    "TrackInfo",
    "TrackMuted",
    "TrackPublished",
    "TrackUnpublished",
    "Transport",
    "Viewed",
    "Withdrawal",
    "Withdrawals",
]
