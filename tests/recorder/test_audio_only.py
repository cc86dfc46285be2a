"""Terms that ask for sound alone: no picture is written, composed or kept as a still."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from policy import DEFAULT_TERMS, RECORD, Media
from recorder import RenderWish
from recorder.manifest import verify
from tests.recorder.house import ROOM, house
from tests.recorder.test_render import made, plain

RED = (200, 30, 30)
SOUND_ALONE = replace(
    DEFAULT_TERMS,
    version="2027-01",
    number=2,
    is_material=False,
    uses=tuple(
        replace(item, media=frozenset({Media.AUDIO})) if item.use == RECORD else item
        for item in DEFAULT_TERMS.uses
    ),
)


async def test_who_agreed_to_sound_alone_is_in_no_picture_file_film_or_still(tmp_path):
    async with house(tmp_path) as home:
        await home.rooms.consent.policy.publish(SOUND_ALONE)
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await ada.participant.chat("words that are not to be kept")
        sound = await home.grows(info, ada.person, "mic")
        await home.recorder.stop(info.id)
        assert [path.name for path in home.folder(info).glob(f"{ada.person}-*")] == [sound.name]
        manifest = verify((home.folder(info) / "manifest.json").read_bytes())
        assert [(file.kind, file.source) for file in manifest.files] == [("audio", "mic")]
        assert [track.kind for track in manifest.tracks] == ["audio"]
        assert [person.chat_lines for person in manifest.people] == [0]

        wish = RenderWish(width=320, height=180, fps=10)
        film = await made(home, info, (await home.recorder.renditions.render(info.id, wish)).id)
        assert (film.state, film.people) == ("finished", (ada.person,))
        content = io.BytesIO(await plain(home, info, film))
        assert tone_level(samples(content), 440) > 0.05
        content.seek(0)
        stills = [name for name in film.beside if name.endswith(".jpg")]
        assert stills
        pictures = colours(content)
        for name in stills:
            still = Image.open(io.BytesIO(await beside(home, info, film, name)))
            pictures.append(np.asarray(still.convert("RGB")))
        assert max(share_of_colour(picture, RED) for picture in pictures) < 0.01


async def beside(home, info, film, name):
    file = await home.recorder.renditions.open_file(info.id, film.id, name)
    data = await file.read(0, 1 << 20)
    await file.close()
    return data
