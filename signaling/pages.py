"""Pages and the client's files, from one folder, under a strict content security policy."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from signaling.context import context_of
from signaling.errors import Problem

TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/plain",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".html": "text/html",
}
MAX_FILE_BYTES: Final = 8 << 20

_CSP: Final = "; ".join([  # noqa: FLY002 - one directive a line
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob: mediastream:",
    "font-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
])  # fmt: skip
_PERMISSIONS: Final = "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=()"
_EMBED_PERMISSIONS: Final = "camera=(), microphone=(), display-capture=(), geolocation=(), payment=()"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it was when it was read."""

    body: bytes
    etag: str
    content_type: str
    stamp: tuple[int, int]
    """Modification time and size, to see that it changed."""


class Assets:
    """The files below a folder, by their exact relative name.

    A name is looked up in the list that was made by walking the folder: no name from a request ever
    becomes a path.
    Links are not followed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[str, Path] = {}
        self._read: dict[str, Asset] = {}
        self.walk()

    def walk(self) -> None:
        """List the files anew."""
        paths: dict[str, Path] = {}
        for folder, folders, files in os.walk(self._root, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith((".", "__"))]
            for name in files:
                path = Path(folder, name)
                if path.suffix in TYPES and not name.startswith(".") and not path.is_symlink():
                    paths[path.relative_to(self._root).as_posix()] = path
        self._paths = paths

    def get(self, name: str) -> Asset | None:
        """A file by its relative name, or None."""
        path = self._paths.get(name)
        if path is None:
            return None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = os.fstat(descriptor)
            stamp = (found.st_mtime_ns, found.st_size)
            asset = self._read.get(name)
            if asset is not None and asset.stamp == stamp:
                return asset
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
                return None
            with os.fdopen(os.dup(descriptor), "rb") as file:
                body = file.read(MAX_FILE_BYTES)
        finally:
            os.close(descriptor)
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        asset = self._read[name] = Asset(body, etag, TYPES[path.suffix], stamp)
        return asset


ASSETS: Final = web.AppKey("assets", Assets)


def _send(request: web.Request, asset: Asset, headers: dict[str, str]) -> web.Response:
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"} | headers
    if asset.etag in {item.strip() for item in request.headers.get("If-None-Match", "").split(",")}:
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if asset.content_type.startswith("text/") else None
    return web.Response(body=asset.body, content_type=asset.content_type, charset=charset, headers=headers)


async def static(request: web.Request) -> web.Response:
    """`GET /static/{path}`."""
    asset = request.config_dict[ASSETS].get(request.match_info["path"])
    if asset is None:
        raise Problem("not_found", "There is no such file")
    # Other sites import the client SDK from here; it is the same for everyone and holds nothing of anyone.
    shared = {"Access-Control-Allow-Origin": "*"} if request.match_info["path"].startswith("sdk/") else {}
    return _send(request, asset, shared)


def _page(
    request: web.Request, name: str, ancestors: str, permissions: str, connects: tuple[str, ...] = ()
) -> web.Response:
    asset = request.config_dict[ASSETS].get(name)
    if asset is None:
        raise Problem("not_found", "There is no such page")
    connect = " ".join(("connect-src 'self' ws: wss:", *connects))
    headers = {
        "Content-Security-Policy": f"{_CSP}; {connect}; frame-ancestors {ancestors}",
        "Permissions-Policy": permissions,
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return _send(request, asset, headers)


async def home(request: web.Request) -> web.Response:
    """`GET /`: the directory."""
    return _page(request, "home/index.html", "'none'", _PERMISSIONS)


async def room(request: web.Request) -> web.Response:
    """`GET /r/{room}`: the room; what is behind the name is told only to a token.

    It may ask the listed origins for the renewal of a token.
    """
    origins = context_of(request).config.origins
    return _page(request, "room/index.html", "'none'", _PERMISSIONS, connects=origins)


async def recordings(request: web.Request) -> web.Response:
    """`GET /recordings`: the recordings of a room; what there is, is told only to a token."""
    return _page(request, "recordings/index.html", "'none'", _EMBED_PERMISSIONS)


async def recording(request: web.Request) -> web.Response:
    """`GET /recordings/{recording}`: the player of one."""
    return _page(request, "recordings/player.html", "'none'", _EMBED_PERMISSIONS)


async def terms(request: web.Request) -> web.Response:
    """`GET /terms` and `GET /terms/{version}`."""
    return _page(request, "terms/index.html", "'none'", _PERMISSIONS)


def embed_page(request: web.Request, ancestors: Sequence[str]) -> web.Response:
    """The player that other sites frame; `ancestors`: whose pages may."""
    return _page(request, "embed/index.html", " ".join(ancestors), _EMBED_PERMISSIONS)
