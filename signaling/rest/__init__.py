"""The REST API under `/api/v1`: a table of endpoints, which also makes the OpenAPI document."""

from signaling.rest.endpoint import BASE, Endpoint
from signaling.rest.table import ENDPOINTS

__all__ = ["BASE", "ENDPOINTS", "Endpoint"]
