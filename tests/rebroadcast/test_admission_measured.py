"""Admission by what is measured: this process is kept busy, as many rooms would, and then is not."""

import asyncio
import hashlib
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from rebroadcast.errors import BroadcastTooDear
from recorder import RENDERER, RenderWish, renditions
from recorder.render.job import SOUND
from server.cpu_meter import CpuMeter
from tests.rebroadcast.house import CONFIG, house, until
from tests.rebroadcast.shelf import RECORDING, shelve

SMALL = RenderWish(width=320, height=180, fps=10)


@contextmanager
def busy(threads=2):
    """Keeps threads of this process busy that do not hold the interpreter's lock."""
    is_over = threading.Event()

    def burn():
        while not is_over.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000)

    burning = [threading.Thread(target=burn) for _ in range(threads)]
    for thread in burning:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in burning:
            thread.join()


@pytest.mark.slow
async def test_while_the_machine_is_busy_programs_are_refused_and_films_wait_then_both_begin(tmp_path):
    meters = []

    def machine(supervisor):
        meters.append(CpuMeter(supervisor, giving_way={RENDERER}, cores=0.6, window_s=2.0))
        return meters[0].machine

    async with house(tmp_path, replace(CONFIG, reserve=0.25), machine=machine) as home:
        await shelve(home, agreed=("ada", "bob"))
        there, other = await home.destination(), await home.destination()
        films = home.recorder.renditions
        films.yield_to(home.broadcasts.lack_of_cores)
        measuring = asyncio.create_task(meters[0].run())
        try:
            with busy():
                await until(lambda: home.broadcasts.cores_left() < 0, "a busy machine")
                with pytest.raises(
                    BroadcastTooDear, match=r"live rooms use \d\.\d, 0 programs .* 0\.00 are left"
                ):
                    await home.broadcasts.replay(RECORDING, [there])
                film = await films.render(RECORDING, SMALL)
                await until(lambda: films.get(RECORDING, film.id).reason, "why it waits")
                waiting = films.get(RECORDING, film.id)
                assert waiting.state == "queued"
                assert waiting.reason.startswith("there is no CPU time for it: of 0.6 cores")
                assert home.broadcasts._running == {}
            await until(lambda: home.broadcasts.cores_left() > 0.3, "a calm machine", 8.0)
            info = await home.broadcasts.replay(RECORDING, [there], is_looped=True)
            await home.live(info)
            with busy():
                await until(lambda: home.broadcasts.cores_left() < 0, "a busy machine")
                with pytest.raises(BroadcastTooDear, match="1 programs need"):
                    await home.broadcasts.replay(RECORDING, [other])
            await home.broadcasts.stop(info.id)
            await until(lambda: films.get(RECORDING, film.id).state == "finished", "the film")
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)


@pytest.mark.slow
async def test_a_film_that_is_being_made_gives_way_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(renditions, "_LOOK_AGAIN_S", 0.1)
    rooms = {"why": None}
    async with house(tmp_path) as home:
        await shelve(home, agreed=("ada", "bob"))
        films = home.recorder.renditions
        films.yield_to(lambda *, has_begun: rooms["why"])
        film = await films.render(RECORDING, replace(SMALL, width=1920, height=1080, fps=60))
        sound = home.store.blobs.path("renditions", RECORDING) / film.id / SOUND
        await until(sound.exists, "the sound, after which the picture is made")
        rooms["why"] = "rooms are busy"
        await until(lambda: films.get(RECORDING, film.id).state == "queued", "that it gives way")
        await until(lambda: films.get(RECORDING, film.id).reason == "rooms are busy", "why")
        assert not [worker for worker in home.supervisor.workers if worker.module == RENDERER]
        assert sound.exists(), "what is whole is not made again"
        rooms["why"] = None
        await until(lambda: films.get(RECORDING, film.id).state == "finished", "the film", 60)
        assert films.get(RECORDING, film.id).reason is None
