"""The session's state machine, without a socket."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from signaling.errors import Problem
from signaling.limits import Rate
from signaling.messages import METHODS, Chat, Join, Lane, Ping
from signaling.session import Call, Close, CloseCode, Send, Session, SessionLimits, State
from signaling.wire import Encoding


def call(method: str, request: object = 1, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": params}).encode()


class Driver:
    """A session with a clock, whose effects are kept by kind."""

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self.now = 100.0
        self.session = Session(Encoding.JSON, self.now, limits)
        self.calls: list[Call] = []
        self.sent: list[dict[str, Any]] = []
        self.close: CloseCode | None = None

    def receive(self, data: bytes, *, is_text: bool = True) -> "Driver":
        self.session.receive(data, self.now, is_text=is_text)
        return self.take()

    def tick(self, seconds: float) -> "Driver":
        self.now += seconds
        self.session.tick(self.now)
        return self.take()

    def take(self) -> "Driver":
        for effect in self.session.poll():
            match effect:
                case Call():
                    self.calls.append(effect)
                case Send():
                    self.sent.append(json.loads(effect.data))
                case Close():
                    assert self.close is None
                    self.close = effect.code
        return self

    def join(self, lives_s: float = 3600.0) -> "Driver":
        self.receive(call("join", 1, token="t"))
        self.session.joined(1, {"participant": "p"}, token_expires_at=7, lives_s=lives_s, now=self.now)
        return self.take()

    def error(self) -> tuple[int, str | None]:
        error = self.sent[-1]["error"]
        return error["code"], error.get("data", {}).get("code") if "data" in error else None


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_a_join_becomes_a_call_and_its_result_an_answer(driver: Driver) -> None:
    driver.receive(call("join", "a", token="t", uses={"live": True}))
    assert [(item.lane, item.id, type(item.request)) for item in driver.calls] == [(Lane.CONTROL, "a", Join)]
    assert driver.session.state is State.JOINING
    driver.session.joined("a", {"participant": "p"}, token_expires_at=7, lives_s=60, now=driver.now)
    driver.take()
    assert driver.sent == [{"jsonrpc": "2.0", "id": "a", "result": {"participant": "p"}}]
    assert driver.session.state is State.JOINED


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"join", "ping", "leave"}))
def test_before_the_join_nothing_else_is_carried_out(driver: Driver, method: str) -> None:
    params: dict[str, Any] = {
        "sdp": "v=0",
        "version": 1,
        "track": 1,
        "enabled": True,
        "muted": True,
        "text": "x",
        "terms_version": "1",
        "age_18": True,
        "uses": {},
        "notice": "n",
        "action": "mute",
        "identity": "i",
        "recording": "r",
        "destinations": ["d"],
        "broadcast": "b",
        "token": "t",
        "id": "l",
    }
    driver.receive(call(method, **params))
    assert driver.error() == (-32000, "unauthorized")
    assert driver.calls == []


def test_a_ping_is_answered_before_the_join(driver: Driver) -> None:
    driver.receive(call("ping"))
    assert isinstance(driver.calls[0].request, Ping)


def test_without_a_join_in_five_seconds_it_is_over(driver: Driver) -> None:
    assert driver.session.deadline() == driver.now + 5.0
    assert driver.tick(4.9).close is None
    assert driver.tick(0.2).close is CloseCode.JOIN_TIMEOUT
    assert driver.session.deadline() is None


def test_a_join_that_arrived_has_time_to_be_carried_out(driver: Driver) -> None:
    driver.tick(4.0).receive(call("join", 1, token="t"))
    assert driver.tick(15.0).close is None
    assert driver.tick(6.0).close is CloseCode.JOIN_TIMEOUT


def test_a_second_join_is_a_conflict(driver: Driver) -> None:
    driver.join().receive(call("join", 2, token="t"))
    assert driver.error() == (-32000, "conflict")


def test_a_join_refused_for_a_notice_may_be_tried_again_but_three_times_at_most(driver: Driver) -> None:
    for attempt in range(3):
        driver.receive(call("join", attempt, token="t"))
        driver.session.refuse(attempt, Problem("room_full", "full"))
        driver.take()
    assert driver.close is CloseCode.UNAUTHORIZED


def test_a_refused_token_ends_the_session(driver: Driver) -> None:
    driver.receive(call("join", 1, token="t"))
    driver.session.refuse(1, Problem("unauthorized", "no"))
    driver.take()
    assert driver.error() == (-32000, "unauthorized")
    assert driver.close is CloseCode.UNAUTHORIZED


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a":NaN}', b"[" * 50_000])
def test_what_cannot_be_decoded_is_told_and_ends_the_session(driver: Driver, data: bytes) -> None:
    driver.receive(data)
    assert driver.error()[0] == -32700
    assert driver.close is CloseCode.MALFORMED


def test_a_binary_frame_on_a_json_session_ends_it(driver: Driver) -> None:
    assert driver.receive(call("ping"), is_text=False).close is CloseCode.WRONG_FRAME


@pytest.mark.parametrize(
    "data",
    [
        b"1",
        b"[]",
        b"{}",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"2.0","method":"ping"}',
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
        b'{"jsonrpc":"2.0","id":"' + b"x" * 65 + b'","method":"ping"}',
    ],
)
def test_what_is_not_a_request_is_an_invalid_request(driver: Driver, data: bytes) -> None:
    driver.receive(data)
    assert driver.error()[0] == -32600
    assert driver.close is None


def test_an_unknown_method_is_told(driver: Driver) -> None:
    driver.receive(call("__class__"))
    assert driver.error()[0] == -32601


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("join", {}),
        ("join", {"token": 7}),
        ("join", {"token": "t" * 9_000}),
        ("join", {"token": "t", "uses": {"live": "yes"}}),
        ("join", {"token": "t", "uses": {str(n): True for n in range(40)}}),
        ("join", {"token": "t", "media": "old"}),
        ("join", {"token": "t", "accept": {"terms_version": "1", "age_18": 1}}),
        ("publish", {"sdp": ""}),
        ("publish", {"sdp": "v=0", "sources": {"0": "window"}}),
        ("subscription", {"track": -1, "enabled": True}),
        ("subscription", {"track": 2**32, "enabled": True}),
        ("subscription", {"track": 1, "enabled": True, "spatial": 9}),
        ("mute", {"track": "1", "muted": True}),
        ("chat", {"text": ""}),
        ("chat", {"text": "x" * 7_000}),
        ("moderate", {"action": "shout", "identity": "x"}),
        ("broadcast_start", {"destinations": []}),
        ("broadcast_start", {"destinations": ["d"], "layout": "mosaic"}),
    ],
)
def test_params_of_the_wrong_shape_are_told_by_field(
    driver: Driver, method: str, params: dict[str, Any]
) -> None:
    driver.receive(call(method, **params))
    assert driver.error()[0] == -32602
    assert driver.calls == []


def test_positional_params_are_refused(driver: Driver) -> None:
    driver.receive(b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}')
    assert driver.error()[0] == -32602


def test_unknown_fields_are_ignored(driver: Driver) -> None:
    driver.receive(call("ping", later={"x": 1}))
    assert len(driver.calls) == 1


def test_an_id_that_is_in_flight_is_refused(driver: Driver) -> None:
    driver.receive(call("ping", 5)).receive(call("ping", 5))
    assert driver.error()[0] == -32600
    driver.session.answer(5, {})
    driver.take().receive(call("ping", 5))
    assert len(driver.calls) == 2


def test_twenty_malformed_requests_end_the_session(driver: Driver) -> None:
    for _ in range(20):
        driver.receive(b"{}")
    assert driver.close is CloseCode.BAD_REQUESTS


def test_a_flood_is_refused_and_then_ended() -> None:
    limits = SessionLimits(rate=Rate(10, 20), excess=Rate(1, 30), in_flight=10_000)
    driver = Driver(limits).join()
    for number in range(100, 160):
        driver.receive(call("ping", number))
    assert driver.close is CloseCode.RATE_LIMITED
    refused = [
        item for item in driver.sent if item.get("error", {}).get("data", {}).get("code") == "rate_limited"
    ]
    assert len(refused) == 30
    assert refused[0]["error"]["data"]["retry_after_s"] > 0


def test_requests_of_a_lane_wait_up_to_a_bound(driver: Driver) -> None:
    driver.join()
    for number in range(10, 10 + 33):
        driver.receive(call("ping", number))
    assert len(driver.calls) == 1 + 32
    assert driver.error() == (-32000, "rate_limited")
    driver.receive(call("mute", 99, track=1, muted=True))
    assert driver.calls[-1].lane is Lane.MEDIA


def test_the_token_is_warned_about_and_then_ends_the_session(driver: Driver) -> None:
    driver.join(lives_s=100.0)
    assert driver.tick(79.0).sent[-1].get("method") is None
    assert driver.tick(1.5).sent[-1]["method"] == "token_expiring"
    assert driver.tick(10.0).close is None
    driver.tick(10.0)
    assert driver.sent[-1] == {"jsonrpc": "2.0", "method": "removed", "params": {"reason": "token_expired"}}
    assert driver.close is CloseCode.UNAUTHORIZED


def test_a_renewed_token_lives_on(driver: Driver) -> None:
    driver.join(lives_s=100.0).tick(90.0)
    driver.session.renewed(token_expires_at=9, lives_s=100.0, now=driver.now)
    assert driver.tick(60.0).close is None


def test_the_answer_to_a_leave_comes_before_the_close(driver: Driver) -> None:
    driver.join().receive(call("leave", 2))
    driver.session.left(2)
    driver.take()
    assert driver.sent[-1]["result"] == {}
    assert driver.close is CloseCode.LEFT


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("removed", CloseCode.REMOVED),
        ("banned", CloseCode.REMOVED),
        ("replaced", CloseCode.REPLACED),
        ("token_expired", CloseCode.UNAUTHORIZED),
    ],
)
def test_a_removed_participant_is_told_why(driver: Driver, reason: str, code: CloseCode) -> None:
    driver.join()
    driver.session.removed(reason)
    driver.take()
    assert driver.sent[-1]["params"] == {"reason": reason}
    assert driver.close is code


def test_a_slow_reader_is_not_removed_but_closed_so_that_it_may_resume(driver: Driver) -> None:
    driver.join()
    driver.session.removed("slow_reader")
    driver.take()
    assert [message["method"] for message in driver.sent if "method" in message] == []
    assert driver.close is CloseCode.SLOW_READER


def test_nothing_is_told_before_the_join_or_after_the_end(driver: Driver) -> None:
    driver.session.notify("chat", {})
    assert driver.take().sent == []
    driver.join()
    driver.session.end(CloseCode.INTERNAL)
    driver.session.notify("chat", {})
    driver.session.answer(1, {})
    driver.receive(call("ping", 9))
    assert len(driver.sent) == 1


def test_a_fault_is_told_by_its_reference_alone(driver: Driver) -> None:
    driver.join().receive(call("chat", 3, text="x"))
    assert isinstance(driver.calls[-1].request, Chat)
    driver.session.refuse(3, Problem("internal", "fault", extra={"reference": "abc"}))
    driver.take()
    assert driver.sent[-1]["error"]["code"] == -32603
    assert driver.sent[-1]["error"]["data"]["reference"] == "abc"


class SessionMachine(RuleBasedStateMachine):
    """Whatever comes in whatever order: one answer for each request, nothing after the close."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver()
        self.number = 0
        self.after_close = 0

    @rule(
        method=st.sampled_from([*METHODS, "nonsense"]),
        params=st.dictionaries(
            st.sampled_from(["token", "text", "sdp", "track"]), st.integers() | st.text(max_size=3)
        ),
    )
    def request(self, method: str, params: dict[str, Any]) -> None:
        self.number += 1
        self.driver.receive(call(method, self.number, **params))

    @rule(data=st.binary(max_size=20))
    def noise(self, data: bytes) -> None:
        self.driver.receive(data)

    @precondition(lambda self: self.driver.calls)
    @rule(data=st.data())
    def outcome(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.driver.calls))
        session = self.driver.session
        if isinstance(item.request, Join):
            if data.draw(st.booleans()):
                session.joined(item.id, {}, token_expires_at=1, lives_s=5.0, now=self.driver.now)
            else:
                session.refuse(item.id, Problem("room_full", "full"))
        else:
            session.answer(item.id, {})
        self.driver.calls.remove(item)
        self.driver.take()

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds: float) -> None:
        self.driver.tick(seconds)

    @rule(reason=st.sampled_from(["removed", "replaced"]))
    def removed(self, reason: str) -> None:
        self.driver.session.removed(reason)
        self.driver.take()

    @invariant()
    def answers_are_unique(self) -> None:
        ids = [item["id"] for item in self.driver.sent if item.get("id") is not None]
        assert len(ids) == len(set(ids))

    @invariant()
    def closed_means_ended(self) -> None:
        assert (self.driver.close is not None) == (self.driver.session.state is State.ENDED)


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSessionMachine = SessionMachine.TestCase
