"""The REST API as the command line calls it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import aiohttp

_BASE: Final = "/api/v1"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=5)


class ApiError(Exception):
    """The server said no, or could not be reached; the text is for people."""

    code = "api_error"


class ApiClient:
    """One session with a running server; an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        host = urlsplit(self._url).hostname or ""
        # A self-signed certificate is fine on this machine's own loopback, nowhere else.
        is_local = host in {"127.0.0.1", "::1", "localhost"}
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT,
            headers={"Authorization": f"Bearer {self._token}"},
            connector=aiohttp.TCPConnector(ssl=not is_local),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @staticmethod
    def part(text: str) -> str:
        """A part of a path."""
        return quote(text, safe="")

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request; the JSON object of the answer, empty for none.

        Raises:
            ApiError: refused, or not reachable.
        """
        if self._session is None:
            raise RuntimeError("not entered")
        try:
            async with self._session.request(method, f"{self._url}{_BASE}{path}", json=body) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(f"{self._url} cannot be reached: {error}") from error
        found = _object(text)
        if response.status >= 400:
            raise ApiError(str(found.get("detail", f"{self._url} answered {response.status}")))
        return found

    async def all(self, path: str) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            page = await self.call("GET", f"{path}?limit=200{after}")
            items.extend(page.get("items", []))
            if page.get("next") is None:
                return items
            after = f"&after={quote(str(page['next']), safe='')}"

    async def fetch(self, path: str, target: Path, progress: Callable[[int], None]) -> None:
        """Save a file.

        Raises:
            ApiError: refused, or not reachable.
        """
        if self._session is None:
            raise RuntimeError("not entered")
        try:
            async with self._session.get(f"{self._url}{path}") as response:
                if response.status >= 400:
                    raise ApiError(str(_object(await response.text()).get("detail", response.status)))
                with target.open("wb") as file:
                    async for chunk in response.content.iter_chunked(1 << 20):
                        await asyncio.to_thread(file.write, chunk)
                        progress(len(chunk))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(f"{self._url} cannot be reached: {error}") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
