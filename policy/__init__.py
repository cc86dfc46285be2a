"""Policy: identities, permissions, terms, consent rules, grants, ages, retention and quotas.

PURE, stdlib only.

Floor 0. Everything here is a value or a function of values; time comes in by parameter. `decide` is the
only place that says whether a person's media or chat may go into a recording or out of the room.
"""

from policy.admission import (
    Ban,
    Comer,
    Door,
    admit,
    may_chat,
    may_moderate,
    may_publish,
    may_send_data,
    may_start,
)
from policy.consent import (
    OWN_PARTNER,
    Acceptance,
    ActivityFacts,
    Allow,
    ConsentFacts,
    ConsentState,
    Decision,
    Deny,
    Hold,
    PartnerTerms,
    RoomFacts,
    Site,
    consent_state,
    decide,
    decide_replay,
    has_accepted,
    may_go,
)
from policy.default_terms import DEFAULT_TERMS
from policy.errors import NameRefused, PolicyError, SettingsError, TermsError
from policy.limits import Limits
from policy.names import (
    name_key,
    normalize_chat,
    normalize_identity,
    normalize_room,
    normalize_screen_name,
    normalize_title,
    unique_name,
)
from policy.permissions import Permission, UnknownPermission, parse_permissions
from policy.settings import RoomMode, RoomSettings
from policy.terms import TermsDocument, TermsHistory, TermsUse
from policy.uses import LIVE, RECORD, REPLAY, Media, Use

__all__ = [
    "DEFAULT_TERMS",
    "LIVE",
    "OWN_PARTNER",
    "RECORD",
    "REPLAY",
    "Acceptance",
    "ActivityFacts",
    "Allow",
    "Ban",
    "Comer",
    "ConsentFacts",
    "ConsentState",
    "Decision",
    "Deny",
    "Door",
    "Hold",
    "Limits",
    "Media",
    "NameRefused",
    "PartnerTerms",
    "Permission",
    "PolicyError",
    "RoomFacts",
    "RoomMode",
    "RoomSettings",
    "SettingsError",
    "Site",
    "TermsDocument",
    "TermsError",
    "TermsHistory",
    "TermsUse",
    "UnknownPermission",
    "Use",
    "admit",
    "consent_state",
    "decide",
    "decide_replay",
    "has_accepted",
    "may_chat",
    "may_go",
    "may_moderate",
    "may_publish",
    "may_send_data",
    "may_start",
    "name_key",
    "normalize_chat",
    "normalize_identity",
    "normalize_room",
    "normalize_screen_name",
    "normalize_title",
    "parse_permissions",
    "unique_name",
]
