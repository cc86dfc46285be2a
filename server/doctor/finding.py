"""One thing that the doctor looked at, and the patient it looked at it in."""

from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Literal

from server.config import Config

Verdict = Literal["good", "note", "bad"]
"""`bad`: something will not work; `note`: it may not, or not for everybody."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and how to mend it."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""

    def plain(self) -> dict[str, str]:
        """As a mapping."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined.

    Attributes:
        url: of the server of this configuration that runs here; empty: none runs.
    """

    config: Config
    url: str


Check = Callable[[Patient], Coroutine[Any, Any, Finding]]
