"""What is logged, shown and told to others (rows 27, 31, 37, 38, 40)."""

import base64
import io
import json
import logging
import os
from pathlib import Path

import pytest
import structlog

from server.logging import configure
from tests.signaling.rig import KEY, RpcError, offer, rig


async def test_no_token_secret_identity_or_text_is_in_any_log(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("debug", "json", stream)
    name = "Canary\u00e4Name"
    try:
        async with rig() as house:
            token = house.token("canary-identity")
            client = await house.join("canary-identity", token=token, name=name)
            await client.call("chat", text="canary-chat-text")
            await client.call("publish", sdp=offer())
            resume = client.result["resume"]
            await house.get("/api/v1/rooms/demo/participants/canary-identity", headers=house.admin())
            await house.get(f"/r/demo?token={token}")
            await house.get(f"/static/{token}")
            await house.get("/api/v1/rooms", headers={"Authorization": f"Bearer {token}x"})
            basic = {"Authorization": "Basic " + base64.b64encode(f"app:{KEY.secret}".encode()).decode()}
            assert (await house.get("/api/v1/rooms", headers=basic))[0] == 200
            basic = {"Authorization": "Basic " + base64.b64encode(f"app:{KEY.secret}x".encode()).decode()}
            assert (await house.get("/api/v1/rooms", headers=basic))[0] == 401
            headers = house.bearer("canary-identity") | {"Content-Type": "application/sdp"}
            async with house.http.post(f"{house.url}/whip/demo", data=offer(), headers=headers) as response:
                location = response.headers["Location"]
            await house.request("DELETE", location, headers=headers)
            status, _ = await house.get(
                "/api/v1/rooms", headers={"Referer": "https://x.example/p?token=" + token}
            )
            assert status == 401
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    text = stream.getvalue() + "".join(capfd.readouterr())
    secrets = {
        "token": token,
        "signature": token.rpartition(".")[2],
        "resume": resume,
        "api secret": KEY.secret,
        "session url": location.rpartition("/")[2],
        "identity": "canary-identity",
        "name": name,
        "name, escaped": "Canary\\u00e4Name",
        "chat": "canary-chat-text",
        "ice password": "ice-pwd",
        "address": '"127.0.0.1"',
    }
    for what, value in secrets.items():
        assert value not in text, what
    for line in stream.getvalue().splitlines():
        event = json.loads(line)
        if event["event"] == "http_request_served":
            assert set(event) == ACCESS_FIELDS, event


ACCESS_FIELDS = {
    "event",
    "level",
    "logger",
    "timestamp",
    "address",
    "browser",
    "referrer",
    "part",
    "method",
    "status",
    "duration_ms",
    "size_bytes",
}


HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "Ada\r\n2026-11-22 error fake",
    "\x1b[31mred",
    "\u202emoderator",
    "a\u0000b",
    "\u2066x\u2069",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_is_refused_or_told_as_plain_text(name: str) -> None:
    async with rig() as house:
        ada = await house.join("ada")
        try:
            eve = await house.join("eve", name=name)
        except RpcError as refused:
            assert refused.code in {"invalid_request", "unprocessable"}
            assert name not in json.dumps(refused.data)
            return
        assert eve.result["name"].isprintable()
        seen = await ada.hears("participant_joined")
        assert seen["participant"]["name"] == eve.result["name"]
        status, _ = await house.get("/api/v1/rooms/demo/participants", headers=house.admin())
        assert status == 200


@pytest.mark.parametrize("text", ["\x1b[31m", "a\u202eb", "\x00", "\u2066"])
async def test_chat_without_control_and_bidi_characters(text: str) -> None:
    async with rig() as house:
        ada = await house.join("ada")
        with pytest.raises(RpcError) as refused:
            await ada.call("chat", text=text)
        assert refused.value.code in {"invalid_request", "unprocessable"}


async def test_json_is_served_as_json_whatever_it_holds() -> None:
    async with rig() as house:
        await house.join("ada", name="<script>alert(1)</script>")
        async with house.http.get(
            f"{house.url}/api/v1/rooms/demo/participants", headers=house.admin()
        ) as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"


# Row 40: nobody learns another's address.


async def test_no_message_to_others_holds_an_address_of_a_peer() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        bo = await house.join("bo")
        sdp = offer() + "a=candidate:1 1 udp 2113937151 203.0.113.77 50000 typ host\r\n"
        await bo.call("publish", sdp=sdp)
        await ada.hears("track_published")
        offered = await ada.hears("subscribe_offer")
        assert "203.0.113.77" not in json.dumps([offered, ada.told])


def test_the_process_has_no_secret_in_its_arguments() -> None:
    assert KEY.secret not in Path(f"/proc/{os.getpid()}/cmdline").read_text()
