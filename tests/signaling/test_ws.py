"""The WebSocket protocol over a real socket: every method, in both encodings."""

import asyncio
import time
from dataclasses import replace

import pytest

from policy import DEFAULT_TERMS, Permission, RoomMode, RoomSettings
from rooms import Chat, ChatMessage
from signaling import drain, open_connections
from signaling.context import CONTEXT
from signaling.session import SessionLimits
from signaling.wire import Encoding
from tests.signaling.rig import ACCEPT, HOST, PERSON, RpcError, offer, rig, until

both = pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())


@both
async def test_a_join_tells_everything_that_is_needed(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding, name="Ada")
        result = ada.result
        assert result["identity"] == "ada"
        assert result["name"] == "Ada"
        assert result["room"] == "demo"
        assert result["participant"].startswith("p_")
        assert result["resumed"] is False
        assert result["permissions"] == sorted(str(permission) for permission in PERSON)
        assert result["terms"]["version"] == DEFAULT_TERMS.version
        assert result["terms"]["accepted"] is True
        assert {use["use"] for use in result["terms"]["uses"]} == {"live", "record", "replay"}
        assert result["mode"] == "notice"
        assert result["consent"] == {"live": "granted", "record": "granted", "replay": "granted"}
        assert result["notice"] is None
        assert abs(result["token_expires_at"] - time.time() - 600) < 10
        assert (
            result["participants"]
            == result["activities"]
            == result["chat_history"]
            == result["ice_servers"]
            == []
        )
        assert len(result["resume"]) >= 16


