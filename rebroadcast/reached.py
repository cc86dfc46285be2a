"""Where a broadcast went: kept with it, since destinations and partners may be removed after it. PURE."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rebroadcast.types import DestinationStatus

KEY: Final = "reached"
"""Where it stands in what is kept of a broadcast."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Whose site a destination was on, and how it was sent to; all empty when nobody knows any more."""

    partner: str = ""
    site: str = ""
    kind: str = ""


def kept(destinations: Iterable[DestinationStatus]) -> dict[str, dict[str, str]]:
    """As it is kept, by destination."""
    return {
        status.destination: {"partner": status.partner, "site": status.site, "kind": status.kind}
        for status in destinations
    }


def reached(details: Mapping[str, Any], destination: str) -> Reached:
    """What was kept of one destination."""
    return Reached(**details.get(KEY, {}).get(destination, {}))
