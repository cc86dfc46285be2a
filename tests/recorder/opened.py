"""What lies sealed in a server's data folder, as it was before."""

from pathlib import Path

from recorder.keys import KeyStore, MasterKeys
from recorder.parts import open_part


def plain_copy(data_dir: Path, path: Path) -> Path:
    """An opened copy of a recording's file, beside the data folder."""
    keys = KeyStore(data_dir / "recording-keys", MasterKeys.load(data_dir / "recordings.key"))
    copy = data_dir.parent / "opened" / path.name
    copy.parent.mkdir(exist_ok=True)
    with open_part(path, keys.of(path.parent.name)) as file:
        copy.write_bytes(file.read())
    return copy
