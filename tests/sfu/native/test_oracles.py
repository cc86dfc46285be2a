"""The core's algorithms against small Python models: loss, reorder, duplication, wrap, random bytes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from media import red as red_model
from sfu.engine import _debug
from tests.reference import rtp as rtp_model
from tests.reference import twcc as twcc_model
from tests.reference.munger import MungerModel
from tests.reference.nack import MS, NackModel
from tests.reference.sequencer import SequencerModel

NAMES = ("mid", "rid", "rrid", "toffset", "layers_allocation", *rtp_model.OWN[:2], *rtp_model.PASSED_ON)
thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# -- a network: what is sent in order arrives late, twice or never


@st.composite
def networks(draw: st.DrawFn, most: int = 80) -> list[int]:
    """Indices in their order of arrival; some missing, some twice, none overtaken by more than four."""
    count = draw(st.integers(0, most))
    fates = draw(st.lists(st.sampled_from((0, 0, 0, 0, 0, 1, 2, 4, -1, -2)), min_size=count, max_size=count))
    arrivals = []
    for index, fate in enumerate(fates):
        if fate == -1:
            continue
        arrivals.append((index + max(fate, 0), index))
        if fate == -2:
            arrivals.append((index + 3, index))
    return [index for _, index in sorted(arrivals)]


# -- RTP


@st.composite
def id_maps(draw: st.DrawFn) -> dict[str, int]:
    highest = draw(st.sampled_from((14, 14, 255)))
    numbers = [number for number in range(1, highest + 1) if number != 15]
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=14))
    chosen = draw(st.lists(st.sampled_from(numbers), unique=True, min_size=len(names), max_size=len(names)))
    return dict(zip(names, chosen, strict=True))


@st.composite
def packets(draw: st.DrawFn, ids: dict[str, int]) -> bytes:
    two_byte = draw(st.booleans())
    numbers = [number for number in [*ids.values(), 3, 9] if two_byte or number <= 14]
    sizes = st.binary(max_size=60) if two_byte else st.binary(min_size=1, max_size=16)
    values = draw(st.lists(st.tuples(st.sampled_from(numbers), sizes), max_size=8)) if numbers else []
    fields = {
        "pt": draw(st.integers(0, 127)),
        "marker": draw(st.booleans()),
        "seq": draw(st.integers(0, 2**16 - 1)),
        "timestamp": draw(st.integers(0, 2**32 - 1)),
        "ssrc": draw(st.integers(0, 2**32 - 1)),
    }
    data = bytearray(rtp_model.write(fields, values, draw(st.binary(max_size=80)), two_byte=two_byte))
    if draw(st.booleans()):  # mutated
        for at, value in draw(
            st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)
        ):
            data[at] = value
        if draw(st.booleans()):
            del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@st.composite
def packets_and_maps(draw: st.DrawFn) -> tuple[bytes, dict[str, int], dict[str, int]]:
    receive = draw(id_maps())
    return draw(packets(receive)), receive, draw(id_maps())


@thorough
@given(packets_and_maps())
@example((b"", {}, {}))
def test_packets_are_parsed_as_the_standard_says(case: tuple[bytes, dict[str, int], dict[str, int]]) -> None:
    data, ids, _ = case
    assert _debug.parse_rtp(data, ids) == rtp_model.parse(data, ids)


@thorough
@given(st.binary(max_size=80), id_maps())
def test_any_bytes_are_parsed_or_refused_alike(data: bytes, ids: dict[str, int]) -> None:
    data = b"\x90" + data
    assert _debug.parse_rtp(data, ids) == rtp_model.parse(data, ids)


@thorough
@given(packets_and_maps(), st.text("0123456789abc", max_size=16), st.integers(-1, 2**16 - 1))
def test_rewritten_packets_carry_own_and_passed_on_extensions(
    case: tuple[bytes, dict[str, int], dict[str, int]], mid: str, original_seq: int
) -> None:
    data, receive, send = case
    source = rtp_model.parse(data, receive)
    written = _debug.rewrite_rtp(
        data, receive, send, mid, ssrc=7, pt=100, seq=65535, timestamp=2**32 - 1, twcc_seq=0x1234,
        abs_send_time=0xABCDEF, marker=True, original_seq=original_seq,
    )  # fmt: skip
    if source is None:
        assert written is None
        return
    assert written is not None
    result = rtp_model.parse(written, send)
    assert result is not None
    expected = {
        name: source["extensions"][name] for name in rtp_model.PASSED_ON if name in source["extensions"]
    }
    expected |= {"twcc": b"\x12\x34", "abs_send_time": b"\xab\xcd\xef"} | (
        {"mid": mid.encode()} if mid else {}
    )
    room = 320  # of the passed-on elements; this test's stay below unless there are many long ones
    if sum(len(value) + 2 for value in expected.values()) <= room:
        assert result["extensions"] == {name: value for name, value in expected.items() if name in send}
    assert result["payload"] == (original_seq.to_bytes(2) if original_seq >= 0 else b"") + source["payload"]
    assert (result["ssrc"], result["pt"], result["seq"], result["timestamp"]) == (7, 100, 65535, 2**32 - 1)
    assert (result["marker"], result["padding"], result["csrc_count"]) == (True, 0, 0)


@thorough
@given(packets_and_maps(), st.integers(0, 2**16 - 1))
def test_rtx_gives_back_the_packet_it_wrapped(
    case: tuple[bytes, dict[str, int], dict[str, int]], seq: int
) -> None:
    data, receive, send = case
    if rtp_model.parse(data, receive) is None:
        return
    common = {"timestamp": 5, "twcc_seq": 6, "abs_send_time": 7, "marker": False}
    plain = _debug.rewrite_rtp(data, receive, send, "m", ssrc=1, pt=96, seq=seq, **common)
    wrapped = _debug.rewrite_rtp(data, receive, send, "m", ssrc=2, pt=97, seq=9, original_seq=seq, **common)
    assert wrapped is not None
    assert _debug.unwrap_rtx(wrapped, 96, 1) == plain


# -- munger


@dataclass(frozen=True)
class Sent:
    """One packet of a publisher; picture None: padding only."""

    seq: int
    timestamp: int
    picture: int | None
    tl0: int
    keyidx: int
    wanted: bool


@st.composite
def sources(draw: st.DrawFn) -> list[Sent]:
    """A publisher's packets in order, near every wrap; the first is wanted and has a picture."""
    seq = draw(st.sampled_from((0, 65_530, 2**17 - 3)))
    picture = draw(st.sampled_from((0, 5, 32_765)))
    timestamp = draw(st.sampled_from((0, 2**32 - 3000)))
    tl0, keyidx = draw(st.integers(0, 255)), draw(st.integers(0, 31))
    result = []
    frames = draw(
        st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), min_size=1, max_size=25)
    )
    for index, (size, wanted, padding) in enumerate(frames):
        for _ in range(size):
            result.append(Sent(seq, timestamp % 2**32, picture, tl0, keyidx, wanted or index == 0))
            seq += 1
        picture += 1
        timestamp += 3000
        tl0 = (tl0 + wanted) % 256
        if padding:
            result.append(Sent(seq, timestamp % 2**32, None, tl0, keyidx, wanted=True))
            seq += 1
    return result


