"""All endpoints."""

from typing import Final

from signaling.rest import access, broadcasts, consent, recordings, rooms, terms
from signaling.rest.endpoint import Endpoint

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *rooms.ENDPOINTS,
    *access.ENDPOINTS,
    *recordings.ENDPOINTS,
    *broadcasts.ENDPOINTS,
    *terms.ENDPOINTS,
    *consent.ENDPOINTS,
)
"""Everything under `/api/v1`, but for the document that describes it."""
