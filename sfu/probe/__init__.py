"""Calls through a media plane, to know that it works: whole peers of our own parts, by UDP or TCP."""

from sfu.probe.call import (
    ProbeFailed,
    ProbeReport,
    ProbeTarget,
    probe_call,
    probe_offer,
    probe_targets,
)
from sfu.probe.plane import PlaneProbe

__all__ = [
    "PlaneProbe",
    "ProbeFailed",
    "ProbeReport",
    "ProbeTarget",
    "probe_call",
    "probe_offer",
    "probe_targets",
]
