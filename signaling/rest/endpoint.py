"""One REST endpoint as data: the table makes the routes and the OpenAPI document from it."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, TypeVar, Unpack

from aiohttp import web
from msgspec import Struct

from policy import NameRefused, Permission, normalize_room
from signaling.context import Context, context_of, json_response, read_json
from signaling.errors import Problem
from signaling.tokens import Claims

BASE: Final = "/api/v1"
MAX_PAGE: Final = 200
DEFAULT_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter."""

    name: str
    description: str
    is_integer: bool = False


PAGING: Final = (
    Query("limit", "Items to return: 1 to 200, default 50", is_integer=True),
    Query("after", "Cursor: `next` of the page before"),
)


@dataclass(slots=True)
class Call:
    """One request to an endpoint, authorised as far as the endpoint says."""

    request: web.Request
    context: Context
    claims: Claims | None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    """Headers for the answer."""

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    def room_part(self) -> str:
        """The room that the path names.

        Raises:
            Problem: `forbidden`: a name that no room can have is told like a room that the token does not
            open.
        """
        try:
            return normalize_room(self.part("room"))
        except NameRefused as error:
            raise forbidden() from error

    def query(self, name: str) -> str | None:
        """A query parameter, or None."""
        return self.request.query.get(name)

    def limit(self) -> int:
        """How many items the caller wants.

        Raises:
            Problem: `unprocessable`.
        """
        return self.integer("limit", DEFAULT_PAGE, 1, MAX_PAGE)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A query parameter that is a number.

        Raises:
            Problem: `unprocessable`.
        """
        text = self.query(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 12 and low <= int(text) <= high):
            raise Problem("unprocessable", f"{name} is a number from {low} to {high}")
        return int(text)

    def require(self, permission: Permission, room: str) -> Claims:
        """Refuse a token without `permission` for `room`, decided by the token alone.

        Raises:
            Problem: `forbidden`.
        """
        claims = self.claims
        if claims is None or not claims.opens(room) or not claims.allows(permission):
            raise forbidden()
        return claims

    def require_any(self, *permissions: Permission) -> Claims:
        """Refuse a token with none of `permissions`.

        Raises:
            Problem: `forbidden`.
        """
        claims = self.claims
        if claims is None or not any(claims.allows(permission) for permission in permissions):
            raise forbidden()
        return claims

    def is_admin(self) -> bool:
        """Whether the caller may do everything."""
        return self.claims is not None and self.claims.allows(Permission.ADMIN)

    def own_room(self) -> str | None:
        """The room that bounds what the caller sees; None for `admin`, who sees all."""
        if self.is_admin():
            return None
        room = None if self.claims is None else self.claims.room
        if room is None:
            raise forbidden()
        return room


def forbidden() -> Problem:
    """The one refusal for a room, or a thing of a room, that the token does not open."""
    return Problem("forbidden", "The token does not open this room for that")


Handler = Callable[[Call], Awaitable[object]]
HandlerT = TypeVar("HandlerT", bound=Handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation.

    `permissions`: any of them suffices (with `admin`); empty for everyone, even without a token.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    permissions: tuple[Permission, ...] = (Permission.ADMIN,)
    body: type[Struct] | None = None
    result: type[Struct] | None = None
    status: int = 200
    queries: tuple[Query, ...] = ()
    is_public: bool = False
    media_type: str = "application/json"
    problems: tuple[str, ...] = ()
    """Codes beside the ones that every endpoint has."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authorise, read the body, carry out, answer."""
        context = context_of(request)
        call = Call(request, context, None)
        if not self.is_public:
            call.claims = context.claims(request)
            call.require_any(Permission.ADMIN, *self.permissions)
        if self.body is not None:
            call.body = await read_json(request, self.body)
        result = await self.handler(call)
        if isinstance(result, web.StreamResponse):
            return result
        if self.result is None:
            return web.Response(status=self.status, headers=call.headers)
        return json_response(result, status=self.status, headers=call.headers)


class Traits(TypedDict, total=False):
    """What an operation may say of itself, see `Endpoint`."""

    permissions: tuple[Permission, ...]
    body: type[Struct]
    status: int
    queries: tuple[Query, ...]
    is_public: bool
    media_type: str
    problems: tuple[str, ...]


class Operations:
    """The operations of one part of the API, each declared at its handler and listed in that order.

    An operation answers with what its handler returns, with 204 when that is None. `permissions` and
    `problems` hold for each that says nothing else.
    """

    def __init__(
        self,
        *,
        permissions: tuple[Permission, ...] = (Permission.ADMIN,),
        problems: tuple[str, ...] = (),
    ) -> None:
        self.endpoints: list[Endpoint] = []
        self._common: Traits = {"permissions": permissions, "problems": problems}

    def __call__(
        self, method: str, path: str, name: str, summary: str, **traits: Unpack[Traits]
    ) -> Callable[[HandlerT], HandlerT]:
        """Declare one at its handler."""

        def declare(handler: HandlerT) -> HandlerT:
            answer = inspect.signature(handler).return_annotation
            common: Traits = {**self._common, "status": 204} if answer is None else self._common
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    name=name,
                    summary=summary,
                    handler=handler,
                    result=answer if isinstance(answer, type) and issubclass(answer, Struct) else None,
                    **(common | traits),
                )
            )
            return handler

        return declare
