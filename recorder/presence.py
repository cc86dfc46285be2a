"""When somebody is in a finished recording, by its manifest. PURE."""

from recorder.erasure import people_in
from recorder.manifest import Manifest


def spans_of(manifest: Manifest, person: str) -> list[tuple[int, int]]:
    """From when until when something of them may be in it, Unix times in milliseconds; none: they are not.

    Of what was put aside nobody knows the time: then it is the whole recording.
    """
    grants = [
        (join.from_ms, join.to_ms) for one in manifest.people if one.person == person for join in one.grants
    ]
    files = [(file.start_ms, file.end_ms) for file in manifest.files if file.person == person]
    known = _united(grants + files)
    if not known and person in people_in(manifest):
        known = [(0, manifest.duration_ms)]
    began_ms = manifest.started_unix_ms
    return [(began_ms + from_ms, began_ms + to_ms) for from_ms, to_ms in known]


def _united(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same time in spans that do not overlap, in order."""
    united: list[tuple[int, int]] = []
    for from_ms, to_ms in sorted(spans):
        if united and from_ms <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], to_ms))
        else:
            united.append((from_ms, to_ms))
    return united
