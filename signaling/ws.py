"""The WebSocket `/v1/rtc`: a thin shell around `session.Session`."""

import asyncio
import secrets
import time
from collections.abc import Collection
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from rooms import Participant, Removed, RevocationDone, RoomClosed, SubscribeOfferReady
from signaling.actions import act
from signaling.admission import join_request, join_result
from signaling.context import Context, client_address, context_of, origin_allowed
from signaling.errors import Problem
from signaling.limits import address_key
from signaling.messages import Join, Lane, Leave, Ping, Renew
from signaling.notify import Said
from signaling.outbox import Outbox
from signaling.patience import Patience
from signaling.session import Call, Close, CloseCode, Send, Session, State, internal
from signaling.tokens import Claims
from signaling.views import offer_view, refusal
from signaling.wire import MAX_MESSAGE_BYTES, SUBPROTOCOLS, Encoding

_CLOSE_S: Final = 2.0
"""Time for the last messages and the close handshake; then the socket is cut."""

_log = structlog.get_logger("signaling.ws")


class Connections:
    """The open WebSocket connections, for draining; at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._open)

    def is_full(self) -> bool:
        """Whether another one would be too many."""
        return len(self._open) >= self._limit

    def add(self, connection: "Connection") -> None:
        """Count a connection in."""
        self._open.add(connection)

    def discard(self, connection: "Connection") -> None:
        """Count a connection out."""
        self._open.discard(connection)

    def end_of_keys(self, keys: Collection[str]) -> None:
        """End the stay of everyone whose token is of one of these keys, as at the token's end."""
        for connection in tuple(self._open):
            connection.end_of_keys(keys)

    def go_away(self, reconnect_after_s: float) -> None:
        """Tell everyone that the server will close, and close."""
        for connection in tuple(self._open):
            connection.go_away(reconnect_after_s)


CONNECTIONS: Final = web.AppKey("connections", Connections)


