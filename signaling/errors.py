"""What the application refuses, with stable codes: one table for JSON-RPC and for HTTP.

PURE: no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Code:
    """One application error code: how it is told over HTTP and in a sentence."""

    status: int
    title: str


CODES: Mapping[str, Code] = MappingProxyType({
    "unauthorized": Code(401, "A valid token is needed"),
    "forbidden": Code(403, "Not permitted"),
    "notice_required": Code(403, "A notice must be acknowledged first"),
    "terms_required": Code(403, "The terms must be accepted first"),
    "age_required": Code(403, "The statement of being 18 or older is missing"),
    "banned": Code(403, "Banned from this room"),
    "e2ee": Code(403, "End-to-end encrypted media cannot go there"),
    "room_full": Code(503, "The room is full"),
    "rate_limited": Code(429, "Too many requests"),
    "not_found": Code(404, "Not found"),
    "conflict": Code(409, "Not possible in this state"),
    "invalid_request": Code(400, "Malformed request"),
    "unprocessable": Code(422, "A field is not as described"),
    "invalid_sdp": Code(400, "The session description is not acceptable"),
    "too_large": Code(413, "Too large"),
    "unsupported_codec": Code(422, "No codec in common"),
    "unavailable": Code(503, "That service is not running here"),
    "shutting_down": Code(503, "The server is shutting down"),
    "method_not_allowed": Code(405, "Method not allowed"),
    "not_acceptable": Code(406, "Nothing acceptable to send"),
    "gone": Code(410, "No longer available"),
    "range_not_satisfiable": Code(416, "Nothing of the file is in that range"),
    "precondition_failed": Code(412, "Another version than the one named"),
    "precondition_required": Code(428, "If-Match is needed"),
    "unsupported_media_type": Code(415, "Unsupported media type"),
    "timeout": Code(408, "The request took too long"),
    "internal": Code(500, "A fault of the server"),
})  # fmt: skip
"""Every code that leaves the server."""

ALIASES: Mapping[str, str] = MappingProxyType({
    "negotiation_failed": "invalid_sdp",
    "room_closed": "conflict",
    "engine_busy": "room_full",
    "invalid_name": "unprocessable",
    "invalid_permission": "unprocessable",
    "invalid_settings": "unprocessable",
    "invalid_terms": "unprocessable",
    "invalid_url": "unprocessable",
})  # fmt: skip
"""Codes of lower floors that are told under a name of the protocol."""


def misfit(text: str) -> str:
    """A decoder's sentence about a field, bounded: what was sent is cut, the field's name stays."""
    what, at, field = text.rpartition(" - at ")
    return f"{what[:100]}{at}{field[:100]}"


class SignalingError(Exception):
    """Root of what `signaling` raises on purpose."""

    code: str = "internal"


class Problem(SignalingError):
    """The application says no; `reason` is a sentence that says how to mend it.

    `extra` members go to the wire as they are (`uses`, `terms_version`, `notice`).
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        retry_after_s: float | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code if code in CODES else ALIASES.get(code, "internal")
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.extra: Mapping[str, object] = extra or {}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code].status

    @property
    def title(self) -> str:
        """The code in a few words, the same for every instance."""
        return CODES[self.code].title

    def data(self) -> dict[str, object]:
        """The `data` member of a JSON-RPC error."""
        data: dict[str, object] = {"code": self.code, "reason": self.reason}
        if self.retry_after_s is not None:
            data["retry_after_s"] = self.retry_after_s
        return data | dict(self.extra)

    def document(self) -> dict[str, object]:
        """The body of an `application/problem+json` answer. Source: RFC 9457 section 3."""
        return {
            "type": f"urn:parley:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.reason,
        } | self.data()


def problem_of(error: BaseException) -> Problem | None:
    """The refusal behind an exception of a lower floor: anything whose class carries a known `code`.

    None for a fault, which the caller logs and tells as `internal`.
    """
    if isinstance(error, Problem):
        return error
    code = getattr(error, "code", None)
    if not isinstance(code, str) or ALIASES.get(code, code) not in CODES or code == "internal":
        return None
    reason = getattr(error, "reason", None)
    retry = getattr(error, "retry_after_s", None)
    extra = getattr(error, "extra", None)
    return Problem(
        code,
        reason if isinstance(reason, str) and reason else str(error) or CODES[ALIASES.get(code, code)].title,
        retry_after_s=float(retry) if isinstance(retry, (int, float)) else None,
        extra=extra if isinstance(extra, Mapping) else None,
    )
