"""Inside the room: each peer sees and hears all others, and reads what they write."""

import asyncio

from tests.browser.page import until
from tests.browser.people import tile
from tests.main_job.cast import CAST, A, C, D

SAID_BY_A = "hello from A to everyone"
SAID_BY_C = "this line of C stays inside"
LINE_OF_A, LINE_OF_C = f"{A.name}: {SAID_BY_A}", f"{C.name}: {SAID_BY_C}"
"""As outsiders would read them over a picture."""
CUE_OF_A = f"<v {A.name}><b>{A.name}</b> {SAID_BY_A}"
"""As the WebVTT beside it has A's."""

_FLASHES = """async (selector) => {
  const video = document.querySelector(selector);
  let is_white = false, is_dark = false;
  for (let look = 0; look < 60 && !(is_white && is_dark); look++) {
    const seen = probe.colour(video);
    is_white ||= seen?.every((value) => value > 200);
    is_dark ||= seen?.every((value) => value < 70);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return Boolean(is_white && is_dark);
}"""
_BEEPS = """async ([selector, hz]) => {
  const RATE = 48000, PIECE = 2400;
  const element = document.querySelector(selector);
  if (!element?.srcObject) return false;
  const samples = await probe.record(new MediaStream(element.srcObject.getAudioTracks()), 1400);
  const levels = [];
  for (let start = 0; start + PIECE <= samples.length; start += PIECE) {
    let real = 0, imaginary = 0;
    for (let i = 0; i < PIECE; i++) {
      real += samples[start + i] * Math.cos((2 * Math.PI * hz * i) / RATE);
      imaginary += samples[start + i] * Math.sin((2 * Math.PI * hz * i) / RATE);
    }
    levels.push((2 * Math.hypot(real, imaginary)) / PIECE);
  }
  return levels.some((level) => level > 0.1) && levels.some((level) => level < 0.02);
}"""
"""Whether a tone is there and not there in a recording longer than a second: a beep."""


async def everyone_meets(people):
    """Each browser sees and hears each of the others, the publishers by WHIP included."""
    await asyncio.gather(*(_meets_all(who, person) for who, person in people.items()))


async def _meets_all(who, person):
    for other in CAST:
        if other is who:
            continue
        there = other.on(None)
        if other is D:
            await until(person.page, _FLASHES, tile(there, "video"), within_s=20)
            await until(person.page, _BEEPS, [tile(there, "audio"), D.tone_hz], within_s=20)
        else:
            await person.sees(there)
            await person.hears(there)


async def chat(people, characters):
    """Each of some people writes a line, which all of them can read."""
    for who, line in characters.items():
        await people[who].page.fill("#chat-text", line)
        await people[who].page.press("Enter")
    for person in people.values():
        for line in characters.values():
            await person.says_is_shown(line)
