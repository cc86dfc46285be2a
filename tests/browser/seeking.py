"""Whether Chromium plays a file and finds its way in it."""

from pathlib import Path

from bench.studio.decoded import pictures
from tests.browser import chromium

_SEEK = """async (start_s) => {
  const video = document.createElement("video");
  const told = (name) => new Promise((done, fail) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener("error", () => fail(video.error), { once: true });
  });
  const loaded = told("loadeddata");
  video.src = URL.createObjectURL(document.querySelector("input").files[0]);
  await loaded;
  const end_s = video.seekable.end(0);
  const shown = [];
  for (const share of [0.9, 0.1, 0.5]) {
    const seeked = told("seeked"), wanted_s = start_s + (end_s - start_s) * share;
    video.currentTime = wanted_s;
    await seeked;
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    let [, luma, , alpha] = [0, 0, 0, 0];
    for (let waited = 0; !alpha && waited < 50; waited += 1) {  // nothing is drawn before a picture is there
      canvas.drawImage(video, 0, 0, 1, 1);
      [, luma, , alpha] = canvas.getImageData(0, 0, 1, 1).data;
      if (!alpha) await new Promise((go) => setTimeout(go, 100));
    }
    shown.push({ at_s: video.currentTime, wanted_s, luma });
  }
  const from_s = video.currentTime;
  await video.play();
  await new Promise((done) => {
    video.ontimeupdate = () => video.currentTime > from_s + 0.2 && done();
  });
  return { end_s, shown };
}"""


async def assert_chromium_seeks(file: Path) -> None:
    """Fails unless Chromium shows the picture of any time of a file, and plays on from there."""
    times, lumas = zip(*((at_s, picture.mean()) for at_s, picture in pictures(file)), strict=True)
    async with chromium.launch() as browser:
        page = await browser.page()
        await page.page.set_content("<input type=file>")
        await page.page.set_input_files("input", file)
        found = await page.evaluate(_SEEK, times[0])
        await page.close()
    assert abs(found["end_s"] - times[-1]) < 0.2, "its length is known"
    for shown in found["shown"]:
        assert abs(shown["at_s"] - shown["wanted_s"]) < 0.05
        index = max(index for index, at_s in enumerate(times) if at_s <= shown["at_s"] + 0.001)
        near = lumas[max(index - 1, 0) : index + 2]
        assert min(near) - 25 < shown["luma"] < max(near) + 25, "the picture of that time"
