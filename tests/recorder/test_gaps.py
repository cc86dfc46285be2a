"""Long silence, pictures that stand still, cameras of few pictures: everything stays at its own time."""

import pytest

from media.clock_map import SECOND_NS
from tests.media import encoded
from tests.recorder.rig import MS, decoded_times, frame_times, lumas, picture, sound, video_records

RESUMES_S = 67
"""More than a minute after the last of the two seconds before."""
DTX_EACH = 20
"""Of 20 ms packets: what Opus sends while there is nothing to hear (RFC 7587 section 3.1.3)."""


def opus_records(mic, packets, numbers):
    """The records of packets that are so many times 20 ms into the recording."""
    return [
        record
        for packet, number in zip(packets, numbers, strict=True)
        for record in mic.writer.audio(packet, number * 20 * MS)
    ]


@pytest.mark.parametrize("silence", ["nothing", "reports", "comfort"])
async def test_what_is_said_after_more_than_a_minute_of_silence_stands_where_it_was_said(rig, silence):
    gate = rig.join("u_ada", "Ada", 1)
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate))
    said = sound(2)
    records = [mic.writer.report(0), *opus_records(mic, said, range(100))]
    if silence == "reports":
        records += [mic.writer.report(at_s * SECOND_NS) for at_s in range(2, RESUMES_S)]
    elif silence == "comfort":
        numbers = range(100, RESUMES_S * 50, DTX_EACH)
        records += opus_records(
            mic, [encoded.Encoded(b"\xf8\xff\xfe", 0, is_keyframe=True)] * len(numbers), numbers
        )
    resumed = range(RESUMES_S * 50, RESUMES_S * 50 + 100)
    records += [mic.writer.report(RESUMES_S * SECOND_NS), *opus_records(mic, said, resumed)]
    await rig.send(records)
    await rig.sent()
    await rig.stop()
    path = rig.folder / "u_ada-mic-001.webm"
    for state in ("as it was written", "finished"):
        times = [at_s for at_s in frame_times(path) if at_s < 2 or at_s >= RESUMES_S - 0.1]
        wanted = [number / 50 for number in (*range(100), *resumed)]
        assert times == pytest.approx(wanted, abs=0.02), state
        await rig.finish()


async def test_a_microphone_whose_clock_stood_still_in_the_silence_goes_on_at_its_own_time(rig):
    gate = rig.join("u_ada", "Ada", 1)
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate))
    said = sound(2)
    records = [mic.writer.report(0), *opus_records(mic, said, range(100))]
    mic.writer.first_ts -= (RESUMES_S - 2) * 48_000
    resumed = range(RESUMES_S * 50, RESUMES_S * 50 + 100)
    records += [mic.writer.report(RESUMES_S * SECOND_NS), *opus_records(mic, said, resumed)]
    await rig.send(records)
    await rig.sent()
    await rig.stop()
    times = frame_times(rig.folder / "u_ada-mic-001.webm")
    assert times == pytest.approx([number / 50 for number in (*range(100), *resumed)], abs=0.02)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_picture_that_stood_still_for_more_than_a_minute_goes_on_at_its_own_time(rig, codec):
    gate = rig.join("u_ada", "Ada", 1)
    screen = rig.open(rig.tap("u_ada", "screen", codec, gate))
    frames = picture(codec, 2)
    later = video_records(screen, frames[:25]) + video_records(screen, frames[25:], first=RESUMES_S * 25)
    await rig.send(later)
    await rig.sent()
    await rig.stop()
    path = rig.folder / f"u_ada-screen-001.{'mp4' if codec == 'h264' else 'webm'}"
    wanted = [number / 25 for number in (*range(25), *range(RESUMES_S * 25, RESUMES_S * 25 + 25))]
    for state in ("as it was written", "finished"):
        assert frame_times(path) == pytest.approx(wanted, abs=0.01), state
        assert len(lumas(path)) == 50
        await rig.finish()


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_camera_that_begins_with_few_pictures_is_neither_faster_nor_slower(rig, codec):
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", codec, gate))
    slow, fast = [number / 2 for number in range(8)], [4 + number / 25 for number in range(50)]
    records = []
    for frame, at_s in zip(encoded.video(codec, (120,) * 58), (*slow, *fast), strict=True):
        at_ns = round(at_s * SECOND_NS)
        if at_s == int(at_s):
            records.append(camera.writer.report(at_ns))
        records += camera.writer.video(frame, at_ns)
    await rig.send(records)
    await rig.sent()
    await rig.stop()
    path = rig.folder / f"u_ada-camera-001.{'mp4' if codec == 'h264' else 'webm'}"
    for state in ("as it was written", "finished"):
        assert decoded_times(path) == pytest.approx([*slow, *fast], abs=0.01), state
        await rig.finish()
