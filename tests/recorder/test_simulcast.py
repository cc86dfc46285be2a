"""A camera in several simulcast encodings: the recorder follows the best that is sent, on one time line."""

import itertools
import time
from types import SimpleNamespace

import av
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.manifest import sign
from recorder.render.job import render
from recorder.render.messages import RenderConfig
from tests.media import encoded
from tests.media.tapped import TapWriter
from tests.recorder.rig import lumas, video_records
from tests.recorder.test_crash import draft, record_paced

pytestmark = pytest.mark.slow

FPS = 25
SECONDS = 6
HIGH_S = range(2, 4)
"""When the better encoding is sent, beside the lower one."""
LEVELS = tuple(range(40, 40 + SECONDS * FPS))
"""A level for each picture, in both encodings: each time has one of its own."""
SMALL, LARGE = (160, 120), (320, 240)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def records_of(camera, encoding_index, size, seconds, *, ssrc, first_ts):
    """What is sent of one encoding, a keyframe each second."""
    width, height = size
    frames = encoded.video("vp8", LEVELS, width=width, height=height, gop=FPS)
    writer = TapWriter(
        camera.tap, "vp8", slot=camera.gate.slot, version=camera.gate.version, ssrc=ssrc,
        encoding_index=encoding_index, start_ns=camera.writer.start_ns, first_ts=first_ts,
    )  # fmt: skip
    first = seconds.start * FPS
    return video_records(SimpleNamespace(writer=writer), frames[first : seconds.stop * FPS], first=first)


def level_at(at_s):
    """What both encodings show at that time."""
    return LEVELS[min(max(round(at_s * FPS), 0), len(LEVELS) - 1)]


async def test_a_switch_of_encodings_is_noted_and_the_film_goes_through_it_without_a_gap(rig):
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate, start_ns=time.monotonic_ns()))
    records = [
        *records_of(camera, 0, SMALL, range(SECONDS), ssrc=11, first_ts=1_000),
        *records_of(camera, 1, LARGE, HIGH_S, ssrc=22, first_ts=2**32 - 70_000),
    ]
    await record_paced(rig, camera, sorted(records, key=lambda record: record.header.arrival_ns))
    await rig.sent()
    assert await rig.stop() == 0
    await rig.finish()

    switches = [(event["previous"], event["encoding"]) for event in rig.events("layer_switched")]
    assert switches == [(0, 1), (1, 0)]
    manifest = draft(rig.folder)
    (track,) = manifest.tracks
    assert [layer["encoding"] for layer in track.layers] == [1, 0]
    assert [(file.width, file.height) for file in manifest.files] == [SMALL, LARGE, SMALL]
    assert {file.track for file in manifest.files} == {track.track}
    starts = [file.start_ms for file in manifest.files]
    origin_s = starts[0] / 1000
    shown = list(itertools.chain.from_iterable(lumas(rig.folder / file.name) for file in manifest.files))
    times = [at_s - origin_s for at_s, _ in shown]
    steps = [after - before for before, after in itertools.pairwise(times)]
    # Up at once; down once the better one has been silent for a second, at the next keyframe.
    silent = [step for step in steps if step > 1.5 / FPS]
    assert len(silent) == 1, "one hole: where the better encoding had ended"
    assert silent[0] == pytest.approx(1 + 1 / FPS, abs=0.1)
    assert min(steps) >= 0, (
        "one time line: the first picture of the better one may stand where the other's last does"
    )
    assert all(
        abs(luma - (level_at(at) - 16) * 255 / 219) < 6 for at, (_, luma) in zip(times, shown, strict=True)
    )

    (rig.folder / "manifest.json").write_bytes(sign(manifest, KEY))
    wish = {"width": 160, "height": 120, "fps": FPS, "layout": "single", "main": "u_ada", "has_names": False}
    film = render(
        RenderConfig(
            id="rnd_1", keys=None, recording=str(rig.folder), folder=str(rig.folder.parent / "film"),
            people=("u_ada",), **wish,
        ),
        lambda _share: None,
    ).path  # fmt: skip
    with av.open(str(film)) as container:
        pictures = [
            (frame.time - origin_s, float(frame.to_ndarray(format="gray")[40:80, 60:100].mean()))
            for frame in container.decode(video=0)
        ]
    seen = [(at, level) for at, level in pictures if 0.1 < at < times[-1]]
    assert len(seen) >= (SECONDS - 1) * FPS
    last = HIGH_S.stop - 1 / FPS
    for at, level in seen:
        # In the hole the last picture of the better encoding stands.
        stands = [last] if last < at < HIGH_S.stop + 1.1 else []
        wanted = [(level_at(shown_s) - 16) * 255 / 219 for shown_s in (at, *stands)]
        assert min(abs(level - one) for one in wanted) < 8, f"at {at:.2f} s"
