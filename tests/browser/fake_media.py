"""Files that Chromium plays as its camera and microphone: one colour and one tone per peer.

A peer is recognised on the far side by the colour of its picture and the pitch of its sound.
"""

import wave
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, FPS = 320, 180, 15
_SECONDS = 2
_AUDIO_HZ = 48_000

# BT.601 studio range, which is what Chromium assumes of a y4m file and of VP8.
_TO_YUV = np.array(
    [[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]],
)


def _yuv(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    y, u, v = _TO_YUV @ np.array(rgb) + np.array([16, 128, 128])
    return round(y), round(u), round(v)


def write_picture(path: Path, rgb: tuple[int, int, int]) -> Path:
    """A looping y4m of one colour with a white marker that walks from left to right."""
    y, u, v = _yuv(rgb)
    frames = FPS * _SECONDS
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(frames):
            luma = np.full((HEIGHT, WIDTH), y, np.uint8)
            left = int((WIDTH - 24) * index / frames)
            luma[HEIGHT - 30 : HEIGHT - 6, left : left + 24] = 235
            chroma = np.full((2, HEIGHT // 2, WIDTH // 2), (0,), np.uint8)
            chroma[0], chroma[1] = u, v
            file.write(b"FRAME\n" + luma.tobytes() + chroma.tobytes())
    return path


def write_sound(path: Path, tone_hz: int) -> Path:
    """A looping mono wav: a tone whose loudness swells four times a second, as speech does.

    A steady tone would be taken for noise by the browser's noise suppression.
    """
    t = np.arange(_AUDIO_HZ * _SECONDS) / _AUDIO_HZ
    loudness = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * t)
    samples = (0.5 * loudness * np.sin(2 * np.pi * tone_hz * t) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_AUDIO_HZ)
        file.writeframes(samples.tobytes())
    return path
