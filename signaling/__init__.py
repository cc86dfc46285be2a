"""Signalling: the aiohttp application: WebSocket protocol, WHIP, WHEP, REST, tokens, HLS, pages.

Floor 5. It decodes, authorises and answers; what is asked for is done by `rooms`, and by the recorder and
broadcast
services that are injected.
"""

from signaling.app import create_app, drain, end_of_keys, open_connections, server_options
from signaling.config import Services, SignalingConfig
from signaling.errors import Problem, SignalingError
from signaling.ice_servers import IceServers
from signaling.limits import Rate, address_key
from signaling.rest.access import join_url
from signaling.tokens import ALGORITHMS, ApiKey, Claims, KeyRefused, KeyRing, TokenError, VouchedTerms, mint

__all__ = [
    "ALGORITHMS",
    "ApiKey",
    "Claims",
    "IceServers",
    "KeyRefused",
    "KeyRing",
    "Problem",
    "Rate",
    "Services",
    "SignalingConfig",
    "SignalingError",
    "TokenError",
    "VouchedTerms",
    "address_key",
    "create_app",
    "drain",
    "end_of_keys",
    "join_url",
    "mint",
    "open_connections",
    "server_options",
]