async def serve(request: web.Request) -> web.StreamResponse:
    """`GET /v1/rtc`."""
    context = context_of(request)
    connections = request.config_dict[CONNECTIONS]
    if not origin_allowed(request, context.config):
        raise Problem(
            "forbidden", "Pages of this origin may not connect: the operator lists the allowed ones"
        )
    offered = {name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")}
    if offered.isdisjoint(SUBPROTOCOLS):
        raise Problem("invalid_request", f"Offer one of the subprotocols {', '.join(SUBPROTOCOLS)}")
    context.join_allowed(request)
    if connections.is_full():
        context.metrics.limited.labels("sockets").inc()
        raise Problem("rate_limited", "Too many connections to this server", retry_after_s=10)
    # No permessage-deflate: it costs hundreds of KiB for each connection and lets a few bytes become
    # millions.
    socket = web.WebSocketResponse(
        protocols=SUBPROTOCOLS,
        heartbeat=context.config.ping_s,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,
        autoping=True,
        timeout=_CLOSE_S,
        decode_text=False,
    )
    await socket.prepare(request)
    encoding = Encoding(socket.ws_protocol)
    connection = Connection(context, socket, encoding, client_address(request, context.config), request)
    connections.add(connection)
    context.metrics.sockets.inc()
    try:
        await connection.run()
    finally:
        connections.discard(connection)
        context.metrics.sockets.dec()
    return socket


class Connection:
    """One WebSocket: reads, writes, keeps time and carries out calls, all in tasks of its own group."""

    def __init__(
        self,
        context: Context,
        socket: web.WebSocketResponse[bool],
        encoding: Encoding,
        address: str,
        request: web.Request,
    ) -> None:
        self._context = context
        self._socket = socket
        self._address = address
        self._request = request
        self._session = Session(encoding, time.monotonic(), context.config.session)
        self._outbox = Outbox(context.config.outbox_messages, context.config.outbox_bytes)
        # One slot more than the session admits: the last one is for the end mark.
        slots = context.config.session.in_flight + 1
        self._lanes: dict[Lane, asyncio.Queue[Call | None]] = {lane: asyncio.Queue(slots) for lane in Lane}
        self._over = asyncio.Event()
        self._changed = asyncio.Event()
        self._close: CloseCode | None = None
        self._participant: Participant | None = None
        self._is_leaving = False
        self._claims: Claims | None = None
        self._group: asyncio.TaskGroup | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._log = _log

    async def run(self) -> None:
        """Serve until either side is done; returns when everything is cleaned up."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                helpers = [
                    group.create_task(work) for work in (self._read(), self._write(), self._keep_time())
                ]
                lanes = [group.create_task(self._work(lane)) for lane in Lane]
                await self._over.wait()
                await self._leave_room()
                await self._finish_calls(lanes)
                await self._close_socket()
                for task in (*helpers, *self._pumps):
                    task.cancel()
        finally:
            self._outbox.discard()

    def end_of_keys(self, keys: Collection[str]) -> None:
        """These keys serve no more: if the token is of one of them, it has ended."""
        if self._claims is not None and self._claims.key in keys:
            self._session.removed("token_expired")
            self._carry_out()

    def go_away(self, reconnect_after_s: float) -> None:
        """The server closes: say so, and end."""
        self._session.notify("goaway", {"reason": "shutting_down", "reconnect_after_s": reconnect_after_s})
        self._session.end(CloseCode.SHUTTING_DOWN)
        self._carry_out()

    # Tasks.

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    break
                is_text = message.type is WSMsgType.TEXT
                self._session.receive(bytes(message.data), time.monotonic(), is_text=is_text)
                self._carry_out()
                if self._session.state is State.ENDED:
                    break
        finally:
            self._over.set()

    async def _write(self) -> None:
        kind = WSMsgType.TEXT if self._session.encoding is Encoding.JSON else WSMsgType.BINARY
        # A reader that takes nothing for so long is as slow as one whose queue is full.
        patience = Patience(self._context.config.call_timeout_s, self._slow_reader)
        try:
            while (message := await self._outbox.get()) is not None:
                patience.begin()
                await self._socket.send_frame(message, kind)
                patience.end()
        except (ConnectionError, RuntimeError):
            # The socket closed between two messages; the reader notices too.
            self._over.set()
        finally:
            patience.close()

    async def _keep_time(self) -> None:
        while True:
            self._changed.clear()
            deadline = self._session.deadline()
            try:
                async with asyncio.timeout(
                    None if deadline is None else max(0.0, deadline - time.monotonic())
                ):
                    await self._changed.wait()
            except TimeoutError:
                self._session.tick(time.monotonic())
                self._carry_out()

    async def _work(self, lane: Lane) -> None:
        while (call := await self._lanes[lane].get()) is not None:
            started = time.monotonic()
            result = await self._call(call)
            method = type(call.request).__name__.lower()
            self._context.metrics.calls.labels(method, result).inc()
            if isinstance(call.request, Join):
                self._context.metrics.joins.labels(result).inc()
                self._context.metrics.join_seconds.observe(time.monotonic() - started)
            self._carry_out()

    async def _pump(self, participant: Participant) -> None:
        """Pass room events on until the participant's mailbox ends."""
        async for event in participant.events:
            try:
                told = self._context.wording.of(event)
                if isinstance(told, Said):
                    self._session.pass_on(told)
                elif isinstance(told, SubscribeOfferReady):
                    await self._offer(participant)
                elif isinstance(told, RevocationDone):
                    self._context.metrics.revocation_seconds.observe(told.latency_ms / 1000)
                elif isinstance(told, Removed):
                    # The room's echo of the client's own `leave`, whose answer comes first.
                    if not self._is_leaving:
                        self._session.removed(told.reason)
                elif isinstance(told, RoomClosed):
                    self._session.room_closed(told.reason)
            except Exception as error:  # noqa: BLE001 - one peer's fault ends that peer only
                self._fault("event", error)
                self._session.end(CloseCode.INTERNAL)
            self._carry_out()
            if self._session.state is State.ENDED:
                return

    # What tasks do.

    async def _offer(self, participant: Participant) -> None:
        try:
            offer = await participant.next_offer()
        except Exception as error:
            if refusal(error) is None:
                raise
            return
        if offer is not None:
            self._session.notify("subscribe_offer", offer_view(offer))

    async def _call(self, call: Call) -> str:
        """Carry out one call; returns `ok`, or the code of its refusal."""
        try:
            async with asyncio.timeout(self._context.config.call_timeout_s):
                await self._answer(call)
        except TimeoutError as error:
            problem = internal(self._fault(type(call.request).__name__, error))
        except Exception as error:  # noqa: BLE001 - a request's fault is told to its sender, and ends nothing else
            problem = refusal(error) or internal(self._fault(type(call.request).__name__, error))
        else:
            return "ok"
        self._session.refuse(call.id, problem)
        return problem.code

    async def _answer(self, call: Call) -> None:
        match call.request:
            case Join():
                await self._join(call, call.request)
            case Ping():
                self._session.answer(call.id, {"now_ms": time.time_ns() // 1_000_000})
            case Leave():
                if self._participant is not None:
                    self._is_leaving = True
                    await self._participant.leave("left")
                    self._participant = None
                self._session.left(call.id)
            case Renew():
                await self._renew(call, call.request)
            case other:
                self._session.answer(call.id, await act(self._context, self._joined(), other))

    def _joined(self) -> Participant:
        if self._participant is None:
            raise Problem("unauthorized", "Join first")
        return self._participant

    async def _join(self, call: Call, request: Join) -> None:
        address, revision = address_key(self._address), self._context.services.keys.revision
        claims = self._context.accept(request.token, address)
        if claims.room is None:
            raise Problem("forbidden", "The token names no room to join")
        if claims.is_external:
            raise Problem("forbidden", "A token for viewers outside the room opens WHEP only")
        participant = await self._context.services.rooms.join(
            join_request(self._context, self._address, request, claims, claims.room)
        )
        if self._context.services.keys.revision != revision:
            # Its key may have gone while the room was asked, when nobody knew whose this connection is.
            await self._still_accepted(request.token, address, participant)
        self._participant, self._claims = participant, claims
        self._log = _log.bind(room=participant.room.name, participant=participant.id)
        now = time.time()
        result, later = join_result(self._context, participant, claims)
        self._session.joined(
            call.id,
            result,
            token_expires_at=claims.expires_at,
            lives_s=claims.expires_at - now,
            now=time.monotonic(),
        )
        for notice in later:
            self._session.notify("notice", notice)
        self._changed.set()
        if self._group is not None and not self._over.is_set():
            self._pumps.append(self._group.create_task(self._pump(participant)))

    async def _still_accepted(self, token: str, address: str, participant: Participant) -> None:
        try:
            self._context.accept(token, address)
        except Problem:
            await participant.leave("token_expired")
            raise

    async def _renew(self, call: Call, request: Renew) -> None:
        participant, old = self._joined(), self._claims
        address, revision = address_key(self._address), self._context.services.keys.revision
        claims = self._context.accept(request.token, address)
        if old is None or (claims.room, claims.identity) != (old.room, old.identity) or claims.is_external:
            raise Problem("forbidden", "Renew with a token of the same room and identity")
        await participant.renew(claims.expires_at * 1000, claims.permissions)
        if self._context.services.keys.revision != revision:
            await self._still_accepted(request.token, address, participant)
        self._claims = claims
        self._session.renewed(
            token_expires_at=claims.expires_at, lives_s=claims.expires_at - time.time(), now=time.monotonic()
        )
        self._changed.set()
        permissions = sorted(str(permission) for permission in participant.permissions)
        self._session.answer(call.id, {"token_expires_at": claims.expires_at, "permissions": permissions})

    def _carry_out(self) -> None:
        """Do what the session wants done."""
        for effect in self._session.poll():
            match effect:
                case Send():
                    if not self._outbox.put(effect.data):
                        self._slow_reader()
                case Call():
                    self._lanes[effect.lane].put_nowait(effect)
                case Close():
                    if self._close is None:
                        self._close = effect.code
                    self._outbox.close()
                    self._over.set()

    def _slow_reader(self) -> None:
        if self._close is None:
            self._close = CloseCode.SLOW_READER
        self._session.end(CloseCode.SLOW_READER)
        self._outbox.discard()
        self._over.set()

    # The end.

    async def _leave_room(self) -> None:
        """Signalling is gone: the room suspends or removes the participant, whichever fits the reason."""
        participant = self._participant
        if participant is None or self._close in {
            CloseCode.REMOVED,
            CloseCode.REPLACED,
            CloseCode.ROOM_CLOSED,
        }:
            return
        try:
            if self._close is CloseCode.UNAUTHORIZED:
                await participant.leave("token_expired")
            else:
                await participant.suspend()
        except Exception as error:  # noqa: BLE001 - the connection still has to be cleaned up
            self._fault("suspend", error)

    async def _finish_calls(self, lanes: list[asyncio.Task[None]]) -> None:
        """Let the calls that run come to their end (each is bounded in time); those that wait are dropped."""
        for queue in self._lanes.values():
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)
        had_joined = self._participant is not None
        await asyncio.wait(lanes)
        if not had_joined and self._participant is not None:
            await self._leave_room()

    async def _close_socket(self) -> None:
        code = self._close
        if code is None:
            self._context.metrics.closes.labels("by_client").inc()
            self._log.info("websocket_closed", reason="by_client", code=self._socket.close_code)
            return
        self._context.metrics.closes.labels(code.value[1]).inc()
        self._log.info("websocket_closed", reason=code.value[1], code=code.value[0])
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._outbox.drained()
                await self._socket.close(code=code.value[0], message=code.value[1].encode())
        except (TimeoutError, ConnectionError, RuntimeError):
            pass
        # What the kernel and the transport still hold for a reader that does not read must not stay.
        transport = self._request.transport
        if transport is not None and (code is CloseCode.SLOW_READER or not self._socket.closed):
            transport.abort()

    def _fault(self, place: str, error: BaseException) -> str:
        """Log a fault; returns the reference that the client is given."""
        reference = secrets.token_hex(6)
        self._context.metrics.faults.labels(place.lower()).inc()
        self._log.error("request_failed", reason=place.lower(), reference=reference, exc_info=error)
        return reference
