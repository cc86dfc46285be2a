"""TURN credentials that expire, as coturn's shared-secret mode checks them."""

import base64
import hashlib
import hmac

from signaling import IceServers

URLS = ("turn:turn.example:3478?transport=udp", "turns:turn.example:5349")


def test_everybody_gets_credentials_that_the_turn_server_can_check() -> None:
    (server,) = IceServers(URLS, secret=b"s" * 32, ttl_s=600).given_to("p_1", 1_000_000.7)
    assert server["urls"] == list(URLS)
    assert server["username"] == "1000600:p_1"
    digest = hmac.new(b"s" * 32, b"1000600:p_1", hashlib.sha1).digest()
    assert base64.b64decode(str(server["credential"])) == digest


def test_a_fixed_login_is_the_same_for_all() -> None:
    servers = IceServers(URLS, username="u", credential="c")
    assert (
        servers.given_to("p_1", 0)
        == servers.given_to("p_2", 9)
        == [{"urls": list(URLS), "username": "u", "credential": "c"}]
    )


def test_stun_alone_needs_no_login() -> None:
    assert IceServers(("stun:stun.example:3478",)).given_to("p_1", 0) == [
        {"urls": ["stun:stun.example:3478"]}
    ]
    assert IceServers().given_to("p_1", 0) == []


def test_links_name_every_url() -> None:
    links = IceServers(URLS, secret=b"s" * 32).links("p_1", 0)
    assert [link.split(";")[0] for link in links] == [f"<{url}>" for url in URLS]
    assert all('credential-type="password"' in link for link in links)
    assert IceServers(("stun:a.example",)).links("p_1", 0) == ['<stun:a.example>; rel="ice-server"']
