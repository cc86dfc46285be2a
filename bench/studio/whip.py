"""WHIP and WHEP as a client: an offer posted, an answer taken, the resource ended."""

from typing import Final
from urllib.parse import urljoin

import aiohttp

_CREATED: Final = 201


class HttpSession:
    """One WHIP or WHEP session at a URL, under a token. Source: RFC 9725 section 4."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._resource = ""

    async def post(self, http: aiohttp.ClientSession, offer: str) -> str:
        """The answer to an offer.

        Raises:
            RuntimeError: with the server's words when it refuses.
        """
        headers = self._headers | {"Content-Type": "application/sdp"}
        async with http.post(self._url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != _CREATED:
                raise RuntimeError(f"{response.status}: {text}")
            self._resource = urljoin(self._url, response.headers["Location"])
        return text

    async def delete(self, http: aiohttp.ClientSession) -> None:
        """End it. Idempotent."""
        resource, self._resource = self._resource, ""
        if resource:
            async with http.delete(resource, headers=self._headers):
                pass
