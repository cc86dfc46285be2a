"""Finished recordings for tests: real parts on one time line, a manifest, chat."""

import base64
import json
from fractions import Fraction

import av
import msgspec
import numpy as np

from bench.studio.flash import FPS, SECONDS, flash_and_beep
from recorder.manifest import FileEntry, Join, Manifest, PersonEntry, Signature, SignedManifest, TrackEntry
from tests.media.encoded import opus, video


def part(folder, name, kind, packets, *, codec, start_ms, step_ms, size=(320, 180), lost=()):
    """Writes encoded (data, is_keyframe) packets as one part of the recording's time line.

    `lost`: numbers of packets that never came.
    """
    with av.open(str(folder / name), "w", format="webm") as container:
        if kind == "video":
            stream = container.add_stream("libvpx", rate=30)
            stream.width, stream.height = size
        else:
            stream = container.add_stream("libopus", rate=48_000)
        for number, (data, is_keyframe) in enumerate(packets):
            if number in lost:
                continue
            packet = av.Packet(data)
            packet.pts = packet.dts = round(start_ms + number * step_ms)
            packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, 1000), is_keyframe, stream
            container.mux(packet)
    person, source, _ = name.split("-")
    return FileEntry(
        name=name,
        kind=kind,
        person=person,
        source=source,
        track=hash((person, source)) % 1000,
        codec=codec,
        width=size[0],
        height=size[1],
        start_ms=round(start_ms),
        end_ms=round(start_ms + (len(packets) - 1) * step_ms),
        frames=len(packets),
        size_bytes=(folder / name).stat().st_size,
        sha256="",
        is_plain=True,
    )


def recording(folder, *, lost=()):
    """Ada flashes and beeps for 4 s; bob (grey, 440 Hz) comes after 1 s, in two parts, and writes at 2 s.

    `lost`: which of ada's packets of sound, 20 ms each, never came.
    """
    flash, beep = flash_and_beep()
    grey = [(f.data, f.is_keyframe) for f in video("vp8", (120,) * 30, width=160, height=120)]
    tone = [(f.data, True) for f in opus((0.3,) * 150)]
    files = [
        part(folder, "ada-camera-001.webm", "video", flash, codec="vp8", start_ms=0, step_ms=1000 / FPS),
        part(
            folder,
            "ada-mic-001.webm",
            "audio",
            [(d, True) for d in beep],
            codec="opus",
            start_ms=0,
            step_ms=20,
            lost=lost,
        ),
        part(
            folder,
            "bob-camera-001.webm",
            "video",
            grey,
            codec="vp8",
            start_ms=1000,
            step_ms=40,
            size=(160, 120),
        ),
        part(
            folder,
            "bob-camera-002.webm",
            "video",
            grey,
            codec="vp8",
            start_ms=2400,
            step_ms=40,
            size=(160, 120),
        ),
        part(folder, "bob-mic-001.webm", "audio", tone, codec="opus", start_ms=1000, step_ms=20),
    ]
    people = [
        PersonEntry(
            person=person,
            name=person.title(),
            chat_lines=0,
            grants=[
                Join(participant=f"p_{person}", from_ms=start, to_ms=4000, terms_version="1", ended="left")
            ],
        )
        for person, start in (("ada", 0), ("bob", 1000))
    ]
    manifest = Manifest(
        recording=folder.name,
        room="room",
        state="finished",
        reason="stopped",
        started_unix_ms=1,
        duration_ms=SECONDS * 1000,
        terms_version="1",
        worker_starts=1,
        people=people,
        tracks=list[TrackEntry](),
        files=files,
        others=[],
        quarantined=[],
    )
    signature = Signature(
        "ed25519", base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(64)).decode()
    )
    (folder / "manifest.json").write_bytes(msgspec.json.encode(SignedManifest(manifest, signature)))
    line = {"at_ms": 2000, "unix_ms": 5, "person": "bob", "name": "Bob", "text": "hello <b> & all"}
    (folder / "chat.jsonl").write_text(json.dumps(line) + "\n")
    return manifest


def share(path, luma, *, at_s):
    """Which part of the picture at that time is about of one grey level (as video stores it)."""
    with av.open(str(path)) as container:
        best = min(container.decode(video=0), key=lambda frame: abs(frame.time - at_s))
    picture = best.to_ndarray(format="gray").astype(int)
    return float((np.abs(picture - (luma - 16) * 255 / 219) < 8).mean())
