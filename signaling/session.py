"""One WebSocket's protocol, without the WebSocket: what may be carried out when, and when it is over.

PURE: no I/O; time is an argument (seconds of any monotonic clock). The shell is `signaling/ws.py`.

    WAITING --join--> JOINING --joined--> JOINED --leave, removed, expired--> ENDED
       ^                 |                   (every state: malformed, flood, close --> ENDED)
       +----refused------+
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeGuard

import msgspec

from signaling.errors import CODES, Problem, misfit
from signaling.limits import Bucket, Rate
from signaling.messages import (
    METHODS,
    Answer,
    ErrorBody,
    Failure,
    Id,
    Join,
    Lane,
    Leave,
    Notification,
    Ping,
    Request,
)
from signaling.notify import Said
from signaling.wire import Encoding, WireError

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
APPLICATION_ERROR: Final = -32000


class CloseCode(Enum):
    """WebSocket close codes with their reasons (docs/protocol.md section 7)."""

    LEFT = (1000, "left")
    SHUTTING_DOWN = (1001, "shutting_down")
    WRONG_FRAME = (1003, "wrong_frame")
    MALFORMED = (1007, "malformed")
    TOO_LARGE = (1009, "too_large")
    INTERNAL = (1011, "internal")
    BAD_REQUESTS = (4400, "bad_requests")
    UNAUTHORIZED = (4401, "unauthorized")
    REMOVED = (4403, "removed")
    JOIN_TIMEOUT = (4408, "join_timeout")
    REPLACED = (4409, "replaced")
    ROOM_CLOSED = (4410, "room_closed")
    RATE_LIMITED = (4429, "rate_limited")
    SLOW_READER = (4430, "slow_reader")


class State(Enum):
    """Where a session stands."""

    WAITING = "waiting"
    JOINING = "joining"
    JOINED = "joined"
    ENDED = "ended"


_RATE: Final = Rate(per_s=40.0, burst=80.0)
_EXCESS: Final = Rate(per_s=5.0, burst=100.0)


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How much one session may ask for."""

    join_timeout_s: float = 5.0
    """From the upgrade until the join's arrival."""
    join_work_s: float = 20.0
    """From the join's arrival until it has succeeded, further attempts included."""
    rate: Rate = _RATE
    excess: Rate = _EXCESS
    """Requests beyond `rate` are refused at this rate; beyond both, the session ends."""
    bad_requests: int = 20
    in_flight: int = 32
    """Requests of one lane that may wait."""
    join_attempts: int = 3
    expiry_warning_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """Carry out a request, after the earlier ones of its lane; then `answer` or `refuse` its id."""

    lane: Lane
    id: Id
    request: Request


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; nothing follows."""

    code: CloseCode


Effect = Send | Call | Close

_ENDINGS: Final = {
    "replaced": CloseCode.REPLACED,
    "token_expired": CloseCode.UNAUTHORIZED,
    "shutting_down": CloseCode.SHUTTING_DOWN,
}


class Session:
    """The state of one WebSocket connection; see the module's drawing."""

    def __init__(self, encoding: Encoding, now: float, limits: SessionLimits | None = None) -> None:
        self.encoding = encoding
        self.state = State.WAITING
        self._limits = limits or SessionLimits()
        self._effects: deque[Effect] = deque()
        self._in_flight: dict[Id, Lane] = {}
        self._waiting = dict.fromkeys(Lane, 0)
        self._bad_requests = 0
        self._joins = 0
        self._bucket = Bucket.full(self._limits.rate, now)
        self._excess = Bucket.full(self._limits.excess, now)
        self._join_deadline: float | None = now + self._limits.join_timeout_s
        self._warn_at: float | None = None
        self._expires_at: float | None = None
        self._token_expires_at = 0

    # From the network.

    def receive(self, data: bytes, now: float, *, is_text: bool) -> None:
        """Take one WebSocket message."""
        if self.state is State.ENDED:
            return
        if is_text is not (self.encoding is Encoding.JSON):
            self._end(CloseCode.WRONG_FRAME)
            return
        try:
            value = self.encoding.decode(data)
        except WireError as error:
            self._fail(None, PARSE_ERROR, f"Not decodable: {error.reason}")
            self._end(CloseCode.MALFORMED)
            return
        self._request(value, now)

    def tick(self, now: float) -> None:
        """A deadline passed."""
        if self.state is State.ENDED:
            return
        if self._join_deadline is not None and now >= self._join_deadline:
            self._end(CloseCode.JOIN_TIMEOUT)
            return
        if self._expires_at is not None and now >= self._expires_at:
            self.removed("token_expired")
            return
        if self._warn_at is not None and now >= self._warn_at:
            self._warn_at = None
            self.notify("token_expiring", {"token_expires_at": self._token_expires_at})

    def deadline(self) -> float | None:
        """When to call `tick` next; None when nothing is pending."""
        return min(
            (at for at in (self._join_deadline, self._warn_at, self._expires_at) if at is not None),
            default=None,
        )

    def poll(self) -> Iterator[Effect]:
        """What to do now, in order."""
        while self._effects:
            yield self._effects.popleft()

    # From the room.

    def answer(self, request: Id, result: object) -> None:
        """A request succeeded."""
        lane = self._in_flight.pop(request, None)
        if lane is None or self.state is State.ENDED:
            return
        self._waiting[lane] -= 1
        self._send(Answer(request, result))

    def refuse(self, request: Id, problem: Problem) -> None:
        """A request was refused; a join that was refused for good ends the session."""
        lane = self._in_flight.pop(request, None)
        if lane is None or self.state is State.ENDED:
            return
        self._waiting[lane] -= 1
        if problem.code == "internal":
            self._fail(request, INTERNAL_ERROR, "Internal error", problem.data())
        else:
            self._fail(request, APPLICATION_ERROR, problem.title, problem.data())
        if self.state is State.JOINING:
            self.state = State.WAITING
            if problem.code == "unauthorized" or self._joins >= self._limits.join_attempts:
                self._end(CloseCode.UNAUTHORIZED)
            elif problem.code == "banned":
                self._end(CloseCode.REMOVED)

    def joined(
        self, request: Id, result: object, *, token_expires_at: int, lives_s: float, now: float
    ) -> None:
        """The join succeeded; `lives_s` is how long the token still lives."""
        if self.state is not State.JOINING:
            return
        self.state = State.JOINED
        self._join_deadline = None
        self.answer(request, result)
        self.renewed(token_expires_at=token_expires_at, lives_s=lives_s, now=now)

    def renewed(self, *, token_expires_at: int, lives_s: float, now: float) -> None:
        """Another token counts from now on."""
        self._token_expires_at = token_expires_at
        self._expires_at = now + max(0.0, lives_s)
        self._warn_at = self._expires_at - min(self._limits.expiry_warning_s, 0.2 * max(0.0, lives_s))

    def notify(self, method: str, params: object) -> None:
        """Something happened in the room."""
        if self.state is State.JOINED:
            self._send(Notification(method, params))

    def pass_on(self, said: Said) -> None:
        """Something happened that others are told in the same words."""
        if self.state is State.JOINED:
            self._effects.append(Send(said.encoded(self.encoding)))

    def left(self, request: Id) -> None:
        """The client's `leave` is done."""
        self.answer(request, {})
        self._end(CloseCode.LEFT)

    def removed(self, reason: str) -> None:
        """The room (or the token's end) removed this participant.

        A slow reader is not told: nobody wants it gone, and the code lets it resume.
        """
        if reason == "slow_reader":
            self._end(CloseCode.SLOW_READER)
            return
        self.notify("removed", {"reason": reason})
        self._end(_ENDINGS.get(reason, CloseCode.REMOVED))

    def room_closed(self, reason: str) -> None:
        """The room is gone."""
        self.notify("room_closed", {"reason": reason})
        self._end(CloseCode.ROOM_CLOSED)

    def end(self, code: CloseCode) -> None:
        """The shell ends it: a fault, a slow reader, a shutdown."""
        self._end(code)

    # Inside.

    def _request(self, value: object, now: float) -> None:
        if (
            not isinstance(value, dict)
            or value.get("jsonrpc") != "2.0"
            or not isinstance(value.get("method"), str)
        ):
            self._bad(None, INVALID_REQUEST, "Not a JSON-RPC 2.0 request")
            return
        request = value.get("id")
        if request is None or not _is_id(request):
            self._bad(
                None, INVALID_REQUEST, "A request has an integer or a string of at most 64 characters as id"
            )
            return
        if request in self._in_flight:
            self._bad(request, INVALID_REQUEST, "A request with this id is still being answered")
            return
        if not self._within_rate(request, now):
            return
        found = METHODS.get(value["method"])
        if found is None:
            self._bad(request, METHOD_NOT_FOUND, "No such method")
            return
        kind, lane = found
        try:
            params = msgspec.convert(value.get("params", {}), kind, strict=True)
        except (msgspec.ValidationError, RecursionError) as error:
            self._bad(request, INVALID_PARAMS, misfit(str(error)))
            return
        self._admit(request, lane, params, now)

    def _admit(self, request: Id, lane: Lane, params: Request, now: float) -> None:
        problem = self._out_of_place(params)
        if problem is None and self._waiting[lane] >= self._limits.in_flight:
            problem = Problem("rate_limited", "Wait for answers before asking more", retry_after_s=1.0)
        if problem is not None:
            self._fail(request, APPLICATION_ERROR, problem.title, problem.data())
            return
        if isinstance(params, Join):
            self.state = State.JOINING
            self._joins += 1
            if self._joins == 1:
                self._join_deadline = now + self._limits.join_work_s
        self._in_flight[request] = lane
        self._waiting[lane] += 1
        self._effects.append(Call(lane, request, params))

    def _out_of_place(self, params: Request) -> Problem | None:
        if isinstance(params, Ping):
            return None
        if isinstance(params, Join):
            if self.state is State.WAITING:
                return None
            return Problem("conflict", "This connection has joined, or is joining: open another one")
        if self.state is State.JOINED or isinstance(params, Leave):
            return None
        return Problem("unauthorized", "Join first")

    def _within_rate(self, request: Id, now: float) -> bool:
        wait = self._bucket.take(now)
        if wait <= 0.0:
            return True
        if self._excess.take(now) > 0.0:
            self._end(CloseCode.RATE_LIMITED)
            return False
        problem = Problem("rate_limited", "Send fewer requests", retry_after_s=round(wait, 3))
        self._fail(request, APPLICATION_ERROR, problem.title, problem.data())
        return False

    def _bad(self, request: Id | None, code: int, message: str) -> None:
        self._bad_requests += 1
        self._fail(request, code, message)
        if self._bad_requests >= self._limits.bad_requests:
            self._end(CloseCode.BAD_REQUESTS)

    def _fail(
        self, request: Id | None, code: int, message: str, data: dict[str, object] | None = None
    ) -> None:
        self._send(Failure(request, ErrorBody(code, message, data)))

    def _send(self, message: Answer | Failure | Notification) -> None:
        if self.state is not State.ENDED:
            self._effects.append(Send(self.encoding.encode(message)))

    def _end(self, code: CloseCode) -> None:
        if self.state is State.ENDED:
            return
        self._effects.append(Close(code))
        self.state = State.ENDED
        self._join_deadline = self._warn_at = self._expires_at = None


def _is_id(value: object) -> TypeGuard[Id]:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and len(value) <= 64)


def internal(reference: str) -> Problem:
    """A fault, told by the reference under which it was logged."""
    return Problem("internal", CODES["internal"].title, extra={"reference": reference})
