"""Opens files of a rendition as plain bytes, sealed or not. Blocks on the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from media.sealed import SealedReader


def open_rendition(
    path: Path, key: bytes | None, elsewhere: Callable[[str], BinaryIO] | None = None
) -> BinaryIO:
    """Open a file of a rendition.

    `key`: what it was sealed with. `elsewhere`: opens by its name what is not on the disk.
    Raises: SealError, OSError.
    """
    file: BinaryIO
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if elsewhere is None:
            raise
        file = elsewhere(path.name)
    try:
        return file if key is None else cast("BinaryIO", SealedReader(file, key))
    except BaseException:
        file.close()
        raise
