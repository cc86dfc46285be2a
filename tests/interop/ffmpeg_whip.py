"""Publishes a colour and a tone with FFmpeg's WHIP muxer (from the PyAV wheel): `python ffmpeg_whip.py JSON`.

With `dump` in the specification the H.264 goes to that file as well.

A process of its own, since PyAV holds the GIL while a network output connects. It needs a P-256 certificate
of its own: the one that FFmpeg makes is on another curve, which OpenSSL refuses.
"""

import json
import os
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS, RATE = 15, 48_000


def main() -> None:
    spec = json.loads(sys.argv[1])
    options = {key: spec[key] for key in ("authorization", "cert_file", "key_file")}
    with (
        av.open(spec["url"], "w", format="whip", options=options) as output,
        Path(spec.get("dump", os.devnull)).open("wb", buffering=0) as dump,
    ):
        video = output.add_stream(
            "libx264",
            rate=FPS,
            options={"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "15"},
        )
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        video.time_base = Fraction(1, FPS)
        audio = output.add_stream("libopus", rate=RATE)
        audio.layout = "stereo"
        audio.format = "flt"
        start, frames, packets = time.monotonic(), 0, 0
        while (elapsed := time.monotonic() - start) < spec["seconds"]:
            while frames / FPS <= elapsed:
                for packet in video.encode(picture(spec["rgb"], frames)):
                    dump.write(bytes(packet))
                    output.mux(packet)
                frames += 1
            while packets * 960 / RATE <= elapsed:
                for packet in audio.encode(sound(spec["hz"], packets)):
                    output.mux(packet)
                packets += 1
            time.sleep(0.005)


def picture(rgb: list[int], index: int) -> av.VideoFrame:
    data = np.full((180, 320, 3), rgb, dtype=np.uint8)
    left = index * 8 % 300
    data[150:174, left : left + 16] = 255
    frame = av.VideoFrame.from_ndarray(data, format="rgb24").reformat(format="yuv420p")
    frame.pts = index
    return frame


def sound(hz: int, index: int) -> av.AudioFrame:
    at = (np.arange(960) + index * 960) / RATE
    wave = np.repeat((0.4 * np.sin(2 * np.pi * hz * at)).astype(np.float32), 2).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="stereo")
    frame.sample_rate, frame.pts = RATE, index * 960
    frame.time_base = Fraction(1, RATE)
    return frame


if __name__ == "__main__":
    main()
