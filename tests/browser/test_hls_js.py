"""hls.js, as npm gives it, plays our low-latency HLS on a page of another origin, through a cut as well."""

import asyncio
import re
import shutil
import time
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.browser.consent_steps import answer
from tests.browser.page import until
from tests.browser.parley import free_port, serve

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

_CONFIG = """
[broadcast]
width = 320
height = 180
fps = 15
segment_s = 1.0
"""
_PAGE = """<!doctype html><link rel=icon href=data:,><title>Partner</title><script src=/hls.js></script>
<video id=video muted autoplay playsinline></video>
<script>
  globalThis.seen = { parts: 0, gone: 0, fatal: [], discontinuities: [], heights: [] };
  const play = (url) => {
    const video = document.getElementById("video");
    globalThis.hls = new Hls({ lowLatencyMode: true, liveDurationInfinity: true });
    hls.on(Hls.Events.FRAG_LOADED, (_, { part }) => { seen.parts += part ? 1 : 0; });
    hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => { seen.discontinuities.push(frag.cc); });
    hls.on(Hls.Events.ERROR, (_, { details, fatal, response }) => {
      if (response?.code === 410) seen.gone += 1;
      if (fatal) seen.fatal.push(details);
    });
    video.addEventListener("resize", () => { seen.heights.push(video.videoHeight); });
    hls.loadSource(url);
    hls.attachMedia(video);
  };
  const reached = (seconds) => document.getElementById("video").currentTime > seconds;
</script>"""
_JS = Path(__file__).parent / "js"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory):
    """A server whose programs are small."""
    folder = tmp_path_factory.mktemp("parley")
    config = folder / "parley.toml"
    config.write_text(_CONFIG)
    async with serve(folder / "data", arguments=("--config", str(config))) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def player(tmp_path_factory):
    """The address of a partner's page with hls.js of npm."""
    folder = tmp_path_factory.mktemp("hls_js")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_JS / name, folder)
    assert shutil.which("npm") is not None, "npm is missing: run tools/system-packages test"
    install = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    process = await asyncio.create_subprocess_exec(*install, cwd=folder, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    script = (folder / "node_modules/hls.js/dist/hls.js").read_text()

    async def page(_request):
        return web.Response(text=_PAGE, content_type="text/html")

    async def library(_request):
        return web.Response(text=script, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/hls.js", library)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://localhost:{port}/"
    await runner.cleanup()


async def api(parley, path, body):
    status, made = await parley.api("POST", path, body)
    assert status == 201, made
    return made


async def listed(url):
    """Addresses of the segments that a media playlist lists."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        names = re.findall(r"^(\S*seg-\d+\.m4s\S*)$", await response.text(), re.MULTILINE)
    return [f"{url.rpartition('/')[0]}/{name}" for name in names]


async def status_of(url):
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status


async def test_hls_js_plays_parts_changes_renditions_and_goes_on_over_a_cut(
    parley, browser, player, join, room
):
    partner = {
        "name": room,
        "site": f"{room}.example",
        "policy_url": "https://partner.example/privacy",
        "uses": ["live"],
        "terms_version": "1",
    }
    await api(parley, "/rooms", {"name": room, "mode": "explicit"})
    ada, bob = await join("ada", uses={"live": True}), await join("bob", uses={"live": True})
    partner_id = (await api(parley, "/partners", partner))["id"]
    body = {"name": "Web", "partner": partner_id, "kind": "hls"}
    hls = (await api(parley, "/destinations", {**body, "encodings": [{"height": 180}, {"height": 90}]}))["id"]
    broadcast = await api(parley, "/broadcasts", {"room": room, "destinations": [hls]})
    for person in (ada, bob):
        await answer(person, "yes")
    url = parley.url + broadcast["hls_url"]
    page = await browser.page()
    try:
        await page.goto(player)
        await page.evaluate("(url) => play(url)", url)
        await until(page, "() => reached(2) && seen.parts > 3", within_s=40)
        assert await page.evaluate("() => hls.levels.map(({ height }) => height).sort()") == [180, 90]
        assert await page.evaluate("() => hls.latency") < 5
        other = await page.evaluate(
            "() => hls.nextLevel = hls.levels.findIndex(({ height }) => height === 90)"
        )
        assert other in {0, 1}
        await until(page, "() => document.getElementById('video').videoHeight === 90", within_s=30)

        old = await listed(url.replace("index.m3u8", "video.m3u8"))
        before = await page.evaluate("() => Math.max(...seen.discontinuities)")
        began = await page.evaluate("() => document.getElementById('video').currentTime")
        status, _ = await parley.api("POST", f"/rooms/{room}/participants/bob/actions", {"action": "remove"})
        assert status == 204
        deadline = time.monotonic() + 5
        while [await status_of(one) for one in old] != [410] * len(old):
            assert time.monotonic() < deadline, "what was listed is gone"
        await until(page, f"() => Math.max(...seen.discontinuities) > {before}", within_s=40)
        await until(page, f"() => reached({began} + 4)", within_s=40)
        assert await page.evaluate("() => seen.fatal") == []
    finally:
        await page.close()
    await parley.api("POST", f"/broadcasts/{broadcast['id']}/stop")