def through(network: list[int], source: list[Sent]) -> Iterator[Sent]:
    yield source[0]
    for index in network:
        if index + 1 < len(source):
            yield source[index + 1]


def wire(picture: int | None) -> int:
    return -1 if picture is None else picture % 2**15


@thorough
@given(
    st.lists(
        st.tuples(sources(), networks(60), st.integers(0, 200), st.none() | st.integers(-9000, 30_000)),
        max_size=4,
    ),
    st.integers(0, 65_535),
)
def test_munger_keeps_one_unbroken_source(
    legs: list[tuple[list[Sent], list[int], int, int | None]], first_seq: int
) -> None:
    munger = _debug.Munger(first_seq, 2**32 - 50)
    model = MungerModel(first_seq, 2**32 - 50)
    now = 0
    outputs: dict[tuple[int, int], int] = {}
    for leg, (source, network, pause_ms, apart) in enumerate(legs):
        now += pause_ms * MS
        started = False
        for sent in through(network, source):
            now += 5 * MS
            numbers = (sent.seq, sent.timestamp)
            if not started:
                started = True
                aligned = None if apart is None else (model.last[0] - model.offset + apart) % 2**32
                layers = (wire(sent.picture), sent.tl0, sent.keyidx, aligned, 90_000, now)
                result = munger.switch_source(*numbers, *layers)
                assert sent.picture is not None
                expected = model.switch_source(*numbers, sent.picture, *layers[1:])
            elif not sent.wanted:
                munger.drop(sent.seq, wire(sent.picture))
                model.drop(sent.seq, sent.picture)
                continue
            elif sent.picture is None:
                assert munger.forward(*numbers, -1, -1, -1, padding=True, now=now) is None
                model.drop(sent.seq, None)
                continue
            else:
                result = munger.forward(
                    *numbers, wire(sent.picture), sent.tl0, sent.keyidx, padding=False, now=now
                )
                expected = model.forward(*numbers, sent.picture, sent.tl0, sent.keyidx, now)
            assert (result and result[:5]) == expected
            if result is not None:
                outputs[leg, sent.seq] = result[0]
    # Different packets never share a number, and their order stays.
    assert len(set(outputs.values())) == len(outputs)
    assert [outputs[key] for key in sorted(outputs)] == sorted(outputs.values())


@thorough
@given(sources())
def test_munger_leaves_no_hole_when_nothing_is_lost(source: list[Sent]) -> None:
    munger = _debug.Munger(65_535, 0)
    first = source[0]
    out = [munger.switch_source(first.seq, 0, wire(first.picture), first.tl0, first.keyidx, None, 90_000, 0)]
    for sent in source[1:]:
        if not sent.wanted:
            munger.drop(sent.seq, wire(sent.picture))
            continue
        result = munger.forward(
            sent.seq,
            sent.timestamp,
            wire(sent.picture),
            sent.tl0,
            sent.keyidx,
            padding=sent.picture is None,
            now=0,
        )
        if result is not None:
            out.append(result)
    assert [entry[0] for entry in out] == list(range(65_535, 65_535 + len(out)))
    steps = [(after[2] - before[2]) % 2**15 for before, after in itertools.pairwise(out)]
    assert set(steps) <= {0, 1}


