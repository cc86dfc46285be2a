import struct
from pathlib import Path

import pytest
from aioice import stun

from sfu.transport import (
    BindPath,
    ConsentLost,
    IceConnected,
    IceDisconnected,
    IceLite,
    IceState,
    SendStun,
    UfragsChanged,
    UnbindPath,
)
from sfu.transport import (
    Path as IcePath,
)
from sfu.transport.stun import binding_request, binding_success, parse_stun

_UFRAG, _PWD = "ourufrag1234", "o" * 24
_HOME = (0, "192.0.2.1", 5000)
_AWAY = (0, "198.51.100.9", 6000)
_CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "fuzz_stun"


class _Checks:
    """Makes checks with fresh transactions."""

    def __init__(self):
        self.count = 0

    def __call__(self, *, nominate=False, username=f"{_UFRAG}:them", pwd=_PWD):
        self.count += 1
        return binding_request(
            self.count.to_bytes(12, "big"), username, pwd, priority=1, tie_breaker=2, use_candidate=nominate
        )


@pytest.fixture
def check():
    return _Checks()


def _agent(**more):
    return IceLite(ufrag=_UFRAG, pwd=_PWD, now=0.0, **more)


def _receive(agent, data, source=_HOME, now=1.0):
    agent.receive(data, *source, now)
    return list(agent.poll())


def _signed(*attributes: tuple[int, bytes], transaction=b"transaction!") -> bytes:
    """A request with raw attributes, signed with our password."""
    body = b"".join(struct.pack("!HH", type_, len(v)) + v + bytes(-len(v) % 4) for type_, v in attributes)
    data = struct.pack("!HHI12s", 1, len(body), stun.COOKIE, transaction) + body
    data += struct.pack("!HH", 0x0008, 20) + stun.message_integrity(data, _PWD.encode())
    return stun.set_body_length(data, len(data) - 20)


_USERNAME = (0x0006, f"{_UFRAG}:them".encode())


def test_an_authenticated_check_binds_its_address_and_is_answered_then(check):
    bound, sent = _receive(_agent(), check())
    assert isinstance(sent, SendStun)
    assert (sent.socket, sent.ip, sent.port) == _HOME
    answer = stun.parse_message(sent.data)
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.1", 5000)
    assert answer.check_message_integrity(_PWD.encode())
    assert bound == BindPath(*_HOME, selected=False)


def test_a_nomination_selects_and_connects(check):
    agent = _agent()
    effects = _receive(agent, check(nominate=True))
    assert effects[:-1] == [
        BindPath(*_HOME, selected=False),
        BindPath(*_HOME, selected=True),
        IceConnected(),
    ]
    assert agent.selected[:3] == _HOME
    assert agent.state is IceState.CONNECTED
    assert len(_receive(agent, check(nominate=True))) == 1, "a repeated nomination only answers"


