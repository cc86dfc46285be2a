"""Rooms and recordings sent to other sites: programs, outputs, retries, within the broadcast terms.

Floor 4. `RebroadcastService` is loaded when first asked for, so that the program process, whose code lies in
`rebroadcast.worker`, carries none of the server with it.
"""

from typing import TYPE_CHECKING

from media.facade import lazy
from rebroadcast.errors import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    DestinationUnregistered,
    PublisherUnsuitable,
    RebroadcastError,
)
from rebroadcast.types import (
    BroadcastInfo,
    DestinationInfo,
    DestinationStatus,
    EncodingInfo,
    EncodingWish,
    LookChange,
    LookInfo,
    PartnerChange,
    PartnerInfo,
    ProgramInfo,
    RebroadcastConfig,
    ReplayInfo,
)

if TYPE_CHECKING:
    from rebroadcast.service import RebroadcastService
    from rebroadcast.spread import Copy
    from rebroadcast.takedowns import Takedowns

__all__ = [
    "BroadcastConflict",
    "BroadcastInfo",
    "BroadcastInvalid",
    "BroadcastNotFound",
    "Copy",
    "DestinationInfo",
    "DestinationStatus",
    "DestinationUnregistered",
    "EncodingInfo",
    "EncodingWish",
    "LookChange",
    "LookInfo",
    "PartnerChange",
    "PartnerInfo",
    "ProgramInfo",
    "PublisherUnsuitable",
    "RebroadcastConfig",
    "RebroadcastError",
    "RebroadcastService",
    "ReplayInfo",
    "Takedowns",
]

__getattr__ = lazy(
    __name__,
    {
        "rebroadcast.service": ("RebroadcastService",),
        "rebroadcast.spread": ("Copy",),
        "rebroadcast.takedowns": ("Takedowns",),
    },
)
