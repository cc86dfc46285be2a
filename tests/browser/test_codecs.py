"""Calls on the codecs that a room allows, through the native core."""

import pytest

from tests.browser.page import until
from tests.browser.people import tile

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browsers"),
]

_RECEIVED = """async () => {
  const codecs = new Set();
  for (const connection of connections) {
    const stats = await connection.getStats();
    for (const { type, kind, framesDecoded, codecId } of stats.values()) {
      const is_seen = type === "inbound-rtp" && kind === "video" && framesDecoded > 0;
      if (is_seen) codecs.add(stats.get(codecId).mimeType);
    }
  }
  return [...codecs];
}"""


@pytest.fixture
async def only(parley, room):
    """`await only("vp9")`: the test's room allows this video codec and no other."""

    async def allow(codec: str) -> None:
        status, body = await parley.api("POST", "/rooms", {"name": room, "video_codecs": [codec]})
        assert status == 201, body
        assert body["settings"]["video_codecs"] == [codec]

    return allow


@pytest.mark.parametrize(
    ("codec", "mime"), [pytest.param("vp9", "video/VP9", marks=pytest.mark.wide), ("av1", "video/AV1")]
)
async def test_chromium_and_firefox_call_each_other_on(only, join, join_fox, codec, mime):
    await only(codec)
    ada, fox = await join("ada"), await join_fox()
    await ada.meets(fox)
    for person in (ada, fox):
        assert await person.page.evaluate(_RECEIVED) == [mime]


async def test_two_chromiums_call_each_other_on_h264(only, join):
    await only("h264")
    ada, bo = await join("ada"), await join("bo")
    await ada.meets(bo)
    for person in (ada, bo):
        assert await person.page.evaluate(_RECEIVED) == ["video/H264"]


async def test_a_firefox_without_h264_hears_is_heard_and_is_told(only, join, join_fox):
    await only("h264")
    ada, fox = await join("ada"), await join_fox()
    for told, words in ((fox, "what Ada sends (H264)"), (ada, "what you send (H264)")):
        await until(
            told.page,
            "(words) => document.getElementById('toasts')?.textContent.includes(words) ?? false",
            words,
        )
    await until(fox.page, "() => document.querySelectorAll('.toast').length === 2")
    await ada.hears(fox)
    await fox.hears(ada)
    assert await fox.page.evaluate("(s) => document.querySelector(s).hidden", tile(ada, "video"))
