"""Random ids, safe as file names and in URLs."""

import base64
import re
from collections.abc import Callable
from secrets import token_bytes
from typing import Final

_ID_BYTES: Final = 10
_SHAPE: Final = re.compile(r"[a-z]{1,4}_[a-z2-7]{16}")


def new_id(prefix: str, random_bytes: Callable[[int], bytes] = token_bytes) -> str:
    """An id of 80 random bits: the prefix, an underscore, 16 characters of base 32 in lower case."""
    return f"{prefix}_{base64.b32encode(random_bytes(_ID_BYTES)).decode().lower()}"


def is_id(text: str) -> bool:
    """Whether `text` has the shape that `new_id` gives."""
    return _SHAPE.fullmatch(text) is not None
