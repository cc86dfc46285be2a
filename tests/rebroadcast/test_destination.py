from random import Random

import pytest

from rebroadcast.worker.destination import (
    PROVEN_S,
    RETRY_SOON_FOR_S,
    RETRY_SOON_MOST_S,
    Connect,
    Destination,
    DestinationState,
    Disconnect,
    StateChanged,
)


@pytest.fixture
def destination():
    machine = Destination(rng=Random(1))
    machine.start(0.0)
    assert machine.poll() == [StateChanged(DestinationState.CONNECTING, ""), Connect()]
    return machine


def go_live(machine, now=1.0):
    machine.opened(now)
    machine.acknowledged(1000, is_waiting=False, now=now)
    machine.poll()


def fail(machine, times):
    for now in range(times):
        machine.closed("refused", float(now))
        machine.tick(machine.deadline())


def test_an_accepted_publish_alone_is_not_live(destination):
    destination.opened(1.0)
    assert destination.state is DestinationState.CONNECTING


def test_acknowledged_bytes_make_it_live(destination):
    go_live(destination)
    assert destination.state is DestinationState.LIVE


def test_a_site_that_stops_acknowledging_is_degraded_then_reset_and_retried(destination):
    go_live(destination)
    destination.acknowledged(1000, is_waiting=True, now=2.0)
    destination.tick(destination.deadline())
    assert destination.state is DestinationState.DEGRADED
    destination.tick(destination.deadline())
    assert Disconnect() in destination.poll()
    assert destination.state is DestinationState.BACKING_OFF


def test_a_degraded_site_that_takes_bytes_again_is_live_again(destination):
    go_live(destination)
    destination.acknowledged(1000, is_waiting=True, now=2.0)
    destination.tick(destination.deadline())
    destination.acknowledged(2000, is_waiting=True, now=4.0)
    assert destination.state is DestinationState.LIVE


def test_a_quiet_program_is_no_stall(destination):
    go_live(destination)
    destination.acknowledged(1000, is_waiting=False, now=2.0)
    destination.tick(1e6)
    assert destination.state is DestinationState.LIVE
    assert destination.deadline() is None


def test_retries_go_on_for_ever_with_a_growing_bounded_pause(destination):
    now, pauses = 0.0, []
    for _ in range(40):
        destination.closed("refused", now)
        pauses.append(destination.deadline() - now)
        now = destination.deadline()
        destination.tick(now)
        assert destination.poll()[-1] == Connect()
    assert 0.375 <= pauses[0] <= 0.5
    assert all(pause <= 30.0 for pause in pauses)
    assert min(pauses[-5:]) >= 22.5


def test_a_site_that_proved_itself_has_its_failures_forgotten(destination):
    fail(destination, 5)
    go_live(destination, 100.0)
    destination.acknowledged(2000, is_waiting=False, now=100.0 + PROVEN_S)
    destination.closed("broken", 111.0)
    assert destination.deadline() - 111.0 <= 0.5


def test_a_site_that_proved_itself_and_is_gone_is_tried_every_few_seconds_for_two_minutes(destination):
    go_live(destination, 100.0)
    destination.acknowledged(2000, is_waiting=False, now=100.0 + PROVEN_S)
    now, pauses = 111.0, []
    destination.closed("gone", now)
    while now < 111.0 + 2 * RETRY_SOON_FOR_S:
        pauses.append((now - 111.0, destination.deadline() - now))
        now = destination.deadline()
        destination.tick(now)
        destination.closed("refused", now)
    assert max(pause for at, pause in pauses if at < RETRY_SOON_FOR_S) <= RETRY_SOON_MOST_S
    assert pauses[-1][1] >= 22.5


def test_a_site_that_takes_some_media_and_closes_is_tried_ever_later(destination):
    now, pauses = 0.0, []
    for _ in range(10):
        go_live(destination, now + 0.1)
        now += 2.0
        destination.closed("the server closed the stream", now)
        pauses.append(destination.deadline() - now)
        now = destination.deadline()
        destination.tick(now)
    assert pauses[0] <= 0.5
    assert pauses[:6] == sorted(pauses[:6])
    assert min(pauses[-3:]) >= 22.5


def test_time_that_a_site_did_not_take_bytes_in_proves_nothing(destination):
    fail(destination, 5)
    go_live(destination, 100.0)
    destination.acknowledged(1000, is_waiting=True, now=101.0)
    destination.tick(destination.deadline())
    assert destination.state is DestinationState.DEGRADED
    destination.acknowledged(2000, is_waiting=False, now=100.0 + PROVEN_S)
    destination.closed("broken", 111.0)
    assert destination.deadline() - 111.0 >= 8.0


def test_what_a_cut_resets_is_no_failure_of_the_site(destination):
    for now in range(10):
        go_live(destination, float(10 * now))
        destination.cut("reset", 10.0 * now + 1)
        assert destination.deadline() - (10.0 * now + 1) <= 0.5
        destination.tick(destination.deadline())
    go_live(destination, 200.0)
    destination.closed("broken", 201.0)
    assert destination.deadline() - 201.0 <= 0.5


def test_a_refused_destination_is_never_tried_again(destination):
    destination.refused("10.0.0.1 is not a public address")
    assert destination.state is DestinationState.FAILED
    assert destination.deadline() is None


def test_stop_ends_a_pending_retry(destination):
    destination.closed("refused", 0.0)
    destination.stop()
    destination.closed("late news", 1.0)
    assert (destination.state, destination.deadline()) == (DestinationState.STOPPED, None)
