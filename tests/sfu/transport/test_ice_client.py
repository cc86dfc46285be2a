import itertools
import random

import pytest

from sfu.transport import (
    ConsentLost,
    IceClient,
    IceClientState,
    IceConnected,
    IceFailed,
    IceLite,
    SendStun,
    credentials,
)
from sfu.transport.stun import binding_error, binding_request, parse_stun

_LOCAL, _REMOTE = ("clientufrag1", "c" * 24), ("serverufrag1", "s" * 24)


def _client(**more):
    return IceClient(
        local=_LOCAL,
        remote=_REMOTE,
        socket=0,
        ip="192.0.2.9",
        port=7882,
        rng=random.Random(1),
        now=0.0,
        **more,
    )


def _server():
    return IceLite(ufrag=_REMOTE[0], pwd=_REMOTE[1], now=0.0)


def _exchange(client, server, now, *, lose=lambda _: False):
    """Carry what the client sends to the server and back; the client's other effects."""
    other = []
    for effect in client.poll():
        if not isinstance(effect, SendStun):
            other.append(effect)
        elif not lose(effect):
            server.receive(effect.data, 3, "198.51.100.1", 4000, now)
    for effect in server.poll():
        if isinstance(effect, SendStun) and not lose(effect):
            client.receive(effect.data, 0, "192.0.2.9", 7882, now)
    return [*other, *client.poll()]


def test_client_and_lite_agent_connect_in_one_round_trip():
    client, server = _client(), _server()
    client.tick(0.0)
    assert _exchange(client, server, 0.01) == [IceConnected()]
    assert server.selected[:3] == (3, "198.51.100.1", 4000)


def test_lost_checks_are_repeated_ever_more_slowly_until_it_fails():
    client = _client()
    times = []
    while client.state is IceClientState.CHECKING:
        now = client.deadline()
        client.tick(now)
        times += [now for effect in client.poll() if isinstance(effect, SendStun)]
        assert len(times) < 100
    gaps = [round(b - a, 3) for a, b in itertools.pairwise(times)]
    assert gaps[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert set(gaps[6:]) == {1.6}
    assert client.deadline() is None


def test_a_pair_that_never_answers_fails():
    client = _client(connect_s=1.0)
    for now in (0.0, 0.5, 1.0):
        client.tick(now)
    assert [effect for effect in client.poll() if not isinstance(effect, SendStun)] == [
        IceFailed("no answer to any check")
    ]


def test_consent_is_kept_by_answers_and_lost_by_silence():
    client, server = _client(), _server()
    client.tick(0.0)
    _exchange(client, server, 0.0)
    gaps, last = [], 0.0
    while last < 60.0:
        now = client.deadline()
        gaps.append(now - last)
        last = now
        client.tick(now)
        assert _exchange(client, server, now) == []
    assert all(3.9 < gap < 6.1 for gap in gaps)
    heard = last
    while client.state is IceClientState.CONNECTED:
        last = client.deadline()
        client.tick(last)
        effects = _exchange(client, server, last, lose=lambda _: True)
    assert effects == [ConsentLost()]
    assert last == pytest.approx(heard + 30.0)


def test_a_forged_or_foreign_answer_is_ignored():
    client, server = _client(), IceLite(ufrag=_REMOTE[0], pwd="x" * 24, now=0.0)
    client.tick(0.0)
    assert _exchange(client, server, 0.0) == []
    good = _server()
    client.tick(1.0)
    [sent] = [effect for effect in client.poll() if isinstance(effect, SendStun)]
    good.receive(sent.data, 0, "198.51.100.1", 4000, 1.0)
    answer = next(effect.data for effect in good.poll() if isinstance(effect, SendStun))
    client.receive(answer, 0, "192.0.2.66", 7882, 1.0)
    client.receive(answer[:-1], 0, "192.0.2.9", 7882, 1.0)
    assert client.state is IceClientState.CHECKING
    client.receive(answer, 0, "192.0.2.9", 7882, 1.0)
    assert client.state is IceClientState.CONNECTED
    client.receive(answer, 0, "192.0.2.9", 7882, 1.0)


def test_a_refused_check_fails_at_once():
    client = _client()
    client.tick(0.0)
    [sent] = client.poll()
    transaction = parse_stun(sent.data).transaction
    client.receive(binding_error(transaction, 487, "Role Conflict", _REMOTE[1]), 0, "192.0.2.9", 7882, 0.0)
    assert list(client.poll()) == [IceFailed("the check was refused with 487")]


def test_a_full_agents_own_checks_are_answered():
    client = _client()
    theirs = binding_request(
        b"transaction!",
        f"{_LOCAL[0]}:{_REMOTE[0]}",
        _LOCAL[1],
        priority=1,
        tie_breaker=1,
        use_candidate=False,
    )
    client.receive(theirs, 0, "192.0.2.9", 7882, 0.0)
    [answer] = client.poll()
    assert parse_stun(answer.data).is_success
    client.receive(theirs.replace(b"client", b"somebo"), 0, "192.0.2.9", 7882, 0.0)
    assert list(client.poll()) == []


def test_random_credentials_work_between_both_ends():
    rng = random.Random(5)
    local, remote = credentials(rng), credentials(rng)
    client = IceClient(local=local, remote=remote, socket=0, ip="192.0.2.9", port=7882, rng=rng, now=0.0)
    client.tick(0.0)
    assert _exchange(client, IceLite(ufrag=remote[0], pwd=remote[1], now=0.0), 0.0) == [IceConnected()]
