"""Which pages may talk to the server: origins, host names, CORS, development tokens (row 30)."""

import time

import pytest

from tests.signaling.rig import rig
from tests.signaling.upgrade import upgrade


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", 101),
        ("HTTP://127.0.0.1:{port}", 101),
        ("https://ok.example", 101),
        ("https://OK.example:443", 101),
        ("null", 403),
        ("", 403),
        ("https://evil.example", 403),
        ("https://ok.example.evil", 403),
        ("https://evil-ok.example", 403),
        ("https://ok.example@evil.example", 403),
        ("http://ok.example", 403),
        ("https://ok.example:8443", 403),
        ("https://127.0.0.1:{port}", 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:{port}", 403),
        ("file://", 403),
        ("https://ok.example, https://evil.example", 403),
    ],
)
async def test_only_listed_origins_may_connect(origin: str, status: int) -> None:
    async with rig(origins=("https://ok.example",)) as house:
        assert await upgrade(house, Origin=origin.format(port=house.listener.port)) == status


async def test_a_program_without_an_origin_may_connect() -> None:
    async with rig() as house:
        assert await upgrade(house) == 101


async def test_without_a_known_subprotocol_there_is_no_upgrade() -> None:
    async with rig() as house:
        assert await upgrade(house, **{"Sec-WebSocket-Protocol": "chat, parley.v0"}) == 400
        assert await upgrade(house, **{"Sec-WebSocket-Protocol": "chat, parley.v1.msgpack"}) == 101


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 101),
        ("127.0.0.1:{port}", 101),
        ("[::1]:{port}", 101),
        ("demo.localhost", 101),
        ("box.lan:{port}", 101),
        ("evil.example", 403),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_a_development_server_answers_to_its_own_names_only(host: str, status: int) -> None:
    async with rig(is_development=True, hosts=("box.lan",)) as house:
        assert await upgrade(house, Host=host.format(port=house.listener.port)) == status


# CORS.


async def test_a_listed_origin_gets_cors_headers_and_others_none() -> None:
    async with rig(origins=("https://ok.example",)) as house:
        for origin, allowed in (("https://ok.example", "https://ok.example"), ("https://evil.example", None)):
            async with house.http.get(f"{house.url}/api/v1/terms", headers={"Origin": origin}) as response:
                assert response.headers.get("Access-Control-Allow-Origin") == allowed
                assert response.headers["Vary"] == "Origin"
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with house.http.options(f"{house.url}/whip/demo", headers=asked) as response:
                assert response.status == (204 if allowed else 403)
                assert response.headers.get("Access-Control-Allow-Origin") == allowed
                if allowed:
                    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
                    assert "Location" in response.headers["Access-Control-Expose-Headers"]
        async with house.http.get(f"{house.url}/", headers={"Origin": "https://ok.example"}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_development_token_is_for_own_pages_of_a_development_server_only() -> None:
    body = {"room": "demo", "moderator": True}
    async with rig(is_development=True) as house:
        own = {"Origin": house.url}
        status, made = await house.request("POST", "/api/v1/dev/tokens", json=body, headers=own)
        assert status == 201
        assert house.services.keys.verify(made["token"], time.time()).identity == made["identity"]
        status, again = await house.request(
            "POST", "/api/v1/dev/tokens", json=body | {"identity": made["identity"]}, headers=own
        )
        assert (status, again["identity"]) == (201, made["identity"])
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            assert (await house.request("POST", "/api/v1/dev/tokens", json=body, headers=headers))[0] == 404
        status, _ = await house.request(
            "POST", "/api/v1/dev/tokens", json=body | {"identity": "root"}, headers=own
        )
        assert status == 422
    async with rig() as house:
        own = {"Origin": house.url}
        assert (await house.request("POST", "/api/v1/dev/tokens", json=body, headers=own))[0] == 404
