"""A finished recording in a house: real parts, a signed manifest, and what its people agreed to."""

import io

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from media.sealed import SealedWriter
from policy import DEFAULT_TERMS
from recorder.installation import signing_key
from recorder.journal import seal_line
from recorder.manifest import sign
from store import LedgerEntry, LedgerKind, RecordingRow, RecordingState
from tests.rebroadcast.house import ROOM
from tests.recorder import finished

RECORDING = "rec_shelfshelfshelfs"
ROOM_ID = "rm_shelf"
BOB_GREY = (121, 121, 121)
BOB_HZ = 440


async def shelve(home, *, recording=RECORDING, state=RecordingState.FINISHED, is_sealed=False, agreed=()):
    """Puts `tests.recorder.finished.recording` on the shelf; `agreed`: who said yes to `replay`."""
    folder = home.store.blobs.folder("recordings", recording)
    manifest = finished.recording(folder)
    if is_sealed:
        seal_parts(home, recording, folder)
    (folder / "manifest.json").write_bytes(sign(manifest, signing_key(home.store)))
    await home.store.recordings.add(
        RecordingRow(
            id=recording,
            room=ROOM_ID,
            room_name=ROOM,
            state=state,
            started_at_ms=1_000,
            stopped_at_ms=5_000,
            details={"people": ["ada", "bob"]},
        )
    )
    for person in agreed:
        await agree(home, person)
    return recording


async def agree(home, person, *, kind=LedgerKind.USE_AGREED):
    """What the ledger holds of somebody who accepted the terms and answered for `replay`."""
    await home.store.persons.remember(person, person)
    version, at_ms = DEFAULT_TERMS.version, 2_000
    common = {"person": person, "room": ROOM_ID, "at_ms": at_ms, "terms_version": version}
    await home.store.ledger.append(
        LedgerEntry(
            kind=LedgerKind.TERMS_ACCEPTED, terms_digest=DEFAULT_TERMS.digest(), age_18=True, **common
        ),
        LedgerEntry(kind=kind, uses=("replay",), **common),
    )


def seal_parts(home, recording, folder):
    keys = home.recorder._keys.of(recording)
    for path in folder.glob("*-*.webm"):
        data = path.read_bytes()
        with path.open("wb+") as file, SealedWriter(file, keys.make(path.name.split("-")[0])) as sealed:
            sealed.write(data)
    chat = folder / "chat.jsonl"
    chat.write_bytes(seal_line(chat.read_bytes(), "bob", keys.make("bob")))


def shows_bob(data):
    """Whether bob's grey is to be seen in a playable file."""
    return any(share_of_colour(picture, BOB_GREY, 8) > 0.02 for picture in colours(io.BytesIO(data)))


def hears_bob(data):
    """Whether bob's tone is to be heard in a playable file."""
    return tone_level(samples(io.BytesIO(data)), BOB_HZ) > 0.02
