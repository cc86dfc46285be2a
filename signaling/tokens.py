"""Join tokens: JWTs whose algorithm is fixed by their key, believed only claim by claim.

PURE: time is an argument, keys are given at construction; PyJWT checks and makes the signatures.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from policy import (
    NameRefused,
    Permission,
    PolicyError,
    Use,
    normalize_identity,
    normalize_room,
    normalize_screen_name,
    parse_permissions,
)
from signaling.errors import SignalingError

ALGORITHMS: Final = frozenset({"HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"})
"""What a key may be pinned to."""

MAX_TOKEN_BYTES: Final = 8_192
MAX_LIFETIME_S: Final = 24 * 3600
MIN_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""A shared secret is at least as long as its hash (RFC 7518 section 3.2)."""
LEEWAY_S: Final = 30
MAX_USES: Final = 32

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_HEADER_FIELDS = frozenset({"alg", "kid", "typ"})
_CLAIMS = frozenset({
    *("sub", "name", "room", "nbf", "exp", "grants", "terms", "external", "guests", "partner"),
    *("recording", "jti", "iat", "iss"),
})  # fmt: skip
_MAX_INSTANT = 1 << 40
_PUBLIC_KEYS: Final[Mapping[str, type]] = {
    "RS256": RSAPublicKey,
    "PS256": RSAPublicKey,
    "ES256": EllipticCurvePublicKey,
    "EdDSA": Ed25519PublicKey,
}