def test_a_path_whose_checks_the_engine_answered_stays_bound_after_a_move(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    agent.hear(60.0)
    _receive(agent, check(nominate=True), _AWAY, now=61.0)
    agent.tick(62.0)
    assert {path[:3] for path in agent.paths} == {_HOME, _AWAY}
    agent.tick(90.5)
    assert {path[:3] for path in agent.paths} == {_AWAY}


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_address(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    assert len(_receive(agent, check(), (0, "::ffff:192.0.2.1", 5000))) == 1


def test_the_latest_nomination_wins_without_a_new_connection(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    effects = _receive(agent, check(nominate=True), _AWAY)
    assert effects[:-1] == [BindPath(*_AWAY, selected=False), BindPath(*_AWAY, selected=True)]
    assert agent.selected[:3] == _AWAY
    assert {path[:3] for path in agent.paths} == {_HOME, _AWAY}, (
        "the old address stays bound for what is on its way"
    )


def test_the_same_address_on_another_socket_is_another_path(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    assert BindPath(1, "192.0.2.1", 5000, selected=False) in _receive(agent, check(), (1, "192.0.2.1", 5000))


def test_a_retransmitted_check_is_answered_again(check):
    agent = _agent()
    data = check()
    _receive(agent, data)
    [again] = _receive(agent, data)
    assert isinstance(again, SendStun)


def test_an_overheard_nomination_repeated_from_elsewhere_moves_nothing(check):
    agent = _agent()
    nomination = check(nominate=True)
    _receive(agent, nomination)
    assert _receive(agent, nomination, _AWAY) == []
    assert agent.selected[:3] == _HOME
    assert agent.dropped["replayed"] == 1


def test_no_number_of_checks_makes_an_overheard_nomination_new(check):
    agent = _agent()
    nomination = check(nominate=True)
    _receive(agent, nomination)
    for _ in range(1000):
        _receive(agent, check())
    assert _receive(agent, nomination, _AWAY) == []
    assert agent.selected[:3] == _HOME


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 20,
        struct.pack("!HHI12s", 1, 0, stun.COOKIE, b"transaction!"),  # no attributes
        struct.pack(
            "!HHI12sHH", 1, 4, stun.COOKIE, b"transaction!", 0x7F01, 0
        ),  # unknown attribute, unsigned
        struct.pack("!HHI12s", 0x0011, 0, stun.COOKIE, b"transaction!"),  # indication
        struct.pack("!HHI12s", 3, 0, stun.COOKIE, b"transaction!"),  # TURN allocate
        binding_request(
            b"transaction!", f"{_UFRAG}:x", "x" * 24, priority=1, tie_breaker=1, use_candidate=True
        ),
        binding_request(b"transaction!", "nobody12:x", _PWD, priority=1, tie_breaker=1, use_candidate=True),
        binding_request(b"transaction!", _UFRAG, _PWD, priority=1, tie_breaker=1, use_candidate=True),
        binding_request(b"transaction!", f"x:{_UFRAG}", _PWD, priority=1, tie_breaker=1, use_candidate=True),
        binding_request(b"transaction!", "", _PWD, priority=1, tie_breaker=1, use_candidate=True),
        binding_success(b"transaction!", "192.0.2.1", 1, _PWD),
        _signed(_USERNAME)[:-24] + b"",  # MESSAGE-INTEGRITY cut off, length wrong
        stun.set_body_length(
            _signed(_USERNAME)[:-24], len(_signed(_USERNAME)) - 44
        ),  # the same, length right
        (_CORPUS / "aioice-struct-error-25-bytes").read_bytes(),
        (_CORPUS / "aioice-struct-error-aligned").read_bytes(),
    ],
)
def test_a_stranger_gets_no_byte_back_and_changes_nothing(data):
    agent = _agent()
    assert _receive(agent, data) == []
    assert agent.paths == ()
    assert agent.dropped.total() == 1
    agent.tick(30.0)
    assert agent.state is IceState.LOST, "it did not count as consent"


def test_an_address_that_is_none_is_dropped(check):
    agent = _agent()
    assert _receive(agent, check(), (0, "not an address", 1)) == []


def test_a_controlled_peer_is_told_of_the_role_conflict():
    [sent] = _receive(_agent(), _signed(_USERNAME, (0x8029, bytes(8))))
    answer = stun.parse_message(sent.data)
    assert answer.error_code == 487
    assert answer.check_message_integrity(_PWD.encode())


def test_unknown_comprehension_required_attributes_are_answered_with_420():
    agent = _agent()
    [sent] = _receive(agent, _signed(_USERNAME, (0x7F01, b"abc"), (0x0025, b"")))
    message = parse_stun(sent.data)
    assert message.error == 420
    assert message.is_authentic(_PWD)
    assert agent.paths == ()


def test_unknown_optional_attributes_are_ignored():
    effects = _receive(_agent(), _signed(_USERNAME, (0xC057, b"\0\1\0\2"), (0x0025, b"")))
    assert IceConnected() in effects


# Paths


def test_the_longest_silent_unselected_address_gives_way(check):
    agent = _agent(max_paths=3)
    _receive(agent, check(nominate=True), (0, "192.0.2.1", 1), 1.0)
    for port in (2, 3):
        _receive(agent, check(), (0, "192.0.2.1", port), float(port))
    _receive(agent, check(), (0, "192.0.2.1", 2), 4.0)
    effects = _receive(agent, check(), (0, "192.0.2.1", 4), 5.0)
    assert effects[:-1] == [UnbindPath(0, "192.0.2.1", 3), BindPath(0, "192.0.2.1", 4, selected=False)]
    assert len(agent.paths) == 3


def test_a_flood_of_addresses_never_drops_the_selected_one(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    for port in range(1, 100):
        _receive(agent, check(), (0, "203.0.113.1", port))
    assert agent.selected in agent.paths
    assert len(agent.paths) == 4


def test_an_unselected_address_expires(check):
    agent = _agent()
    _receive(agent, check(), _AWAY, 0.0)
    _receive(agent, check(nominate=True), _HOME, 25.0)
    assert agent.deadline() == 30.0
    agent.tick(30.0)
    assert list(agent.poll()) == [UnbindPath(*_AWAY)]


# Consent


def test_silence_disconnects_then_loses_consent(check):
    agent = _agent()
    _receive(agent, check(nominate=True), now=100.0)
    assert agent.deadline() == 110.0
    agent.tick(109.9)
    assert list(agent.poll()) == []
    agent.tick(110.0)
    assert list(agent.poll()) == [IceDisconnected()]
    assert agent.deadline() == 130.0
    agent.tick(130.0)
    assert list(agent.poll()) == [UnbindPath(*_HOME), ConsentLost()]
    assert agent.selected is None
    assert agent.deadline() is None
    agent.tick(1000.0)
    assert list(agent.poll()) == []


def test_a_check_keeps_consent_and_ends_a_disconnection(check):
    agent = _agent()
    _receive(agent, check(nominate=True), now=0.0)
    agent.tick(10.0)
    list(agent.poll())
    assert _receive(agent, check(), now=29.0)[:-1] == [IceConnected()]
    agent.tick(31.0)
    assert list(agent.poll()) == []


def test_a_peer_that_never_checks_loses_consent_too():
    agent = _agent(consent_s=5.0)
    assert agent.deadline() == 5.0
    agent.tick(5.0)
    assert list(agent.poll()) == [ConsentLost()]


def test_a_peer_that_comes_back_after_all_is_bound_anew(check):
    agent = _agent()
    agent.tick(30.0)
    list(agent.poll())
    effects = _receive(agent, check(nominate=True), now=40.0)
    assert effects[:-1] == [BindPath(*_HOME, selected=False), BindPath(*_HOME, selected=True), IceConnected()]


def test_time_that_runs_backwards_does_no_harm(check):
    agent = _agent()
    _receive(agent, check(nominate=True), now=100.0)
    _receive(agent, check(), now=50.0)
    agent.tick(109.0)
    assert list(agent.poll()) == []


# Restart


def test_during_a_restart_both_credentials_serve_until_the_new_ones_are_nominated(check):
    agent = _agent()
    _receive(agent, check(nominate=True))
    agent.restart("newufrag5678", "n" * 24, 2.0)
    assert list(agent.poll()) == [UfragsChanged((_UFRAG, "newufrag5678"))]

    def new(*, nominate=False):
        return check(nominate=nominate, username="newufrag5678:them", pwd="n" * 24)

    assert len(_receive(agent, check())) == 1, "the old ones still serve"
    [bound, sent] = _receive(agent, new(), _AWAY)
    assert stun.parse_message(sent.data).check_message_integrity(b"n" * 24)
    assert bound == BindPath(*_AWAY, selected=False)
    assert agent.selected[:3] == _HOME, "media goes on where it went"
    effects = _receive(agent, new(nominate=True), _AWAY)
    assert effects[:-1] == [UfragsChanged(("newufrag5678",)), BindPath(*_AWAY, selected=True)]
    assert _receive(agent, check(nominate=True)) == [], "the old ones are over"


def test_new_credentials_with_the_old_password_are_refused(check):
    agent = _agent()
    agent.restart("newufrag5678", "n" * 24, 2.0)
    list(agent.poll())
    assert _receive(agent, check(username="newufrag5678:them")) == []


def test_a_second_restart_replaces_the_first(check):
    agent = _agent()
    agent.restart("newufrag5678", "n" * 24, 1.0)
    agent.restart("newufrag9999", "m" * 24, 2.0)
    assert agent.ufrags == (_UFRAG, "newufrag9999")


def test_a_restart_brings_a_lost_peer_back_to_checking():
    agent = _agent()
    agent.tick(30.0)
    agent.restart("newufrag5678", "n" * 24, 31.0)
    assert agent.state is IceState.CHECKING
    assert agent.deadline() == 61.0


@pytest.mark.parametrize(
    ("ufrag", "pwd"), [("short", "n" * 24), ("newufrag5678", "short"), (_UFRAG, "n" * 24)]
)
def test_guessable_or_repeated_credentials_are_a_mistake_of_ours(ufrag, pwd):
    agent = _agent()
    with pytest.raises(ValueError, match=r"ICE|ufrag"):
        agent.restart(ufrag, pwd, 0.0)


def test_memory_stays_bounded(check):
    agent = _agent()
    for number in range(1000):
        _receive(agent, check(), (0, "203.0.113.1", number + 1))
    assert len(agent._checks) <= 64
    assert IcePath(0, "203.0.113.1", 1000) in agent.paths


def test_a_path_by_tcp_is_bound_answered_and_unbound_as_what_it_is(check):
    agent = _agent()
    agent.receive(check(nominate=True), *_HOME, 1.0, "tcp")
    bound, selected, connected, sent = agent.poll()
    assert (sent.kind, bound.kind, selected.kind) == ("tcp", "tcp", "tcp")
    assert connected == IceConnected()
    assert agent.selected == IcePath(*_HOME, "tcp")
    agent.receive(check(), *_HOME, 2.0)
    assert len(agent.paths) == 2, "the same address by UDP is another path"


def test_the_end_of_the_connection_in_use_disconnects_until_another_path_is_nominated(check):
    agent = _agent()
    agent.receive(check(nominate=True), *_HOME, 1.0, "tcp")
    list(agent.poll())
    agent.lose(IcePath(*_AWAY, "tcp"))
    assert list(agent.poll()) == []
    agent.lose(IcePath(*_HOME, "tcp"))
    assert list(agent.poll()) == [IceDisconnected()]
    assert agent.selected is None
    assert agent.paths == ()
    assert _receive(agent, check(nominate=True), _AWAY, 3.0)[-2] == IceConnected()
    assert agent.selected[:3] == _AWAY