# -- RED


@st.composite
def red_payloads(draw: st.DrawFn) -> bytes:
    copies = draw(
        st.lists(
            st.tuples(st.integers(0, 127), st.integers(0, 2**14 - 1), st.binary(max_size=20)), max_size=10
        )
    )
    heads = [
        bytes([0x80 | pt]) + (offset << 10 | len(data)).to_bytes(3, "big") for pt, offset, data in copies
    ]
    whole = b"".join([*heads, bytes([draw(st.integers(0, 127))]), *(data for _, _, data in copies)])
    whole += draw(st.binary(max_size=20))
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


@thorough
@given(red_payloads() | st.binary(max_size=60))
def test_red_is_split_as_its_model_splits_it(payload: bytes) -> None:
    try:
        expected = [
            (block.payload_type, block.ts_offset, block.data) for block in red_model.parse_red(payload)
        ]
    except red_model.RedError:
        expected = None
    assert _debug.split_red(payload) == expected


# -- NACK


@thorough
@given(
    networks(120),
    st.integers(0, 3),
    st.lists(st.integers(0, 60), min_size=1),
    st.integers(0, 300),
    st.integers(1, 20),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(1, 40),
)
def test_nack_generator_follows_the_rules(
    network: list[int],
    stride: int,
    waits: list[int],
    rtt_ms: int,
    room: int,
    max_missing: int,
    max_gap: int,
    max_credit: int,
) -> None:
    nack = _debug.NackGenerator(max_missing, max_gap, max_credit)
    model = NackModel(max_missing, max_gap, max_credit)
    asked = 0
    now = 0
    for step, index in enumerate(network):
        now += waits[step % len(waits)] * MS
        seq = 65_500 + index * (1 + stride * (index % 7 == 0))
        assert nack.receive(seq, now) == model.receive(seq, now)
        assert nack.deadline == model.deadline
        due = nack.poll(now, rtt_ms * MS, room)
        assert due == model.poll(now, rtt_ms * MS, room)
        asked += len(due)
        assert asked <= max_credit + step, "repair outgrew what came"
        assert nack.missing == len(model.missing) <= max_missing
    for _ in range(400):
        if nack.deadline is None:
            break
        now = max(now + 10 * MS, nack.deadline)
        assert nack.poll(now, rtt_ms * MS, room) == model.poll(now, rtt_ms * MS, room)
    assert nack.deadline is None
    assert nack.given_up == model.given_up


# -- resends


@thorough
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 12), st.integers(0, 1500))
        | st.integers(0, 120).map(lambda ms: (ms,)),
        max_size=150,
    ),
    st.integers(0, 150),
)
def test_sequencer_resends_what_the_rules_allow(steps: list[tuple[int, ...]], rtt_ms: int) -> None:
    sequencer = _debug.ForwardSequencer(16, 6000, 1000)
    model = SequencerModel(16, 6000, 1000)
    now, seq, media, resent = 0, 65_525, 0, 0
    for step in steps:
        now += step[0] * MS
        if len(step) == 1 or step[2] % 3 == 0:
            size = step[-1]
            sequencer.record(seq % 2**16, seq + 1000, size, now)
            model.record(seq % 2**16, seq + 1000, size, now)
            media += size
            seq += 1
            continue
        asked = (seq - step[1]) % 2**16
        expected = model.request(asked, now, rtt_ms * MS)
        assert sequencer.request(asked, now, rtt_ms * MS) == expected
        if expected[0] == "send":
            resent += model.ring[asked % 16]["size"]
    assert resent <= media + 1000


# -- transport-wide feedback


@thorough
@given(
    networks(200),
    st.lists(st.integers(0, 30_000), min_size=1),
    st.integers(0, 2**16 - 1),
    st.integers(40, 1200),
    st.integers(1, 60),
)
def test_feedback_reports_every_arrival_once_it_is_due(
    network: list[int], waits_us: list[int], first: int, room: int, every: int
) -> None:
    recorder = _debug.TwccRecorder()
    arrived: dict[int, int] = {}
    reported: dict[int, int] = {}
    now, numbers = 0, 0

    def drain() -> None:
        nonlocal numbers
        while (data := recorder.build(now, room)) is not None:
            assert len(data) <= room
            feedback = twcc_model.read(data)
            assert feedback.number == numbers % 256
            numbers += 1
            assert feedback.statuses[-1][1] is not None
            for seq, arrival in feedback.statuses:
                if arrival is not None:
                    assert arrived[seq] == arrival
                    reported[seq] = arrival

    for step, index in enumerate(network):
        now += waits_us[step % len(waits_us)] * 1000
        seq = (first + index) % 2**16
        recorder.receive(seq, now)
        arrived.setdefault(seq, now // 250_000 * 250_000)
        if step % every == 0:
            drain()
    drain()
    assert reported == arrived
    assert not recorder.is_due(now + 10**10)