class TokenError(SignalingError):
    """A token that is not accepted. `reason` is for whoever made the token; it never quotes it."""

    code = "unauthorized"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyRefused(SignalingError):
    """An API key that must not be used; raised at start-up."""

    code = "invalid_key"

    def __init__(self, key_id: str, reason: str) -> None:
        super().__init__(f"API key {key_id!r}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key that signs tokens, pinned to one algorithm.

    `secret` is a shared secret of at least 32 bytes for HS256, a PEM public key for the others (then this
    server can
    check tokens of that key, not make them).

    Raises (at construction):
        KeyRefused: unknown algorithm, short secret, a PEM used as a shared secret, or not a fitting public
        key.
    """

    id: str
    secret: str = field(repr=False)
    alg: str = "HS256"

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= 64 or not self.id.isprintable():
            raise KeyRefused(self.id[:64], "an id has 1 to 64 printable characters")
        if self.alg not in ALGORITHMS:
            raise KeyRefused(self.id, f"algorithm {self.alg!r} is not one of {', '.join(sorted(ALGORITHMS))}")
        if self.is_shared:
            if "-----BEGIN" in self.secret:
                raise KeyRefused(self.id, f"a PEM key cannot be the shared secret of {self.alg}")
            least = MIN_SECRET_BYTES[self.alg]
            if len(self.secret.encode()) < least:
                raise KeyRefused(self.id, f"the secret is shorter than {least} bytes")
            return
        try:
            public = load_pem_public_key(self.secret.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyRefused(self.id, f"{self.alg} needs a PEM public key") from error
        if not isinstance(public, _PUBLIC_KEYS[self.alg]):
            raise KeyRefused(self.id, f"the PEM key is not one for {self.alg}")

    @property
    def is_shared(self) -> bool:
        """Whether the same secret signs and verifies."""
        return self.alg.startswith("HS")


@dataclass(frozen=True, slots=True)
class VouchedTerms:
    """What an embedder vouches for: this version accepted, 18 or older, agreed to these uses."""

    version: str
    uses: frozenset[Use]


@dataclass(frozen=True, slots=True)
class Claims:
    """A token that was accepted."""

    key: str
    identity: str
    name: str | None
    room: str | None
    not_before: int
    expires_at: int
    permissions: frozenset[Permission]
    terms: VouchedTerms | None = None
    is_external: bool = False
    partner: str | None = None
    """Id of the partner on whose site an external viewer watches; None: the operator's own."""
    recording: str | None = None
    """The only recording that a viewer's token opens; None: all of its room."""
    guest_permissions: frozenset[Permission] | None = None
    """What each guest of an invitation may; None: no invitation. An invitation itself permits nothing."""

    def allows(self, permission: Permission) -> bool:
        """Whether the token carries `permission`; `admin` carries all."""
        return permission in self.permissions or Permission.ADMIN in self.permissions

    def opens(self, room: str) -> bool:
        """Whether the token is for `room`; `admin` is for all."""
        return Permission.ADMIN in self.permissions or (self.room is not None and self.room == room)


class KeyRing:
    """The API keys of this server, by id, in a plain dict: an id is never a path, a query or an address.

    Raises (at construction):
        KeyRefused: two keys share an id.
    """

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys = _by_id(keys)
        self.revision = 0
        """Moves on whenever the keys are replaced: what was accepted before is to be verified again."""

    def replace(self, keys: Iterable[ApiKey]) -> frozenset[str]:
        """Serve these from now on; the ids whose tokens of before are worth nothing any more.

        Raises:
            KeyRefused: two keys share an id; those of before stay.
        """
        before, self._keys = self._keys, _by_id(keys)
        self.revision += 1
        return frozenset(key.id for key in before.values() if self._keys.get(key.id) != key)

    def __len__(self) -> int:
        return len(self._keys)

    def ids(self) -> tuple[str, ...]:
        """The key ids in order of configuration."""
        return tuple(self._keys)

    def signer(self) -> ApiKey | None:
        """The first key that can make tokens."""
        return next((key for key in self._keys.values() if key.is_shared), None)

    def is_secret(self, key_id: str, secret: str) -> bool:
        """Whether `secret` is the shared secret of `key_id`; constant time in the secret."""
        key = self._keys.get(key_id)
        if key is None or not key.is_shared:
            return False
        return hmac.compare_digest(key.secret.encode(), secret.encode(errors="surrogatepass"))

    def verify(self, token: str, now: float) -> Claims:
        """Accept a token or say why not; `now` is Unix time in seconds.

        Raises:
            TokenError: too long, malformed, unknown key, other algorithm, bad signature, or a claim that
            is missing,
                doubled, out of range or unknown. Nothing else, whatever the input.
        """
        header, payload = _peek(token)
        key = self._key_of(header)
        try:
            jwt.decode(
                token,
                key.secret,
                algorithms=[key.alg],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenError("The token's signature does not fit its key") from error
        return _claims(key.id, payload, now)

    def _key_of(self, header: Mapping[str, object]) -> ApiKey:
        unknown = header.keys() - _HEADER_FIELDS
        if unknown:
            raise TokenError("The token's header has fields other than alg, kid and typ")
        kid, alg, typ = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
        if not isinstance(kid, str) or not isinstance(alg, str) or typ != "JWT":
            raise TokenError("The token's header needs alg, kid and typ JWT")
        key = self._keys.get(kid)
        if key is None:
            raise TokenError("The token's key id is not known here")
        if alg != key.alg:
            raise TokenError("The token's algorithm is not the one of its key")
        return key


def _by_id(keys: Iterable[ApiKey]) -> dict[str, ApiKey]:
    found: dict[str, ApiKey] = {}
    for key in keys:
        if key.id in found:
            raise KeyRefused(key.id, "configured twice")
        found[key.id] = key
    return found


def mint(
    key: ApiKey,
    *,
    identity: str,
    room: str | None,
    permissions: Iterable[Permission],
    now: float,
    ttl_s: int,
    name: str | None = None,
    terms: VouchedTerms | None = None,
    is_external: bool = False,
    is_invitation: bool = False,
    partner: str | None = None,
    recording: str | None = None,
) -> str:
    """Make a token that `KeyRing.verify` accepts.

    Raises:
        TokenError: a claim that would not be accepted, or a key that cannot sign.
    """
    if not key.is_shared:
        raise TokenError(f"Key {key.id!r} can check tokens, not make them")
    start = int(now)
    payload: dict[str, object] = {
        "sub": identity,
        "nbf": start,
        "exp": start + ttl_s,
        "grants": sorted(permission.value for permission in permissions),
    }
    if room is not None:
        payload["room"] = room
    if name is not None:
        payload["name"] = name
    if terms is not None:
        payload["terms"] = {"version": terms.version, "uses": sorted(terms.uses)}
    if is_external:
        payload["external"] = True
    if is_invitation:
        payload["guests"] = True
    if partner is not None:
        payload["partner"] = partner
    if recording is not None:
        payload["recording"] = recording
    _claims(key.id, payload, now)
    token = jwt.encode(payload, key.secret, algorithm=key.alg, headers={"kid": key.id})
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("The token would be longer than 8 KiB")
    return token


def _peek(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Header and payload, not yet believed: sizes first, doubled members refused."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenError("The token is longer than 8 KiB")
    parts = token.split(".")
    if len(parts) != 3 or not all(_SEGMENT.match(part) for part in parts):
        raise TokenError("The token is not a signed JWT")
    return _json_object(parts[0]), _json_object(parts[1])


def _json_object(segment: str) -> dict[str, object]:
    try:
        raw = jwt.utils.base64url_decode(segment)
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TokenError("The token does not hold two JSON objects without doubled members") from error
    if not isinstance(value, dict):
        raise TokenError("The token does not hold two JSON objects without doubled members")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("doubled member")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _claims(key_id: str, payload: Mapping[str, object], now: float) -> Claims:
    unknown = payload.keys() - _CLAIMS
    if unknown:
        raise TokenError("The token has a claim that this server does not know")
    not_before, expires_at = _lifetime(payload, now)
    permissions = _permissions(payload.get("grants"))
    room = _name(payload.get("room"), "room", normalize_room)
    if room is None and Permission.ADMIN not in permissions:
        raise TokenError("The token names no room")
    identity = _name(payload.get("sub"), "sub", normalize_identity)
    if identity is None:
        raise TokenError("The token names no identity (sub)")
    is_external = _flag(payload, "external")
    terms = _terms(payload.get("terms"))
    is_invitation = _flag(payload, "guests")
    if is_invitation and (is_external or terms is not None or Permission.ADMIN in permissions):
        raise TokenError(
            "An invitation (guests) has no admin, is not external and vouches for nobody's terms"
        )
    partner = payload.get("partner")
    if partner is not None and not (is_external and isinstance(partner, str) and 1 <= len(partner) <= 64):
        raise TokenError("The claim partner is the id of a partner, in an external token")
    recording = payload.get("recording")
    if recording is not None and not (
        permissions == {Permission.WATCH} and isinstance(recording, str) and 1 <= len(recording) <= 64
    ):
        raise TokenError("The claim recording is the id of a recording, in a token with watch alone")
    return Claims(
        key=key_id,
        identity=identity,
        name=_name(payload.get("name"), "name", normalize_screen_name),
        room=room,
        not_before=not_before,
        expires_at=expires_at,
        permissions=frozenset() if is_invitation else permissions,
        terms=terms,
        is_external=is_external,
        partner=partner if isinstance(partner, str) else None,
        recording=recording if isinstance(recording, str) else None,
        guest_permissions=permissions if is_invitation else None,
    )


def _flag(payload: Mapping[str, object], claim: str) -> bool:
    value = payload.get(claim, False)
    if not isinstance(value, bool):
        raise TokenError(f"The claim {claim} is true or false")
    return value


def _lifetime(payload: Mapping[str, object], now: float) -> tuple[int, int]:
    not_before, expires_at = _instant(payload, "nbf"), _instant(payload, "exp")
    if expires_at <= not_before:
        raise TokenError("The token ends before it begins")
    if expires_at - not_before > MAX_LIFETIME_S:
        raise TokenError("The token lives longer than 24 hours")
    if now < not_before - LEEWAY_S:
        raise TokenError("The token is not valid yet")
    if now >= expires_at + LEEWAY_S:
        raise TokenError("The token has expired")
    return not_before, expires_at


def _instant(payload: Mapping[str, object], claim: str) -> int:
    value = payload.get(claim)
    # bool is an int in Python, a fraction of a second is legal in a NumericDate (RFC 7519 section 2).
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MAX_INSTANT:
        raise TokenError(f"The claim {claim} is missing or not a time")
    return int(value)


def _permissions(value: object) -> frozenset[Permission]:
    if (
        not isinstance(value, list)
        or not all(isinstance(item, str) for item in value)
        or len(value) > len(Permission)
    ):
        raise TokenError("The claim grants is missing or not a list of permissions")
    try:
        return parse_permissions(value)
    except PolicyError as error:
        raise TokenError("The claim grants has a permission that does not exist") from error


def _name(value: object, claim: str, normalize: Callable[[str], str]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TokenError(f"The claim {claim} is not a string")
    try:
        return normalize(value)
    except NameRefused as error:
        raise TokenError(f"The claim {claim} is not acceptable: {error}") from error


def _terms(value: object) -> VouchedTerms | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() - {"version", "uses"}:
        raise TokenError("The claim terms has version and uses")
    version, uses = value.get("version"), value.get("uses", [])
    if not isinstance(version, str) or not 1 <= len(version) <= 32:
        raise TokenError("The claim terms needs the version as a string of at most 32 characters")
    if not isinstance(uses, list) or len(uses) > MAX_USES:
        raise TokenError("The claim terms needs uses as a list of names")
    if not all(isinstance(use, str) and 1 <= len(use) <= 32 for use in uses):
        raise TokenError("The claim terms needs uses as a list of names")
    return VouchedTerms(version, frozenset(Use(use) for use in uses))
