"""Errors of the rooms package: one root, and the one refusal that goes on the wire."""

from enum import StrEnum


class Code(StrEnum):
    """Stable codes of a refusal; the same names as in docs/protocol.md section 6."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOTICE_REQUIRED = "notice_required"
    TERMS_REQUIRED = "terms_required"
    AGE_REQUIRED = "age_required"
    BANNED = "banned"
    E2EE = "e2ee"
    ROOM_FULL = "room_full"
    RATE_LIMITED = "rate_limited"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID_REQUEST = "invalid_request"
    INVALID_SDP = "invalid_sdp"
    TOO_LARGE = "too_large"
    UNSUPPORTED_CODEC = "unsupported_codec"
    UNAVAILABLE = "unavailable"
    SHUTTING_DOWN = "shutting_down"


class RoomsError(Exception):
    """Root of everything that `rooms` raises on purpose."""

    code: str = "rooms_error"


class Refused(RoomsError):
    """A request that the room does not grant; `reason` is a sentence that says how to mend it."""

    def __init__(
        self,
        code: Code,
        reason: str,
        *,
        retry_after_s: float | None = None,
        notices: "tuple[object, ...]" = (),
        terms_version: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.retry_after_s = retry_after_s
        """When it may work again, for `rate_limited`, `room_full`, `unavailable` and `shutting_down`."""
        self.notices = notices
        """For `notice_required`: the `NoticeRaised` values that wait to be acknowledged."""
        self.terms_version = terms_version
        """For `terms_required`: the version in force."""
