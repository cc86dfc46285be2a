"""All endpoints."""

from typing import Final

from signaling.rest import (
    access,
    broadcasts,
    consent,
    playback,
    recordings,
    renditions,
    rooms,
    sites,
    takedowns,
    terms,
)
from signaling.rest.endpoint import Endpoint

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *rooms.api.endpoints,
    *access.api.endpoints,
    *recordings.api.endpoints,
    *renditions.api.endpoints,
    *playback.api.endpoints,
    *sites.api.endpoints,
    *broadcasts.api.endpoints,
    *terms.api.endpoints,
    *consent.api.endpoints,
    *takedowns.api.endpoints,
)
"""Everything under `/api/v1`, but for the document that describes it."""
