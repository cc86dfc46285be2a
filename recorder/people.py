"""Who is in a finished recording, by their screen names. PURE but for the keys that are read."""

import base64
import binascii

from media.sealed import SealError, unseal
from recorder.data_keys import DataKeys
from recorder.manifest import NAME_CONTEXT, Manifest, PersonEntry


def names_of(manifest: Manifest, keys: DataKeys | None) -> dict[str, str]:
    """Screen name by person. Raises: OSError."""
    return {entry.person: name_of(entry, keys) for entry in manifest.people}


def name_of(entry: PersonEntry, keys: DataKeys | None) -> str:
    """A screen name, opened if it is sealed; empty when its key is not there. Raises: OSError."""
    key = keys.get(entry.person) if keys is not None and entry.sealed_name else None
    if key is None:
        return entry.name
    try:
        return unseal(key, base64.b64decode(entry.sealed_name, validate=True), NAME_CONTEXT).decode()
    except (SealError, binascii.Error, ValueError):
        return ""
