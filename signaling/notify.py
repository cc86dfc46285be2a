"""Room events as notifications.

PURE: no I/O.
"""

from collections import OrderedDict
from typing import Final, assert_never

from rooms import (
    ActivitiesChanged,
    Chat,
    ChatDeleted,
    CodecUnsupported,
    ConsentChanged,
    DataLost,
    DataRefused,
    LayerChosen,
    LayersWanted,
    NoticeRaised,
    ParticipantInfo,
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
from signaling.messages import Notification
from signaling.views import (
    ParticipantView,
    activity_view,
    chat_view,
    consent_view,
    data_refused_view,
    notice_view,
    participant_view,
    terms_view,
    track_view,
)
from signaling.wire import Encoding

_REMEMBERED: Final = 64
_PEOPLE: Final = 1024

Handled = SubscribeOfferReady | Removed | RoomClosed | RevocationDone
"""Events that the connection acts on instead of passing on."""


class Said:
    """One notification, encoded once for everybody who is told of it in the same encoding."""

    def __init__(self, method: str, params: object) -> None:
        self.method = method
        self.params = params
        self._encoded: dict[Encoding, bytes] = {}

    def encoded(self, encoding: Encoding) -> bytes:
        """The message as it goes out."""
        message = self._encoded.get(encoding)
        if message is None:
            message = self._encoded[encoding] = encoding.encode(Notification(self.method, self.params))
        return message


class Wording:
    """Puts events and people into words once, however many are told; remembers the last few."""

    def __init__(self) -> None:
        self._people: OrderedDict[str, tuple[ParticipantInfo, ParticipantView]] = OrderedDict()
        self._recent: OrderedDict[int, tuple[RoomEvent, Said | Handled]] = OrderedDict()

    def of(self, event: RoomEvent) -> Said | Handled:
        """The notification of an event, or the event itself when it is not simply passed on."""
        # The event is kept with its words: while it is here, no other has its identity.
        found = self._recent.get(id(event))
        if found is not None:
            return found[1]
        if isinstance(event, ParticipantLeft):
            self._people.pop(event.participant, None)
        told = notification(event)
        said = Said(*told) if isinstance(told, tuple) else told
        self._recent[id(event)] = (event, said)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return said

    def of_person(self, person: ParticipantInfo) -> ParticipantView:
        """A participant for the wire."""
        # A room tells the same object until something of it changes.
        found = self._people.get(person.id)
        if found is None or found[0] is not person:
            found = self._people[person.id] = (person, participant_view(person))
            if len(self._people) > _PEOPLE:
                self._people.popitem(last=False)
        return found[1]


def notification(event: RoomEvent) -> tuple[str, object] | Handled:  # noqa: C901, PLR0912 - one line each
    """The method and params of a room event, or the event itself when it is not simply passed on."""
    match event:
        case ParticipantJoined():
            return "participant_joined", {"participant": participant_view(event.participant)}
        case ParticipantUpdated():
            return "participant_updated", {"participant": participant_view(event.participant)}
        case ParticipantLeft():
            return "participant_left", {"participant": event.participant, "reason": event.reason}
        case TrackPublished():
            return "track_published", {"participant": event.participant, "track": track_view(event.track)}
        case TrackUnpublished():
            return "track_unpublished", {"participant": event.participant, "track": event.track}
        case TrackMuted():
            return "track_muted", {
                "participant": event.participant,
                "track": event.track,
                "muted": event.is_muted,
                "enforced": event.is_enforced,
            }
        case Chat():
            return "chat", chat_view(event.message)
        case ChatDeleted():
            return "chat_deleted", {"id": event.id}
        case SpeakersChanged():
            speakers = [{"participant": who, "level_dbov": level} for who, level in event.speakers]
            return "speakers", {"speakers": speakers}
        case NoticeRaised():
            return "notice", notice_view(event)
        case ActivitiesChanged():
            return "activities", {"activities": [activity_view(item) for item in event.activities]}
        case ConsentChanged():
            return "consent", {"consent": consent_view(event.consent), "reason": event.reason}
        case TermsChanged():
            return "terms", terms_view(event.terms, is_accepted=event.is_accepted)
        case CodecUnsupported():
            return "codec_unsupported", {"track": event.track, "codec": event.codec}
        case LayerChosen():
            return "layer", {
                "track": event.track,
                "state": event.state,
                "spatial": event.spatial,
                "temporal": event.temporal,
            }
        case LayersWanted():
            return "layers_wanted", {
                "track": event.track,
                "rids": list(event.rids),
                "wanted": event.is_wanted,
                "spatial": event.spatial,
            }
        case DataRefused():
            return "data_refused", data_refused_view(event)
        case DataLost():
            return "data_lost", {"count": event.count}
        case PeerClosed():
            return "peer_closed", {"peer": event.role, "reason": event.reason}
        case SubscribeOfferReady() | Removed() | RoomClosed() | RevocationDone():
            return event
        case _:
            assert_never(event)