@both
async def test_others_hear_who_comes_and_goes(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        bo = await house.join("bo", encoding=encoding)
        joined = await ada.hears("participant_joined")
        assert joined["participant"]["id"] == bo.result["participant"]
        assert joined["participant"]["identity"] == "bo"
        assert [other["identity"] for other in bo.result["participants"]] == ["ada"]
        assert await bo.call("leave") == {}
        assert await bo.ends() == 1000
        left = await ada.hears("participant_left")
        assert left == {"participant": bo.result["participant"], "reason": "left"}


@both
async def test_publish_answers_and_is_told_to_others(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        bo = await house.join("bo-the-publisher", encoding=encoding)
        published = await bo.call("publish", sdp=offer(), sources={"1": "screen"})
        assert published["sdp"].startswith("v=0")
        assert "a=ice-lite" in published["sdp"]
        tracks = {item["mid"]: item["track"] for item in published["tracks"]}
        assert set(tracks) == {"0", "1"}
        told = [await ada.hears("track_published") for _ in range(2)]
        by_track = {item["track"]["track"]: item["track"] for item in told}
        assert set(by_track) == set(tracks.values())
        assert {item["source"] for item in by_track.values()} == {"mic", "screen"}
        offered = await ada.hears("subscribe_offer")
        assert offered["fresh"] is True
        assert {item["participant"] for item in offered["tracks"]} == {bo.result["participant"]}
        assert "bo-the-publisher" not in offered["sdp"]
        assert not any(item["e2ee"] for item in by_track.values())
        await bo.call("publish", sdp=offer(), e2ee=True)
        assert [(await ada.hears("track_published"))["track"]["e2ee"] for _ in range(2)] == [True, True]


@both
async def test_an_own_mute_and_an_enforced_one_are_told_apart(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding, permissions=HOST)
        bo = await house.join("bo", encoding=encoding)
        published = await bo.call("publish", sdp=offer())
        track = published["tracks"][0]["track"]
        assert await bo.call("mute", track=track, muted=True) == {}
        assert (await ada.hears("track_muted", track=track))["muted"] is True
        await bo.call("mute", track=track, muted=False)
        assert await ada.call("moderate", action="mute", identity="bo") == {}
        enforced = await bo.hears("track_muted", track=track, enforced=True)
        assert enforced["enforced"] is True
        with pytest.raises(RpcError) as refused:
            await ada.call("mute", track=track, muted=True)
        assert refused.value.code == "not_found"


@both
async def test_chat_reaches_everyone_with_the_same_id(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        bo = await house.join("bo", encoding=encoding)
        sent = await bo.call("chat", text="hello <b>ada</b>\nsecond line")
        for client in (ada, bo):
            line = await client.hears("chat")
            assert (line["id"], line["at_ms"]) == (sent["id"], sent["at_ms"])
            assert (line["identity"], line["text"]) == ("bo", "hello <b>ada</b>\nsecond line")
        cy = await house.join("cy", encoding=encoding)
        assert [line["id"] for line in cy.result["chat_history"]] == [sent["id"]]
        with pytest.raises(RpcError) as refused:
            await cy.call("chat_delete", id=sent["id"])
        assert refused.value.code == "forbidden"
        assert await bo.call("chat_delete", id=sent["id"]) == {}
        assert (await ada.hears("chat_deleted"))["id"] == sent["id"]


@both
async def test_terms_are_accepted_later_and_until_then_nothing_is_disclosed(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding, accept=None)
        assert ada.result["terms"]["accepted"] is False
        for method, params in (("publish", {"sdp": offer()}), ("chat", {"text": "x"})):
            with pytest.raises(RpcError) as refused:
                await ada.call(method, **params)
            assert refused.value.code == "terms_required"
        with pytest.raises(RpcError) as refused:
            await ada.call("accept_terms", terms_version=DEFAULT_TERMS.version, age_18=False)
        assert refused.value.code == "age_required"
        with pytest.raises(RpcError) as refused:
            await ada.call("accept_terms", terms_version="1999-01", age_18=True)
        assert refused.value.code == "conflict"
        result = await ada.call("accept_terms", **ACCEPT)
        assert result["consent"]["live"] == "granted"
        assert (await ada.call("chat", text="x"))["id"]


@both
async def test_consent_is_given_and_taken_back(encoding: Encoding) -> None:
    async with rig(settings=RoomSettings(mode=RoomMode.EXPLICIT)) as house:
        ada = await house.join("ada", encoding=encoding)
        bo = await house.join("bo", encoding=encoding)
        assert ada.result["mode"] == "explicit"
        assert ada.result["consent"]["record"] == "asked"
        result = await ada.call("consent", uses={"record": True, "live": False})
        assert result["consent"] == {"record": "granted", "live": "refused", "replay": "asked"}
        seen = await bo.hears("participant_updated")
        assert seen["participant"]["consent"]["record"] in {"granted", "asked"}
        result = await ada.call("consent", uses={"record": False})
        assert result["consent"]["record"] == "refused"


@both
async def test_an_unknown_notice_and_a_subscription_to_nothing_are_not_found(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        for method, params in (
            ("acknowledge", {"notice": "n_none"}),
            ("subscription", {"track": 999, "enabled": False}),
            ("mute", {"track": 999, "muted": True}),
        ):
            with pytest.raises(RpcError) as refused:
                await ada.call(method, **params)
            assert refused.value.code == "not_found"
            assert len(refused.value.data["reason"]) > 10


@both
async def test_an_answer_to_no_offer_and_a_broken_offer_are_refused(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        with pytest.raises(RpcError) as refused:
            await ada.call("subscribe_answer", version=7, sdp="v=0\r\n")
        assert refused.value.code in {"conflict", "not_found", "invalid_sdp"}
        with pytest.raises(RpcError) as refused:
            await ada.call("publish", sdp="v=0\r\nthis is not SDP\r\n")
        assert refused.value.code == "invalid_sdp"
        with pytest.raises(RpcError) as refused:
            await ada.call("publish", sdp="v=0\r\n" + "a=x\r\n" * 20_000)
        assert refused.value.number == -32602


@both
async def test_a_restart_of_the_subscriber_is_offered(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        bo = await house.join("bo", encoding=encoding)
        await bo.call("publish", sdp=offer())
        first = await ada.hears("subscribe_offer")
        assert await ada.call("subscribe_restart") == {}
        second = await ada.hears("subscribe_offer")
        assert second["version"] > first["version"]


@both
async def test_a_moderator_removes_and_bans(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding, permissions=HOST)
        bo = await house.join("bo", encoding=encoding)
        await ada.call("moderate", action="remove", identity="bo")
        assert (await bo.hears("removed"))["reason"] == "removed"
        assert await bo.ends() == 4403
        bo = await house.join("bo", encoding=encoding)
        await ada.call("moderate", action="ban", identity="bo")
        assert (await bo.hears("removed"))["reason"] == "banned"
        with pytest.raises(RpcError) as refused:
            await house.join("bo", encoding=encoding)
        assert refused.value.code == "banned"


@both
async def test_services_that_do_not_run_are_unavailable_and_need_their_grants(encoding: Encoding) -> None:
    calls = (
        ("record_start", {}),
        ("record_stop", {"recording": "rec_1"}),
        ("broadcast_start", {"destinations": ["dst_1"]}),
        ("broadcast_change", {"broadcast": "bc_1", "layout": "speaker"}),
        ("broadcast_stop", {"broadcast": "bc_1"}),
        ("destinations", {}),
    )
    async with rig() as house:
        guest = await house.join("guest", encoding=encoding)
        host = await house.join("host", encoding=encoding, permissions=HOST)
        for method, params in calls:
            for client, code in ((guest, "forbidden"), (host, "unavailable")):
                with pytest.raises(RpcError) as refused:
                    await client.call(method, **params)
                assert refused.value.code == code


@both
async def test_a_ping_tells_the_time(encoding: Encoding) -> None:
    async with rig() as house:
        client = await house.connect(encoding)
        assert abs((await client.call("ping"))["now_ms"] - time.time() * 1000) < 5_000


@both
async def test_a_renewed_token_changes_permissions_at_once(encoding: Encoding) -> None:
    async with rig() as house:
        ada = await house.join("ada", encoding=encoding)
        token = house.token("ada", permissions=(Permission.JOIN, Permission.SUBSCRIBE), ttl_s=900)
        result = await ada.call("renew", token=token)
        assert result["permissions"] == ["join", "subscribe"]
        assert result["token_expires_at"] > ada.result["token_expires_at"]
        with pytest.raises(RpcError) as refused:
            await ada.call("chat", text="x")
        assert refused.value.code == "forbidden"


@pytest.mark.parametrize("other", [{"identity": "bo"}, {"identity": "ada", "room": "other"}])
async def test_a_renewal_for_somebody_else_or_elsewhere_is_forbidden(other: dict[str, str]) -> None:
    async with rig() as house:
        ada = await house.join("ada", permissions=HOST)
        with pytest.raises(RpcError) as refused:
            await ada.call("renew", token=house.token(**other))
        assert refused.value.code == "forbidden"


# Row 29: grants are checked at every action.


@pytest.mark.parametrize(
    ("permissions", "method", "params"),
    [
        ((Permission.JOIN,), "publish", {"sdp": "v=0"}),
        ((Permission.JOIN, Permission.PUBLISH), "chat", {"text": "x"}),
        (PERSON, "moderate", {"action": "mute", "identity": "ada"}),
        (PERSON, "record_start", {}),
        ((*PERSON, Permission.RECORD), "broadcast_start", {"destinations": ["d"]}),
        ((*PERSON, Permission.RECORD), "moderate", {"action": "remove", "identity": "ada"}),
    ],
)
async def test_what_the_token_does_not_permit_is_forbidden(
    permissions: tuple[Permission, ...], method: str, params: dict[str, object]
) -> None:
    async with rig() as house:
        client = await house.join("eve", permissions=permissions)
        params = params | ({"sdp": offer()} if method == "publish" else {})
        with pytest.raises(RpcError) as refused:
            await client.call(method, **params)
        assert refused.value.code == "forbidden"


async def test_a_token_without_join_does_not_come_in() -> None:
    async with rig() as house:
        with pytest.raises(RpcError) as refused:
            await house.join("eve", permissions=(Permission.PUBLISH,))
        assert refused.value.code == "forbidden"


async def test_an_external_token_does_not_come_in_by_websocket() -> None:
    async with rig() as house:
        with pytest.raises(RpcError) as refused:
            await house.join("eve", token=house.token("eve", is_external=True))
        assert refused.value.code == "forbidden"


async def test_a_name_that_is_anothers_identity_gives_nothing_of_theirs() -> None:
    async with rig() as house:
        await house.join("ada", permissions=HOST)
        eve = await house.join("eve", name="ada")
        assert eve.result["name"] != "ada"
        with pytest.raises(RpcError) as refused:
            await eve.call("moderate", action="remove", identity="ada")
        assert refused.value.code == "forbidden"


async def test_a_second_session_of_an_identity_replaces_the_first() -> None:
    async with rig() as house:
        first = await house.join("ada")
        second = await house.join("ada")
        assert (await first.hears("removed"))["reason"] == "replaced"
        assert await first.ends() == 4409
        assert second.result["participants"] == []


async def test_a_permission_that_is_taken_away_ends_the_media() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        bo = await house.join("bo")
        await bo.call("publish", sdp=offer())
        await ada.hears("track_published")
        await bo.call("renew", token=house.token("bo", permissions=(Permission.JOIN, Permission.CHAT)))
        await ada.hears("track_unpublished")


# Losing and resuming.


async def test_a_lost_connection_is_resumed_in_place() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        bo = await house.join("bo")
        await bo.call("publish", sdp=offer())
        await ada.hears("track_published")
        bo.drop()
        assert (await ada.hears("participant_updated"))["participant"]["state"] == "suspended"
        again = await house.join("bo", resume=bo.result["resume"], media="kept")
        assert again.result["resumed"] is True
        assert again.result["media"] == "kept"
        assert again.result["participant"] == bo.result["participant"]
        assert again.result["resume"] != bo.result["resume"]
        assert (await ada.hears("participant_updated"))["participant"]["state"] == "active"


async def test_a_resume_secret_serves_once() -> None:
    async with rig() as house:
        bo = await house.join("bo")
        bo.drop()
        again = await house.join("bo", resume=bo.result["resume"])
        again.drop()
        third = await house.join("bo", resume=bo.result["resume"])
        assert third.result["resumed"] is False


async def test_another_identity_cannot_use_a_resume_secret() -> None:
    async with rig() as house:
        bo = await house.join("bo")
        bo.drop()
        eve = await house.join("eve", resume=bo.result["resume"])
        assert eve.result["resumed"] is False
        assert eve.result["participant"] != bo.result["participant"]


async def test_without_a_resume_the_place_is_lost_after_the_grace_time() -> None:
    async with rig(settings=RoomSettings(grace_s=0.2)) as house:
        ada = await house.join("ada")
        bo = await house.join("bo")
        bo.drop()
        left = await ada.hears("participant_left")
        assert left == {"participant": bo.result["participant"], "reason": "lost"}


# Deadlines and limits.


async def test_an_idle_socket_is_closed_after_the_join_timeout() -> None:
    async with rig(session=SessionLimits(join_timeout_s=0.2)) as house:
        client = await house.connect()
        assert await client.ends() == 4408


async def test_an_expired_token_ends_the_session() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        bo = await house.join("bo", token=house.token("bo", ttl_s=2))
        await bo.hears("token_expiring")
        assert (await bo.hears("removed"))["reason"] == "token_expired"
        assert await bo.ends() == 4401
        assert (await ada.hears("participant_left"))["reason"] == "token_expired"


async def test_a_slow_reader_is_closed_and_hurts_nobody() -> None:
    async with rig(outbox_messages=50) as house:
        ada = await house.join("ada")
        slow = await house.join("slow")
        slow.socket._response.connection.transport.pause_reading()
        room = house.services.rooms.room("demo")
        line = ChatMessage(id="c", at_ms=0, participant="p", identity="x", name="X", text="x" * 60_000)

        def is_suspended() -> bool:
            room.tell(Chat(line))
            return any(method == "participant_updated" for method, _ in ada.told)

        await until(is_suspended, "the slow reader is suspended", 20.0)
        assert (await ada.hears("participant_updated"))["participant"]["state"] == "suspended"
        started = time.monotonic()
        await ada.call("ping")
        assert time.monotonic() - started < 1.0
        closes = house.listener._runner.app[CONTEXT].metrics.closes.labels("slow_reader")
        await until(lambda: closes._value.get() == 1, "closed as a slow reader")
        slow.drop()


async def test_a_reader_that_takes_nothing_of_one_message_is_closed_in_time() -> None:
    async with rig(call_timeout_s=1.0, outbox_bytes=64 << 20) as house:
        slow = await house.join("slow")
        slow.socket._response.connection.transport.pause_reading()
        line = ChatMessage(id="c", at_ms=0, participant="p", identity="x", name="X", text="x" * 60_000)
        room = house.services.rooms.room("demo")
        # More than what the sockets' buffers take, fewer than would be too many messages.
        for _ in range(400):
            room.tell(Chat(line))
            await asyncio.sleep(0)
        closes = house.listener._runner.app[CONTEXT].metrics.closes.labels("slow_reader")
        await until(lambda: closes._value.get() == 1, "closed as a slow reader")
        slow.drop()


async def test_a_flood_of_requests_ends_the_session() -> None:
    async with rig() as house:
        client = await house.join("ada")
        for number in range(1_000, 1_400):
            await client.send({"jsonrpc": "2.0", "id": number, "method": "ping"})
        assert await client.ends() == 4429


async def test_the_number_of_sockets_is_bounded() -> None:
    async with rig(sockets=2) as house:
        await house.connect()
        await house.connect()
        status, body = await house.get(
            "/v1/rtc",
            headers={
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Protocol": "parley.v1.json",
            },
        )
        assert status == 429
        assert body["retry_after_s"] > 0


async def test_a_fault_in_one_request_is_told_by_reference_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig() as house:
        ada = await house.join("ada")
        rooms = house.services.rooms

        def broken(*_args: object, **_kwargs: object) -> None:
            raise ZeroDivisionError("secret detail")

        monkeypatch.setattr(type(rooms.room("demo").chat), "visible_to", broken)
        with pytest.raises(RpcError) as refused:
            await house.join("bo")
        assert refused.value.number == -32603
        assert "secret detail" not in str(refused.value.data)
        assert (await ada.call("ping"))["now_ms"]


async def test_draining_tells_everyone_and_closes() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        app = house.listener._runner.app
        drain(app)
        assert (await ada.hears("goaway"))["reason"] == "shutting_down"
        assert await ada.ends() == 1001
        status, body = await house.get("/readyz")
        assert (status, body["ready"]) == (503, False)
        status, body = await house.request("POST", "/whip/demo", headers=house.bearer())
        assert (status, body["code"]) == (503, "shutting_down")


async def test_sessions_that_end_in_six_ways_leave_nothing() -> None:
    async with rig(session=replace(SessionLimits(), join_timeout_s=1.0)) as house:
        for number in range(34):
            way = number % 6
            if way == 0:
                await house.connect()
                continue
            client = await house.join(f"p{number}")
            if way == 1:
                await client.call("leave")
            elif way == 2:
                client.drop()
            elif way == 3:
                await client.close()
            elif way == 4:
                await client.socket.send_str("{")
            else:
                await client.socket.send_bytes(b"\xc1")
        app = house.listener._runner.app
        await until(lambda: open_connections(app) == 0, "all connections gone")


async def test_a_room_is_closed_over_rest_and_everyone_is_told() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        status, _ = await house.request("DELETE", "/api/v1/rooms/demo", headers=house.admin())
        assert status == 204
        await ada.hears("room_closed")
        assert await ada.ends() == 4410
