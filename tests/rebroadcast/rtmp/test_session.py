import pytest

from rebroadcast.worker.rtmp import Published, PublishSession, Refused, RtmpTarget, Send, SessionState, amf0
from rebroadcast.worker.rtmp.chunk import ChunkReader, Message, write_message

TARGET = RtmpTarget.parse("rtmp://partner.example/live/secret-key")


class Server:
    """The other end, just enough of it: reads what the session sends, writes what a test wants."""

    def __init__(self, session):
        self.session = session
        self.reader = ChunkReader()
        self.commands = []
        self.messages = []
        self.events = []
        self.seen_handshake = b""

    def pump(self):
        for effect in self.session.poll():
            if not isinstance(effect, Send):
                self.events.append(effect)
                continue
            data = effect.data
            need = 1 + 2 * 1536 - len(self.seen_handshake)
            self.seen_handshake += data[:need]
            for message in self.reader.receive(data[need:]):
                self.messages.append(message)
                if message.type_id == 20:
                    self.commands.append(amf0.decode(message.payload))

    def command(self, *values):
        message = Message(20, 0, 0, amf0.encode(*values))
        self.say(write_message(message, chunk_stream=3, chunk_bytes=128))

    def say(self, data):
        self.session.receive(data, 1.0)
        self.pump()


@pytest.fixture
def server():
    session = PublishSession(TARGET, now=0.0, random_bytes=bytes(1528))
    server = Server(session)
    server.pump()
    return server


def go_live(server):
    server.say(b"\x03" + b"S" * 1536 + b"T" * 1536)
    server.command("_result", 1.0, {}, {"code": "NetConnection.Connect.Success"})
    server.command("_result", 4.0, None, 1.0)
    server.command("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Publish.Start"})


def test_a_publish_walks_from_handshake_to_live(server):
    go_live(server)
    assert server.session.state is SessionState.LIVE
    assert server.events == [Published()]
    assert [c[0] for c in server.commands] == [
        "connect",
        "releaseStream",
        "FCPublish",
        "createStream",
        "publish",
    ]
    assert server.commands[0][2]["tcUrl"] == "rtmp://partner.example:1935/live"
    assert server.commands[-1][3:] == ["secret-key", "live"]
    assert server.session.deadline() is None


def test_media_carries_the_stream_id_and_time(server):
    go_live(server)
    server.session.send_video(b"\x17\x01frame", 40)
    server.session.send_audio(b"\xaf\x01sound", 41)
    server.pump()
    assert [(m.type_id, m.stream_id, m.timestamp_ms, m.payload) for m in server.messages[-2:]] == [
        (9, 1, 40, b"\x17\x01frame"),
        (8, 1, 41, b"\xaf\x01sound"),
    ]


def test_media_before_the_server_accepted_is_a_programming_error(server):
    with pytest.raises(RuntimeError):
        server.session.send_video(b"x", 0)


@pytest.mark.parametrize(
    "answer",
    [
        (
            "_error",
            1.0,
            None,
            {"code": "NetConnection.Connect.Rejected", "description": "no secret-key here"},
        ),
        (
            "onStatus",
            0.0,
            None,
            {"level": "error", "code": "NetStream.Publish.BadName", "description": "taken"},
        ),
        ("close", 0.0, None),
    ],
)
def test_a_refusal_ends_the_session_without_the_key_in_its_reason(server, answer):
    server.say(b"\x03" + bytes(3072))
    server.command(*answer)
    assert server.session.state is SessionState.CLOSED
    (event,) = server.events
    assert isinstance(event, Refused)
    assert "secret-key" not in event.reason


def test_an_error_for_release_stream_is_no_refusal(server):
    server.say(b"\x03" + bytes(3072))
    server.command("_error", 2.0, None, {"code": "NetStream.Unknown"})
    assert server.session.state is SessionState.CONNECTING


def test_a_silent_server_is_given_up_at_the_deadline(server):
    server.session.tick(server.session.deadline())
    server.pump()
    assert server.session.state is SessionState.CLOSED
    assert "no answer while handshake" in server.events[0].reason


def test_a_ping_is_answered_with_its_own_time(server):
    go_live(server)
    server.say(write_message(Message(4, 0, 0, b"\x00\x06\x01\x02\x03\x04"), chunk_stream=2, chunk_bytes=128))
    assert server.messages[-1].payload == b"\x00\x07\x01\x02\x03\x04"


def test_received_bytes_are_acknowledged_within_the_window(server):
    go_live(server)
    server.say(write_message(Message(5, 0, 0, (2048).to_bytes(4, "big")), chunk_stream=2, chunk_bytes=128))
    server.say(write_message(Message(9, 1, 0, bytes(3000)), chunk_stream=6, chunk_bytes=128))
    assert server.messages[-1].type_id == 3


def test_what_the_server_acknowledged_is_remembered(server):
    go_live(server)
    server.say(write_message(Message(3, 0, 0, (123_456).to_bytes(4, "big")), chunk_stream=2, chunk_bytes=128))
    assert server.session.acknowledged_bytes == 123_456


def test_a_server_of_another_version_is_refused(server):
    server.say(b"\x06" + bytes(10))
    assert "version 6" in server.events[0].reason


@pytest.mark.parametrize(
    ("url", "tc_url", "key"),
    [
        ("rtmp://h/app/key", "rtmp://h:1935/app", "key"),
        ("rtmps://h/app/instance/key?sig=1", "rtmps://h:443/app/instance", "key?sig=1"),
        ("rtmp://[2001:db8::1]:1936/a/k", "rtmp://[2001:db8::1]:1936/a", "k"),
    ],
)
def test_a_url_splits_into_application_and_key(url, tc_url, key):
    target = RtmpTarget.parse(url)
    assert (target.tc_url, target.key) == (tc_url, key)
    assert key not in repr(target)


@pytest.mark.parametrize("url", ["http://h/a/k", "rtmp:///a/k", "rtmp://h/key-alone", "rtmp://h"])
def test_a_url_without_its_parts_is_refused(url):
    with pytest.raises(ValueError):
        RtmpTarget.parse(url)


def test_an_answered_ping_says_how_far_the_server_has_read(server):
    server.session.ping(7)
    server.pump()
    assert not server.messages, "there is nobody to answer yet"
    go_live(server)
    server.session.ping(7)
    server.pump()
    assert server.messages[-1].payload == b"\x00\x06\x00\x00\x00\x07"
    assert server.session.answered_ping is None
    for payload in (b"\x00\x07", b"\x00\x07\x00\x00\x00\x07"):
        server.say(write_message(Message(4, 0, 0, payload), chunk_stream=2, chunk_bytes=128))
    assert server.session.answered_ping == 7
