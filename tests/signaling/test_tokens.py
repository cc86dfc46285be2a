"""Tokens: the corpus of attacks, and what a good one gives."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from policy import Permission, Use
from signaling import ApiKey, KeyRefused, KeyRing, TokenError, VouchedTerms, mint

NOW = 1_800_000_000.0
SECRET = "s" * 48
RSA = rsa.generate_private_key(65_537, 2048)
RSA_PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
RSA_PRIVATE = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
KEYS = KeyRing([ApiKey("app", SECRET), ApiKey("rsa", RSA_PUBLIC, "RS256"), ApiKey("long", "l" * 64, "HS512")])


def payload(**changes: Any) -> dict[str, Any]:
    claims = {
        "sub": "ada",
        "room": "demo",
        "nbf": int(NOW),
        "exp": int(NOW) + 600,
        "grants": ["join"],
    } | changes
    return {name: value for name, value in claims.items() if value is not ...}


def signed(claims: Any = None, *, header: dict[str, Any] | None = None, secret: str = SECRET) -> str:
    """A token with exactly this header and payload, signed by HMAC-SHA-256."""
    head = {"alg": "HS256", "kid": "app", "typ": "JWT"} if header is None else header
    body = payload() if claims is None else claims
    return raw(json.dumps(head), json.dumps(body), secret)


def raw(head: str, body: str, secret: str = SECRET) -> str:
    parts = ".".join(encoded(part.encode()) for part in (head, body))
    return f"{parts}.{encoded(hmac.new(secret.encode(), parts.encode(), hashlib.sha256).digest())}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def head(**changes: Any) -> dict[str, Any]:
    return {"alg": "HS256", "kid": "app", "typ": "JWT"} | changes


CORPUS: dict[str, Callable[[], str]] = {
    "alg none": lambda: jwt.encode(payload(), None, algorithm="none", headers={"kid": "app"}),
    "alg None in odd case": lambda: signed(header=head(alg="nOnE")).rpartition(".")[0] + ".",
    "HS with the RSA key's PEM as secret": lambda: raw(
        json.dumps(head(kid="rsa")), json.dumps(payload()), RSA_PUBLIC
    ),
    "RS signature for an HS key": lambda: jwt.encode(
        payload(), RSA_PRIVATE, algorithm="RS256", headers={"kid": "app"}
    ),
    "another HS than the key's": lambda: jwt.encode(
        payload(), SECRET * 2, algorithm="HS512", headers={"kid": "app"}
    ),
    "signed with a stranger's secret": lambda: signed(secret="x" * 48),
    "kid is a path": lambda: signed(header=head(kid="../../dev/null"), secret=""),
    "kid is SQL": lambda: signed(header=head(kid="' UNION SELECT 'x")),
    "kid is missing": lambda: signed(header={"alg": "HS256", "typ": "JWT"}),
    "kid is not a string": lambda: signed(header=head(kid=["app"])),
    "crit is unknown": lambda: signed(header=head(crit=["exp"])),
    "jku": lambda: signed(header=head(jku="https://evil.example/keys")),
    "jwk": lambda: signed(header=head(jwk={"kty": "oct", "k": "AAAA"})),
    "x5u": lambda: signed(header=head(x5u="https://evil.example/cert")),
    "nbf in the future": lambda: signed(payload(nbf=int(NOW) + 120)),
    "nbf is missing": lambda: signed(payload(nbf=...)),
    "exp is missing": lambda: signed(payload(exp=...)),
    "exp is past": lambda: signed(payload(nbf=int(NOW) - 900, exp=int(NOW) - 60)),
    "exp is huge": lambda: signed(payload(exp=10**18)),
    "exp is infinite": lambda: raw(
        json.dumps(head()), '{"sub":"a","room":"demo","nbf":1,"grants":[],"exp":1e999}'
    ),
    "exp is a boolean": lambda: signed(payload(exp=True)),
    "exp is text": lambda: signed(payload(exp=str(int(NOW) + 60))),
    "lives longer than a day": lambda: signed(payload(exp=int(NOW) + 25 * 3600)),
    "room is missing": lambda: signed(payload(room=...)),
    "room is not a name": lambda: signed(payload(room="../../etc")),
    "aud of somebody else": lambda: signed(payload(aud="other")),
    "claims are doubled": lambda: raw(
        json.dumps(head()), json.dumps(payload())[:-1] + ', "grants": ["admin"]}'
    ),
    "header members are doubled": lambda: raw(
        '{"alg":"none","alg":"HS256","kid":"app","typ":"JWT"}', json.dumps(payload())
    ),
    "a megabyte long": lambda: signed(payload(name="x" * 1_000_000)),
    "a grant that does not exist": lambda: signed(payload(grants=["join", "root"])),
    "grants are text": lambda: signed(payload(grants="join")),
    "sub is missing": lambda: signed(payload(sub=...)),
    "sub has control characters": lambda: signed(payload(sub="ada\r\nadmin")),
    "name turns the reading direction": lambda: signed(payload(name="\u202emoderator")),
    "payload is a list": lambda: signed([1, 2, 3]),
    "payload is nested deeply": lambda: raw(json.dumps(head()), "[" * 2_000 + "]" * 2_000),
    "an encrypted token (five parts)": lambda: "a.b.c.d.e",
    "signature is cut": lambda: signed()[:-4],
    "signature is empty": lambda: signed().rpartition(".")[0] + ".",
    "external is text": lambda: signed(payload(external="yes")),
    "guests is text": lambda: signed(payload(guests="yes")),
    "an invitation of administrators": lambda: signed(payload(guests=True, grants=["join", "admin"])),
    "an invitation of outside viewers": lambda: signed(payload(guests=True, external=True)),
    "an invitation that vouches": lambda: signed(payload(guests=True, terms={"version": "1", "uses": []})),
    "terms has no version": lambda: signed(payload(terms={"uses": ["live"]})),
    "nothing": lambda: "",
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_token_of_the_corpus_is_refused_with_a_reason_that_does_not_quote_it(name: str) -> None:
    token = CORPUS[name]()
    with pytest.raises(TokenError) as refused:
        KEYS.verify(token, NOW)
    assert refused.value.code == "unauthorized"
    assert len(refused.value.reason) < 200
    assert not token or token not in refused.value.reason


def test_the_corpus_is_big_enough() -> None:
    assert len(CORPUS) >= 20


def test_the_corpus_costs_no_time() -> None:
    tokens = [make() for make in CORPUS.values()]
    started = time.perf_counter()
    for token in tokens:
        with pytest.raises(TokenError):
            KEYS.verify(token, NOW)
    assert time.perf_counter() - started < 1.0


def test_a_good_token_gives_its_claims() -> None:
    terms = {"version": "2026-11", "uses": ["live"]}
    claims = KEYS.verify(
        signed(payload(name="Ada", terms=terms, grants=["join", "chat"], external=True)), NOW
    )
    assert (claims.identity, claims.name, claims.room, claims.key) == ("ada", "Ada", "demo", "app")
    assert claims.permissions == {Permission.JOIN, Permission.CHAT}
    assert claims.terms == VouchedTerms("2026-11", frozenset({Use("live")}))
    assert claims.is_external
    assert claims.opens("demo")
    assert not claims.opens("other")


def test_an_invitation_permits_nothing_itself() -> None:
    claims = KEYS.verify(signed(payload(guests=True, grants=["join", "chat"])), NOW)
    assert claims.permissions == frozenset()
    assert claims.guest_permissions == {Permission.JOIN, Permission.CHAT}


def test_clocks_may_differ_by_half_a_minute() -> None:
    assert KEYS.verify(signed(payload(nbf=int(NOW) + 29)), NOW)
    assert KEYS.verify(signed(payload(exp=int(NOW) + 1)), NOW + 30)


def test_an_rsa_key_verifies_its_own_algorithm() -> None:
    token = jwt.encode(payload(), RSA_PRIVATE, algorithm="RS256", headers={"kid": "rsa"})
    assert KEYS.verify(token, NOW).key == "rsa"


def test_an_admin_token_needs_no_room_and_opens_all() -> None:
    claims = KEYS.verify(signed(payload(room=..., grants=["admin"])), NOW)
    assert claims.opens("any")
    assert claims.allows(Permission.RECORD)


def test_a_minted_token_is_accepted() -> None:
    token = mint(
        ApiKey("app", SECRET),
        identity="bob",
        room="demo",
        permissions=[Permission.JOIN, Permission.PUBLISH],
        now=NOW,
        ttl_s=60,
        name="Bob",
        terms=VouchedTerms("2026-11", frozenset({Use("record")})),
    )
    claims = KEYS.verify(token, NOW)
    assert (claims.identity, claims.name, claims.expires_at) == ("bob", "Bob", int(NOW) + 60)


@pytest.mark.parametrize(
    "changes", [{"ttl_s": 90_000}, {"ttl_s": 0}, {"identity": "\n"}, {"room": None}, {"name": "x" * 300}]
)
def test_what_would_be_refused_is_not_minted(changes: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {
        "identity": "bob",
        "room": "demo",
        "permissions": [Permission.JOIN],
        "ttl_s": 60,
    }
    with pytest.raises(TokenError):
        mint(ApiKey("app", SECRET), now=NOW, **(wanted | changes))


def test_a_public_key_cannot_mint() -> None:
    with pytest.raises(TokenError):
        mint(ApiKey("rsa", RSA_PUBLIC, "RS256"), identity="a", room="r", permissions=[], now=NOW, ttl_s=9)


@pytest.mark.parametrize(
    ("secret", "alg"),
    [
        ("short", "HS256"),
        ("x" * 31, "HS256"),
        ("x" * 47, "HS384"),
        ("x" * 63, "HS512"),
        (RSA_PUBLIC, "HS256"),
        ("x" * 48, "none"),
        ("x" * 48, "RS256"),
        (RSA_PUBLIC, "ES256"),
        (
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "RS256",
        ),
    ],
)
def test_a_bad_key_is_refused_at_the_start(secret: str, alg: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        ApiKey("app", secret, alg)
    assert secret not in str(refused.value).replace("shorter", "")


def test_two_keys_of_one_id_are_refused() -> None:
    with pytest.raises(KeyRefused):
        KeyRing([ApiKey("app", SECRET), ApiKey("app", "t" * 48)])


def test_a_key_does_not_show_its_secret() -> None:
    assert SECRET not in repr(ApiKey("app", SECRET))


def test_an_api_secret_is_compared_by_key() -> None:
    assert KEYS.is_secret("app", SECRET)
    assert not KEYS.is_secret("app", SECRET + "x")
    assert not KEYS.is_secret("rsa", RSA_PUBLIC)
    assert not KEYS.is_secret("nobody", SECRET)
    assert not KEYS.is_secret("app", "\udcff")


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_by_the_one_error(token: str) -> None:
    with pytest.raises(TokenError):
        KEYS.verify(token, NOW)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(payload())), inner)
        ),
        max_leaves=12,
    )
)
def test_any_signed_payload_is_refused_by_the_one_error_or_accepted(body: Any) -> None:
    try:
        KEYS.verify(signed(body), NOW)
    except TokenError:
        return
