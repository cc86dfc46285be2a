"""The HTTP side of a WHIP publish: to judged addresses only, no redirects, bounded answers.

Source: RFC 9725 sections 4.2 (publish), 4.4 (end).
"""

import asyncio
import ipaddress
import socket
import ssl
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from rebroadcast.worker.link import Address, LinkError

TIMEOUT_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 64 * 1024
_END_S: Final = 1.0


class WhipResource:
    """One publish at an endpoint. `publish`, then `end`."""

    def __init__(self, url: str, token: str, address: Address, tls: ssl.SSLContext) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(resolver=_Judged(address), ssl=tls)
        self._http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._resource: str | None = None

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
                body = await response.content.read(ANSWER_MAX_BYTES + 1)
                while len(body) <= ANSWER_MAX_BYTES and not response.content.at_eof():
                    body += await response.content.read(ANSWER_MAX_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise LinkError(f"no WHIP publish: {type(error).__name__}") from error
        if len(body) > ANSWER_MAX_BYTES:
            raise LinkError("the site's answer is too long")
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise LinkError("the site's answer is no SDP") from error

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
