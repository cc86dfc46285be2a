"""Takedown notices: a withdrawal is told to every partner that received the person, until it is acknowledged.

A notice names broadcasts, destinations and time spans, never the person. It is signed with the installation's
key, posted to the partner's takedown address, and tried again for a month. The partner acknowledges with the
notice's own code: in its answer, or later by a call of its own.
"""

import asyncio
import base64
import hmac
import ssl
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media.tasks import TaskScope
from rebroadcast.clock import Clock
from rebroadcast.errors import BroadcastConflict, BroadcastNotFound
from rebroadcast.spread import Copy, Spread
from rebroadcast.url_policy import DestinationRefused, UrlPolicy
from rooms import RoomService, Withdrawal
from store import Conflict, NotFound, Store, StoreError, TakedownRow, TakedownState

log = structlog.get_logger("rebroadcast")

FIRST_RETRY_MS: Final = 60_000
LAST_RETRY_MS: Final = 24 * 3_600_000
GIVE_UP_MS: Final = 30 * 24 * 3_600_000
TIMEOUT_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 4_096
SIGNATURE: Final = "Parley-Signature"
_LOOK_S: Final = 60.0
_WITHDRAWALS_AGAIN_S: Final = 5.0


class Part(msgspec.Struct, frozen=True):
    """One span of a broadcast at one destination."""

    broadcast: str
    destination: str
    kind: str
    begins: str
    ends: str | None


class Notice(msgspec.Struct, frozen=True):
    """What a partner is asked. Times are in UTC."""

    notice: str
    site: str
    written: str
    request: str
    parts: list[Part]
    code: str
    """With this the partner says that it is done."""


class Answer(msgspec.Struct, frozen=True):
    """What of a partner's answer is read."""

    acknowledged: str = ""


def acknowledgement(answer: bytes) -> str:
    """The code that a partner's answer acknowledges with; empty when there is none.

    The partner took the notice all the same, and will acknowledge by a call of its own.
    """
    try:
        return msgspec.json.decode(answer, type=Answer).acknowledged
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


