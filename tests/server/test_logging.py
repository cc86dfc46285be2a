"""Logs: one event a line, no secrets, no line that somebody else wrote."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
import structlog.testing
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from server.logging import MASK, MalformedRequests, clean, configure

CANARY = "k4naryk4naryk4nary"
JWT = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImRldiJ9.eyJzdWIiOiJhZGEifQ." + CANARY


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def as_json(logged: io.StringIO) -> io.StringIO:
    configure("debug", "json", logged)
    return logged


HOSTILE = "Ada\r\n2026-11-22 error consent_revoked\x1b[31mred\x1b[0m\x00\u2028\u202ereversed"


def test_an_event_with_a_hostile_name_is_one_json_line(as_json: io.StringIO) -> None:
    structlog.get_logger("x").info("participant_joined", name=HOSTILE, **{"key\nwith": "newline"})
    lines = as_json.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].isascii()
    assert json.loads(lines[0])["event"] == "participant_joined"
    assert "\x1b" not in json.loads(lines[0])["name"]


def test_an_event_with_a_hostile_name_is_one_console_line(logged: io.StringIO) -> None:
    configure("debug", "console", logged)
    structlog.get_logger("x").info("participant_joined", name=HOSTILE)
    text = logged.getvalue()
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


def test_a_traceback_cannot_look_like_an_event(logged: io.StringIO) -> None:
    configure("debug", "console", logged)
    try:
        int("x\n00:00:00 info    consent_granted")
    except ValueError:
        structlog.get_logger("x").exception("request_failed")
    lines = logged.getvalue().splitlines()
    assert len(lines) > 2
    assert all(line.startswith("    | ") for line in lines[1:])


@pytest.mark.parametrize(
    "fields",
    [
        {"token": CANARY},
        {"stream_key": CANARY},
        {"key": CANARY},
        {"Authorization": CANARY},
        {"resume": CANARY},
        {"url": f"rtmp://live.example/app/{CANARY}"},
        {"url": f"rtmps://live.example/app/{CANARY}?x=1"},
        {"url": f"https://user:{CANARY}@example/"},
        {"url": f"https://example/r?token={CANARY}&a=1"},
        {"link": f"http://127.0.0.1:8080/r/demo#token={JWT}"},
        {"text": f"bad token {JWT}"},
        {"header": f"Bearer {CANARY}"},
        {"nested": {"deep": [{"password": CANARY}]}},
        {"nested": {"deep": [f"Bearer {CANARY}"]}},
        {"offer": f"v=0\r\na=ice-pwd:{CANARY}\r\n"},
        {"sdp": CANARY},
        {"path": f"/live/b/index.m3u8?expires=1&sig={CANARY}"},
    ],
)
def test_a_secret_is_not_logged(as_json: io.StringIO, fields: dict[str, object]) -> None:
    structlog.get_logger("x").warning("thing_happened", **fields)
    assert CANARY not in as_json.getvalue()
    assert MASK in as_json.getvalue()


def test_a_secret_in_a_library_s_text_is_not_logged(as_json: io.StringIO) -> None:
    logging.getLogger("lib").warning("cannot open %s with %s", f"rtmp://x/app/{CANARY}", f"Bearer {CANARY}")
    assert CANARY not in as_json.getvalue()


def test_a_secret_in_an_exception_is_not_logged(as_json: io.StringIO) -> None:
    try:
        int(f"cannot connect to rtmp://live.example/app/{CANARY}")
    except ValueError:
        structlog.get_logger("x").exception("destination_failed")
        logging.getLogger("lib").exception("failed")
    assert CANARY not in as_json.getvalue()


def test_ordinary_fields_stay_as_they_are(as_json: io.StringIO) -> None:
    structlog.get_logger("x").info("peer_connected", room="demo", count=3, ratio=0.5, ok=True, none=None)
    event = json.loads(as_json.getvalue())
    assert (event["room"], event["count"], event["ratio"], event["ok"], event["none"]) == (
        "demo",
        3,
        0.5,
        True,
        None,
    )


def test_a_long_text_is_cut() -> None:
    assert len(clean("x" * 1_000_000)) < 5_000


def test_debug_is_off_at_info(logged: io.StringIO) -> None:
    configure("info", "json", logged)
    structlog.get_logger("x").debug("noise")
    logging.getLogger("lib").debug("noise")
    assert logged.getvalue() == ""


def test_unreadable_requests_are_one_counted_line_a_second_without_address_or_bytes() -> None:
    clock = FakeNow()
    judge = MalformedRequests(clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(50):
            assert not judge.filter(failed(BadHttpMessage("GET /?token=" + CANARY)))
        clock.now_s += 1
        assert not judge.filter(failed(LineTooLong("x" * 90, 8190)))
    assert [(line["event"], line["count"], line["reason"]) for line in lines] == [
        ("http_request_malformed", 1, "BadHttpMessage"),
        ("http_request_malformed", 50, "LineTooLong"),
    ]
    assert CANARY not in str(lines)


def test_a_fault_of_a_request_is_logged_without_the_address_of_who_asked() -> None:
    record = failed(KeyError("ours"))
    assert MalformedRequests().filter(record)
    assert record.exc_info is not None
    assert record.getMessage() == "http_request_failed"


class FakeNow:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def failed(error: Exception) -> logging.LogRecord:
    """What aiohttp logs of a request that raised."""
    return logging.LogRecord(
        "aiohttp.server",
        logging.ERROR,
        __file__,
        1,
        "Error handling request from %s",
        ("192.0.2.7",),
        (type(error), error, None),
    )
