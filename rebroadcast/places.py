"""What a destination's URL and key mean for each kind: the address to show, and the secrets to seal. PURE."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from rebroadcast.errors import BroadcastInvalid

KEY_MAX_CHARACTERS: Final = 500
PASSPHRASE_CHARACTERS: Final = (10, 79)
"""What SRT takes."""
SRT_LATENCY_MS: Final = (20, 8000)
_SRT_PARAMETERS: Final = frozenset({"latency", "passphrase", "streamid"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a destination is."""

    url: str
    """Without any secret; may be shown."""
    secret: str = ""
    """RTMP: the stream key. SRT: `streamid` and `passphrase` as a query. WHIP: the bearer token."""


def place_of(kind: str, url: str | None, key: str | None) -> Place:
    """Takes the secrets out of a URL.

    Raises:
        BroadcastInvalid: a kind, URL or key that cannot be used; the text says how to mend it.
    """
    if kind == "hls":
        if url or key:
            raise BroadcastInvalid(
                "a destination of kind hls is played from this server: it has no url and key"
            )
        return Place("")
    if kind not in _KINDS:
        raise BroadcastInvalid(f"kind {kind[:40]!r} is not known: use {', '.join(sorted(KINDS))}")
    schemes, example, make = _KINDS[kind]
    if not url:
        raise BroadcastInvalid(f"a destination of kind {kind} needs a url such as {example}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BroadcastInvalid("the url cannot be read: its host or port is malformed") from error
    if parts.scheme not in schemes:
        raise BroadcastInvalid(f"the url of kind {kind} begins with {' or '.join(schemes)}, as {example}")
    if parts.fragment:
        raise BroadcastInvalid("a url of a destination has nothing after #")
    if key is not None and (len(key) > KEY_MAX_CHARACTERS or any(character.isspace() for character in key)):
        raise BroadcastInvalid(f"the key must be up to {KEY_MAX_CHARACTERS} characters without spaces")
    return make(parts, key or "")


def is_encrypted(kind: str, place: Place) -> bool:
    """Whether what goes there is encrypted on its way."""
    scheme = urlsplit(place.url).scheme
    return kind == "hls" or scheme in {"rtmps", "https"} or "passphrase" in srt_secrets(kind, place.secret)


def srt_secrets(kind: str, secret: str) -> dict[str, str]:
    """`streamid` and `passphrase` of an SRT destination, as far as it has them."""
    return dict(parse_qsl(secret)) if kind == "srt" else {}


def key_of(kind: str, secret: str) -> str:
    """The part of the secrets that a person would know the destination by."""
    return srt_secrets(kind, secret).get("streamid", "") if kind == "srt" else secret


def _rtmp(parts: SplitResult, key: str) -> Place:
    path = parts.path.strip("/")
    if not key:
        path, _, key = path.rpartition("/")
        key += f"?{parts.query}" if parts.query else ""
    elif parts.query:
        raise BroadcastInvalid("what follows ? belongs to the key: put it at the key's end")
    if not path or not key:
        raise BroadcastInvalid("the url must hold an application, and the key must be given or end the url")
    if len(key) > KEY_MAX_CHARACTERS:
        raise BroadcastInvalid(f"the key must be up to {KEY_MAX_CHARACTERS} characters without spaces")
    return Place(urlunsplit((parts.scheme, parts.netloc, f"/{path}", "", "")), key)


def _srt(parts: SplitResult, key: str) -> Place:
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(given.keys() - _SRT_PARAMETERS)
    if unknown or parts.path.strip("/"):
        raise BroadcastInvalid(
            f"an srt url is srt://host:port with {', '.join(sorted(_SRT_PARAMETERS))} at most; "
            f"not {unknown or 'a path'}"
        )
    if key and "streamid" in given:
        raise BroadcastInvalid("the stream id is given twice: leave it out of the url, or leave the key out")
    try:
        has_port = parts.port is not None
    except ValueError as error:
        raise BroadcastInvalid("the url cannot be read: its host or port is malformed") from error
    if not has_port:
        raise BroadcastInvalid("an srt url needs a port, as srt://host:9000")
    passphrase = given.get("passphrase")
    low, high = PASSPHRASE_CHARACTERS
    if passphrase is not None and not low <= len(passphrase.encode()) <= high:
        raise BroadcastInvalid(f"an SRT passphrase has {low} to {high} characters")
    latency = given.get("latency", "")
    low, high = SRT_LATENCY_MS
    if latency and not (latency.isascii() and latency.isdigit() and low <= int(latency[:6]) <= high):
        raise BroadcastInvalid(f"latency is {low} to {high} milliseconds")
    secrets = {"streamid": key or given.get("streamid", ""), "passphrase": passphrase or ""}
    query = urlencode({"latency": latency} if latency else {})
    return Place(
        urlunsplit((parts.scheme, parts.netloc, "", query, "")),
        urlencode({name: value for name, value in secrets.items() if value}),
    )


def _whip(parts: SplitResult, key: str) -> Place:
    return Place(urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, "")), key)


_Make = Callable[[SplitResult, str], Place]
_KINDS: Final[dict[str, tuple[tuple[str, ...], str, _Make]]] = {
    "rtmp": (("rtmp", "rtmps"), "rtmps://host/application", _rtmp),
    "srt": (("srt",), "srt://host:9000?latency=200", _srt),
    "whip": (("https", "http"), "https://host/whip/endpoint", _whip),
}
KINDS: Final = frozenset({*_KINDS, "hls"})
"""Kinds of destinations."""
