"""A recording's folder: how its files grow while it runs, and what they hold."""

import asyncio
import json
import time

from bench.studio.decoded import pictures, sounds

_LOOK_S = 0.05
_SMALL = (80, 45)


class RecordingFolder:
    """Files of one recording; people are found by the names that its events tell."""

    def __init__(self, path):
        self.path = path

    @property
    def people(self):
        """Screen names to the random ids that file names begin with."""
        lines = (self.path / "events.jsonl").read_text().splitlines()
        joined = [event for event in map(json.loads, lines) if event["event"] == "person_joined"]
        return {event["name"]: event["person"] for event in joined}

    def files(self, who, suffix=".webm"):
        """Somebody's media files."""
        person = self.people[who.name]
        return sorted(
            path for path in self.path.iterdir() if path.name.startswith(person) and path.suffix == suffix
        )

    def sizes(self, who):
        return {path.name: path.stat().st_size for path in self.files(who)}

    def last_write_s(self, who):
        """When one of somebody's files was last written to (wall clock, seconds)."""
        return max(path.stat().st_mtime for path in self.files(who))

    def text(self):
        """Everything in the folder that can be read as text."""
        return "".join(path.read_text() for path in self.path.iterdir() if path.suffix in {".json", ".jsonl"})


class Growth:
    """Follows the sizes of some people's files while it is entered."""

    def __init__(self, folder, people):
        self._paths = [path for who in people for path in folder.files(who)]
        self._sizes = {}
        self._grew_s = {}
        self.longest_pause_s = 0.0

    async def __aenter__(self):
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_):
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        self._look()

    async def _follow(self):
        while True:
            self._look()
            await asyncio.sleep(_LOOK_S)

    def _look(self):
        now = time.monotonic()
        for path in self._paths:
            size = path.stat().st_size
            self.longest_pause_s = max(self.longest_pause_s, now - self._grew_s.setdefault(path, now))
            if size > self._sizes.get(path, 0):
                self._sizes[path], self._grew_s[path] = size, now


class FinishedRecording:
    """What a finished recording's manifest says, and what its media files hold when they are decoded."""

    def __init__(self, folder):
        self._folder = folder
        self.manifest = json.loads((folder.path / "manifest.json").read_text())["manifest"]
        self.started_ms = self.manifest["started_unix_ms"]

    @property
    def names(self):
        return {entry["name"] for entry in self.manifest["people"]}

    def ended(self, who):
        """Why the recording of somebody ended, for each span of it."""
        (entry,) = (entry for entry in self.manifest["people"] if entry["name"] == who.name)
        return [grant["ended"] for grant in entry["grants"]]

    def paths(self, who, kind):
        person = self._folder.people[who.name]
        entries = [e for e in self.manifest["files"] if e["person"] == person and e["kind"] == kind]
        return [str(self._folder.path / e["name"]) for e in sorted(entries, key=lambda e: e["start_ms"])]

    def pictures(self, who):
        """(wall clock in ms, small picture) of everything that was recorded of somebody's camera."""
        for path in self.paths(who, "video"):
            for seconds, picture in pictures(path, size=_SMALL):
                yield self.started_ms + seconds * 1000, picture

    def sounds(self, who):
        """(wall clock in ms, samples) of everything that was recorded of somebody's microphone."""
        for path in self.paths(who, "audio"):
            for seconds, piece in sounds(path):
                yield self.started_ms + seconds * 1000, piece
