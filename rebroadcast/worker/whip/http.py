"""The HTTP side of a WHIP publish: to judged addresses only, no redirects, bounded answers.

Source: RFC 9725 sections 4.2 (publish), 4.4 (end).
"""

import asyncio
import errno
import ipaddress
import re
import socket
import ssl
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from rebroadcast.worker.link import Address, LinkError

TIMEOUT_S: Final = 10.0
ASK_TIMEOUT_S: Final = 1.0
ANSWER_MAX_BYTES: Final = 64 * 1024
_END_S: Final = 1.0
_REFUSED: Final = 0
_GONE: Final = frozenset({404, 410})
_CREDENTIAL: Final = re.compile(r"^a=ice-(?:ufrag|pwd):\S+", re.MULTILINE)
_SECTION: Final = re.compile(r"^m=\S+ \d+ \S+ .*?^a=mid:\S+", re.MULTILINE | re.DOTALL)


class WhipResource:
    """One publish at an endpoint. `publish`, then `end`."""

    def __init__(self, url: str, token: str, address: Address, tls: ssl.SSLContext) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A kept connection would tell of the server before a restart.
        connector = aiohttp.TCPConnector(resolver=_Judged(address), ssl=tls, force_close=True)
        self._http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._resource: str | None = None
        self._etag = ""
        self._fragment = b""
        self._tells_gone = False

    async def publish(self, offer: str) -> str:
        """The endpoint's answer to an offer.

        Raises:
            LinkError: no connection, or a refusal; with what the endpoint says, and no secret.
        """
        headers = {**self._headers, "Content-Type": "application/sdp", "Accept": "application/sdp"}
        try:
            async with self._http.post(
                self._url, data=offer.encode(), headers=headers, allow_redirects=False
            ) as response:
                if response.status != 201:
                    raise LinkError(f"the site refused the publish: HTTP {response.status} {response.reason}")
                self._resource = self._own(response.headers.get("Location", ""))
                self._etag = response.headers.get("ETag", "")
                body = await response.content.read(ANSWER_MAX_BYTES + 1)
                while len(body) <= ANSWER_MAX_BYTES and not response.content.at_eof():
                    body += await response.content.read(ANSWER_MAX_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise LinkError(f"no WHIP publish: {type(error).__name__}") from error
        self._fragment = _last_fragment(offer).encode()
        if len(body) > ANSWER_MAX_BYTES:
            raise LinkError("the site's answer is too long")
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise LinkError("the site's answer is no SDP") from error

    async def learn(self) -> None:
        """Find out, while the publish stands, whether the endpoint would tell that one is no more."""
        status = await self._ask()
        self._tells_gone = status is not None and status not in _GONE

    async def is_gone(self) -> bool:
        """Whether nobody listens there any more, or the endpoint does not know the publish.

        No answer says nothing.
        """
        status = await self._ask()
        return status == _REFUSED or (self._tells_gone and status in _GONE)

    async def _ask(self) -> int | None:
        """The status of the answer to the end of our candidates, `_REFUSED`, or None without an answer.

        Source: RFC 9725 section 4.3.2; RFC 8840 section 9.
        """
        if self._resource is None:
            return None
        headers = {**self._headers, "Content-Type": "application/trickle-ice-sdpfrag"}
        if self._etag:
            headers["If-Match"] = self._etag
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                request = self._http.patch(
                    self._resource, data=self._fragment, headers=headers, allow_redirects=False
                )
                async with request as response:
                    return response.status
        except aiohttp.ClientConnectorError as error:
            return _REFUSED if error.errno == errno.ECONNREFUSED else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def end(self, *, is_polite: bool) -> None:
        """Deletes the resource when that need be, and closes."""
        if is_polite and self._resource is not None:
            try:
                async with asyncio.timeout(_END_S):
                    request = self._http.delete(self._resource, headers=self._headers, allow_redirects=False)
                    async with request:
                        pass
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # the media ends without it
        self._resource = None
        await self._http.close()

    def _own(self, location: str) -> str | None:
        """The resource's URL, when it is on the endpoint's own origin: no other is called."""
        resource = urljoin(self._url, location)
        here, there = urlsplit(self._url), urlsplit(resource)
        is_own = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return resource if location and is_own else None


def _last_fragment(offer: str) -> str:
    """What says of the first section that no candidate of ours comes any more."""
    section = _SECTION.search(offer)
    lines = list(dict.fromkeys(_CREDENTIAL.findall(offer)))[:2]
    if section is not None:
        media, *_, mid = section[0].splitlines()
        lines += [media, mid]
    return "".join(f"{line}\r\n" for line in (*lines, "a=end-of-candidates"))


class _Judged(AbstractResolver):
    """Every name is the judged address: nothing is looked up again."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The one address."""
        del family
        is_v6 = ipaddress.ip_address(self._address.host).version == 6
        return [
            ResolveResult(
                hostname=host,
                host=self._address.host,
                port=port,
                family=socket.AF_INET6 if is_v6 else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""
