"""Who was shown in a replay, and when: kept, so that it can be told where somebody went. PURE."""

from collections.abc import Mapping
from typing import Any, Final

KEY: Final = "shown"
"""Where it stands in what is kept of a broadcast."""


class Showings:
    """Spans in Unix milliseconds, by person."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[int, int | None]]] = {}

    def began(self, person: str, at_ms: int) -> bool:
        """Somebody may be in it from now on; whether that is new."""
        spans = self._spans.setdefault(person, [])
        if spans and spans[-1][1] is None:
            return False
        spans.append((at_ms, None))
        return True

    def ended(self, person: str, at_ms: int) -> bool:
        """Somebody is not in it any more; whether they were."""
        spans = self._spans.get(person, [])
        if not spans or spans[-1][1] is not None:
            return False
        spans[-1] = (spans[-1][0], at_ms)
        return True

    def close(self, at_ms: int) -> bool:
        """It is over; whether anybody was in it."""
        ended = [self.ended(person, at_ms) for person in self._spans]
        return any(ended)

    def kept(self) -> dict[str, list[tuple[int, int | None]]]:
        """As it is kept."""
        return {person: list(spans) for person, spans in self._spans.items()}


def spans_in(details: Mapping[str, Any], person: str, stopped_ms: int | None) -> list[tuple[int, int | None]]:
    """When somebody was shown, by what was kept; a span that a crash left open ended with the broadcast."""
    spans = details.get(KEY, {}).get(person, [])
    return [(from_ms, stopped_ms if until_ms is None else until_ms) for from_ms, until_ms in spans]