class Takedowns:
    """Writes, delivers and tracks notices. Belongs to the event loop."""

    def __init__(
        self, rooms: RoomService, store: Store, policy: UrlPolicy, clock: Clock, *, ca_file: str = ""
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._policy = policy
        self._clock = clock
        self._ca_file = ca_file
        self._spread = Spread(store)
        self._key = Ed25519PrivateKey.from_private_bytes(store.derive_key("takedown-signing"))
        self._code_key = store.derive_key("takedown-code")
        self._scope = TaskScope("takedowns")
        self._wake = asyncio.Event()

    @property
    def public_key(self) -> str:
        """What partners verify notices with: an Ed25519 key in base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    async def open(self) -> None:
        """Begins to follow withdrawals and to deliver."""
        await self._scope.open()
        self._scope.start(self._follow(), "withdrawals")
        self._scope.start(self._deliver(), "notices")

    async def close(self) -> None:
        """Stops; what waits is delivered after the next start."""
        await self._scope.close()

    async def copies(self, person: str, *, room: str | None = None) -> list[Copy]:
        """Every destination that may have received something of a person, oldest first."""
        return await self._spread.of(person, room=room)

    async def notices(self, *, person: str | None = None) -> list[TakedownRow]:
        """The newest notices, of one person when given."""
        return list(await self._store.takedowns.all(person=person))

    async def acknowledge(self, notice: str, code: str) -> TakedownRow:
        """A partner says that it carried a notice out; once more is fine.

        Raises:
            BroadcastNotFound: no such notice, or another code.
        """
        try:
            row = await self._store.takedowns.get(notice)
        except NotFound as error:
            raise BroadcastNotFound("there is no such notice with that code") from error
        if not hmac.compare_digest(self._code(notice).encode(), code.encode(errors="surrogatepass")):
            raise BroadcastNotFound("there is no such notice with that code")
        if row.state is TakedownState.ACKNOWLEDGED:
            return row
        return await self._acknowledged(row)

    async def retry(self, notice: str) -> TakedownRow:
        """Tries one again now.

        Raises:
            BroadcastNotFound: there is none; BroadcastConflict: it is acknowledged already.
        """
        try:
            row = await self._store.takedowns.get(notice)
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error
        if row.state is TakedownState.ACKNOWLEDGED:
            raise BroadcastConflict("the partner has acknowledged this notice already")
        changed = await self._store.takedowns.change(
            notice, state=TakedownState.PENDING, attempts=row.attempts, next_at_ms=self._clock.wall_ms()
        )
        self._wake.set()
        return changed

    async def readdressed(self, partner: str) -> None:
        """A partner takes notices at another address: what could not be delivered is sent there now."""
        await self._store.takedowns.readdress(partner)
        self._wake.set()

    async def _follow(self) -> None:
        """Write what withdrawals ask for; after a failure of the store all again, and nothing twice."""
        while True:
            try:
                async for withdrawals in self._rooms.withdrawals.follow():
                    for withdrawal in withdrawals:
                        await self._write(withdrawal)
                    self._wake.set()
            except StoreError as error:
                log.warning("takedowns_not_written", code=error.code)
                await self._clock.sleep(_WITHDRAWALS_AGAIN_S)
            else:
                return

    async def _write(self, withdrawal: Withdrawal) -> None:
        """A notice for every partner that received the person; what was written before is left as it is.

        A withdrawal from one recording concerns its replays alone.
        """
        spread = await self._spread.of(withdrawal.person, room=withdrawal.room or None)
        copies = [copy for copy in spread if withdrawal.recording in {"", copy.recording}]
        for partner in sorted({copy.partner for copy in copies if copy.partner}):
            parts = [
                copy
                for copy in copies
                if copy.partner == partner and copy.kind != "hls" and copy.from_ms < withdrawal.at_ms
            ]
            # HLS was played from this server: the partner holds no copy of it.
            if parts:
                await self._keep(withdrawal, partner, parts)

    async def _keep(self, withdrawal: Withdrawal, partner: str, copies: list[Copy]) -> None:
        reason = ""
        try:
            await self._address(partner)
        except _Unreachable as error:
            reason = str(error)
        notice = self._store.takedowns.new_id()
        body = Notice(
            notice=notice,
            site=copies[-1].site,
            written=_utc(self._clock.wall_ms()),
            request="remove what you keep of these parts: somebody in them has withdrawn their consent",
            parts=[
                Part(
                    copy.broadcast,
                    copy.destination,
                    copy.kind,
                    _utc(copy.from_ms),
                    _utc(min(copy.until_ms or withdrawal.at_ms, withdrawal.at_ms)),
                )
                for copy in copies
            ],
            code=self._code(notice),
        )
        try:
            await self._store.takedowns.add(
                notice=notice,
                partner=partner,
                person=withdrawal.person,
                withdrawn_at_ms=withdrawal.at_ms,
                body=msgspec.json.encode(body).decode(),
                state=TakedownState.UNDELIVERABLE if reason else TakedownState.PENDING,
                reason=reason,
            )
        except Conflict:
            return  # written before
        if reason:
            log.warning("takedown_undeliverable", reason=reason)

    async def _address(self, partner: str) -> str:
        """Where a partner takes notices. Raises: _Unreachable; StoreUnavailable."""
        try:
            url = (await self._store.partners.get(partner)).takedown_url
        except NotFound as error:
            raise _Unreachable("the partner is not registered any more") from error
        if not url:
            raise _Unreachable("the partner names no address for notices")
        return url

    async def _deliver(self) -> None:
        while True:
            self._wake.clear()
            now_ms = self._clock.wall_ms()
            try:
                waiting = await self._store.takedowns.pending()
                for row in [row for row in waiting if row.next_at_ms <= now_ms]:
                    await self._attempt(row)
            except StoreError as error:
                log.warning("takedowns_not_read", code=error.code)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _attempt(self, row: TakedownRow) -> None:
        try:
            acknowledged = await self._post(await self._address(row.partner), row.body)
        except _Unreachable as error:
            await self._failed(row, str(error), for_good=True)
        except DestinationRefused as error:
            await self._failed(row, str(error))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            await self._failed(row, f"no answer: {type(error).__name__}")
        except _Refused as error:
            await self._failed(row, str(error))
        else:
            if hmac.compare_digest(acknowledged.encode(), self._code(row.id).encode()):
                await self._acknowledged(row)
            else:
                await self._change(row, TakedownState.DELIVERED)

    async def _post(self, url: str, body: str) -> str:
        """Posts a notice to a judged address; the code that the answer acknowledges with, or nothing."""
        approved = await self._policy.resolve(url)
        parts = urlsplit(url)
        host = approved[0].ip
        netloc = f"[{host}]:{approved[0].port}" if ":" in host else f"{host}:{approved[0].port}"
        tls = ssl.create_default_context()
        if self._ca_file:
            tls.load_verify_locations(self._ca_file)
        headers = {
            "Content-Type": "application/json",
            "Host": parts.netloc,
            SIGNATURE: f"ed25519={base64.b64encode(self._key.sign(body.encode())).decode()}",
        }
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.post(
                parts._replace(netloc=netloc).geturl(),
                data=body.encode(),
                headers=headers,
                ssl=tls,
                server_hostname=parts.hostname if parts.scheme == "https" else None,
                allow_redirects=False,
            ) as response,
        ):
            if not 200 <= response.status < 300:
                raise _Refused(f"the partner answered HTTP {response.status}")
            answer = await response.content.read(ANSWER_MAX_BYTES)
        return acknowledgement(answer)

    async def _failed(self, row: TakedownRow, reason: str, *, for_good: bool = False) -> None:
        log.warning("takedown_not_delivered", reason=reason, count=row.attempts + 1)
        is_over = for_good or self._clock.wall_ms() - row.created_at_ms > GIVE_UP_MS
        await self._change(
            row, TakedownState.UNDELIVERABLE if is_over else TakedownState.PENDING, reason=reason
        )

    async def _acknowledged(self, row: TakedownRow) -> TakedownRow:
        return await self._change(row, TakedownState.ACKNOWLEDGED, answered_at_ms=self._clock.wall_ms())

    async def _change(
        self, row: TakedownRow, state: TakedownState, *, reason: str = "", answered_at_ms: int | None = None
    ) -> TakedownRow:
        wait_ms = min(FIRST_RETRY_MS << min(row.attempts, 16), LAST_RETRY_MS)
        return await self._store.takedowns.change(
            row.id,
            state=state,
            attempts=row.attempts + 1,
            next_at_ms=self._clock.wall_ms() + wait_ms,
            reason=reason,
            answered_at_ms=answered_at_ms,
        )

    def _code(self, notice: str) -> str:
        return hmac.new(self._code_key, notice.encode(), "sha256").hexdigest()[:40]


class _Unreachable(Exception):
    """There is no address to post a partner's notices to: somebody must write to it."""


class _Refused(Exception):
    """The partner's server did not take a notice."""


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
