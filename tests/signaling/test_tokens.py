"""Tokens: the corpus of attacks, and what a good one gives."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
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


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forger:
    """Makes tokens of any shape, with the secret of a key and without."""

    kid: str
    secret: str
    now: float

    def payload(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "sub": "ada",
            "room": "demo",
            "nbf": int(self.now),
            "exp": int(self.now) + 600,
            "grants": ["join"],
        } | changes
        return {name: value for name, value in claims.items() if value is not ...}

    def head(self, **changes: Any) -> dict[str, Any]:
        return {"alg": "HS256", "kid": self.kid, "typ": "JWT"} | changes

    def signed(
        self, claims: Any = None, *, header: dict[str, Any] | None = None, secret: str | None = None
    ) -> str:
        """A token with exactly this header and payload, signed by HMAC-SHA-256."""
        head = self.head() if header is None else header
        body = self.payload() if claims is None else claims
        return self.raw(json.dumps(head), json.dumps(body), secret)

    def raw(self, head: str, body: str, secret: str | None = None) -> str:
        parts = ".".join(encoded(part.encode()) for part in (head, body))
        key = (self.secret if secret is None else secret).encode()
        return f"{parts}.{encoded(hmac.new(key, parts.encode(), hashlib.sha256).digest())}"


FORGER = Forger("app", SECRET, NOW)
payload, signed = FORGER.payload, FORGER.signed


CORPUS: dict[str, Callable[[Forger], str]] = {
    "alg none": lambda f: jwt.encode(f.payload(), None, algorithm="none", headers={"kid": f.kid}),
    "alg None in odd case": lambda f: f.signed(header=f.head(alg="nOnE")).rpartition(".")[0] + ".",
    "HS with the RSA key's PEM as secret": lambda f: f.raw(
        json.dumps(f.head(kid="rsa")), json.dumps(f.payload()), RSA_PUBLIC
    ),
    "RS signature for an HS key": lambda f: jwt.encode(
        f.payload(), RSA_PRIVATE, algorithm="RS256", headers={"kid": f.kid}
    ),
    "another HS than the key's": lambda f: jwt.encode(
        f.payload(), f.secret * 2, algorithm="HS512", headers={"kid": f.kid}
    ),
    "signed with a stranger's secret": lambda f: f.signed(secret="x" * 48),
    "kid is a path": lambda f: f.signed(header=f.head(kid="../../dev/null"), secret=""),
    "kid is SQL": lambda f: f.signed(header=f.head(kid="' UNION SELECT 'x")),
    "kid is missing": lambda f: f.signed(header={"alg": "HS256", "typ": "JWT"}),
    "kid is not a string": lambda f: f.signed(header=f.head(kid=[f.kid])),
    "crit is unknown": lambda f: f.signed(header=f.head(crit=["exp"])),
    "jku": lambda f: f.signed(header=f.head(jku="https://evil.example/keys")),
    "jwk": lambda f: f.signed(header=f.head(jwk={"kty": "oct", "k": "AAAA"})),
    "x5u": lambda f: f.signed(header=f.head(x5u="https://evil.example/cert")),
    "nbf in the future": lambda f: f.signed(f.payload(nbf=int(f.now) + 120)),
    "nbf is missing": lambda f: f.signed(f.payload(nbf=...)),
    "exp is missing": lambda f: f.signed(f.payload(exp=...)),
    "exp is past": lambda f: f.signed(f.payload(nbf=int(f.now) - 900, exp=int(f.now) - 60)),
    "exp is huge": lambda f: f.signed(f.payload(exp=10**18)),
    "exp is infinite": lambda f: f.raw(
        json.dumps(f.head()), '{"sub":"a","room":"demo","nbf":1,"grants":[],"exp":1e999}'
    ),
    "exp is a boolean": lambda f: f.signed(f.payload(exp=True)),
    "exp is text": lambda f: f.signed(f.payload(exp=str(int(f.now) + 60))),
    "lives longer than a day": lambda f: f.signed(f.payload(exp=int(f.now) + 25 * 3600)),
    "room is missing": lambda f: f.signed(f.payload(room=...)),
    "room is not a name": lambda f: f.signed(f.payload(room="../../etc")),
    "aud of somebody else": lambda f: f.signed(f.payload(aud="other")),
    "claims are doubled": lambda f: f.raw(
        json.dumps(f.head()), json.dumps(f.payload())[:-1] + ', "grants": ["admin"]}'
    ),
    "header members are doubled": lambda f: f.raw(
        f'{{"alg":"none",{json.dumps(f.head())[1:]}', json.dumps(f.payload())
    ),
    "nine kilobytes long": lambda f: f.signed(f.payload(name="x" * 7_000)),
    "a megabyte long": lambda f: f.signed(f.payload(name="x" * 1_000_000)),
    "a grant that does not exist": lambda f: f.signed(f.payload(grants=["join", "root"])),
    "grants are text": lambda f: f.signed(f.payload(grants="join")),
    "sub is missing": lambda f: f.signed(f.payload(sub=...)),
    "sub has control characters": lambda f: f.signed(f.payload(sub="ada\r\nadmin")),
    "name turns the reading direction": lambda f: f.signed(f.payload(name="\u202emoderator")),
    "payload is a list": lambda f: f.signed([1, 2, 3]),
    "payload is nested deeply": lambda f: f.raw(json.dumps(f.head()), "[" * 2_000 + "]" * 2_000),
    "an encrypted token (five parts)": lambda f: "a.b.c.d.e",
    "signature is cut": lambda f: f.signed()[:-4],
    "signature is empty": lambda f: f.signed().rpartition(".")[0] + ".",
    "external is text": lambda f: f.signed(f.payload(external="yes")),
    "guests is text": lambda f: f.signed(f.payload(guests="yes")),
    "an invitation of administrators": lambda f: f.signed(f.payload(guests=True, grants=["join", "admin"])),
    "an invitation of outside viewers": lambda f: f.signed(f.payload(guests=True, external=True)),
    "an invitation that vouches": lambda f: f.signed(
        f.payload(guests=True, terms={"version": "1", "uses": []})
    ),
    "terms has no version": lambda f: f.signed(f.payload(terms={"uses": ["live"]})),
    "nothing": lambda f: "",
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_token_of_the_corpus_is_refused_with_a_reason_that_does_not_quote_it(name: str) -> None:
    token = CORPUS[name](FORGER)
    with pytest.raises(TokenError) as refused:
        KEYS.verify(token, NOW)
    assert refused.value.code == "unauthorized"
    assert len(refused.value.reason) < 200
    assert not token or token not in refused.value.reason


def test_the_corpus_is_big_enough() -> None:
    assert len(CORPUS) >= 20


def test_the_corpus_costs_no_time() -> None:
    tokens = [make(FORGER) for make in CORPUS.values()]
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


def test_replaced_keys_tell_whose_tokens_are_worth_nothing_any_more() -> None:
    stays, goes, changes = (ApiKey(name, SECRET) for name in ("stays", "goes", "changes"))
    ring = KeyRing([stays, goes, changes])
    revision = ring.revision
    token = mint(goes, identity="a", room="r", permissions=[], now=NOW, ttl_s=9)
    assert ring.verify(token, NOW).key == "goes"
    assert ring.replace([ApiKey("changes", "t" * 48), stays, ApiKey("comes", SECRET)]) == {"goes", "changes"}
    assert ring.revision != revision
    assert ring.ids() == ("changes", "stays", "comes")
    with pytest.raises(TokenError):
        ring.verify(token, NOW)
    with pytest.raises(KeyRefused):
        ring.replace([stays, stays])
    assert ring.ids() == ("changes", "stays", "comes")
