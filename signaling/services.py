"""What the application needs from floors below, beyond `rooms`: the recorder and the broadcasts, by shape.

The classes of `recorder` and `rebroadcast` fit these protocols without importing them; the composition
root injects
them. A service that is not there answers `unavailable`. Errors: any exception whose class carries a `code` of
`signaling.errors.CODES`, with the reason as its text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from rooms import Withdrawal


class RecordingInfo(Protocol):
    """One recording as the API tells it."""

    @property
    def id(self) -> str:
        """Random id, `rec_...`; also the id of its activity."""

    @property
    def room(self) -> str:
        """Name of the room."""

    @property
    def state(self) -> str:
        """`starting`, `recording`, `stopping`, `finished`, `interrupted`, `failed`."""

    @property
    def reason(self) -> str | None:
        """Why it failed or was interrupted."""

    @property
    def started_ms(self) -> int:
        """Unix time in milliseconds."""

    @property
    def ended_ms(self) -> int | None:
        """Unix time in milliseconds; None while it runs."""

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""


class RecordedFile(Protocol):
    """One file of a recording."""

    @property
    def name(self) -> str:
        """Name within the recording's folder: no separators, chosen by the recorder."""

    @property
    def size_bytes(self) -> int:
        """Length."""

    @property
    def content_type(self) -> str:
        """MIME type."""

    @property
    def sha256(self) -> str | None:
        """Hex digest from the manifest; None while the recording runs."""


class RecorderApi(Protocol):
    """Start, stop and read recordings; `recorder.RecorderService` fits.

    Every method may raise an error with code `not_found`, `conflict`, `forbidden` or `unavailable`.
    """

    async def start(self, room: str, *, started_by: str | None = None) -> RecordingInfo:
        """Begin recording a room; `started_by` is a participant id, None for the API."""

    async def stop(self, recording: str) -> RecordingInfo:
        """Stop; returns when the last byte is synced. Stopping a stopped one is fine."""

    async def status(self, recording: str) -> RecordingInfo | None:
        """One recording, or None."""

    async def recordings(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> Sequence[RecordingInfo]:
        """Newest first; `after` is the id of the last one of the page before."""

    async def files(self, recording: str) -> Sequence[RecordedFile]:
        """The files of a recording."""

    async def path(self, recording: str, name: str) -> Path | None:
        """Where a file of a finished recording lies; None when there is no such file."""

    async def delete(self, recording: str) -> None:
        """Remove a finished recording from disk and index."""

    async def concerned(self, withdrawal: Withdrawal) -> Sequence[str]:
        """Ids of the recordings that may hold what somebody withdraws, newest first."""


class DestinationState(Protocol):
    """How one destination of a broadcast is doing."""

    @property
    def destination(self) -> str:
        """Id of the destination."""

    @property
    def name(self) -> str:
        """The operator's name for it."""

    @property
    def site(self) -> str:
        """The site that people are told."""

    @property
    def kind(self) -> str:
        """`rtmp` or `hls`."""

    @property
    def state(self) -> str:
        """`idle`, `connecting`, `live`, `degraded`, `slate`, `backing_off`, `failed`, `stopped`."""

    @property
    def reason(self) -> str | None:
        """What is wrong, without secrets."""

    @property
    def bytes_acknowledged(self) -> int:
        """Bytes that the other side acknowledged."""


class BroadcastInfo(Protocol):
    """One broadcast as the API tells it."""

    @property
    def id(self) -> str:
        """Random id, `bc_...`; also the id of its activity."""

    @property
    def room(self) -> str:
        """Name of the room."""

    @property
    def state(self) -> str:
        """`starting`, `running`, `stopping`, `stopped`, `failed`."""

    @property
    def reason(self) -> str | None:
        """Why it failed."""

    @property
    def mode(self) -> str:
        """`program` or `passthrough`."""

    @property
    def started_ms(self) -> int:
        """Unix time in milliseconds."""

    @property
    def ended_ms(self) -> int | None:
        """Unix time in milliseconds; None while it runs."""

    @property
    def has_hls(self) -> bool:
        """Whether a destination of kind `hls` is among them."""

    @property
    def destinations(self) -> Sequence[DestinationState]:
        """One state for each destination."""


class DestinationInfo(Protocol):
    """One registered destination; never its key."""

    @property
    def id(self) -> str:
        """Random id, `dst_...`."""

    @property
    def name(self) -> str:
        """The operator's name for it."""

    @property
    def partner(self) -> str:
        """Id of the partner that it belongs to."""

    @property
    def site(self) -> str:
        """The partner's site, as people are told."""

    @property
    def kind(self) -> str:
        """`rtmp` or `hls`."""

    @property
    def rooms(self) -> Sequence[str]:
        """Rooms that may use it; empty: all."""

    @property
    def shown_url(self) -> str | None:
        """Scheme, host and application without secrets; None for `hls`."""

    @property
    def key_hint(self) -> str | None:
        """Last four characters of the stream key; None without one."""


class PartnerInfo(Protocol):
    """One partner site with the terms it agreed to."""

    @property
    def id(self) -> str:
        """Random id, `par_...`."""

    @property
    def name(self) -> str:
        """Name as people are told."""

    @property
    def site(self) -> str:
        """Host name of the site."""

    @property
    def policy_url(self) -> str:
        """Where the site's own privacy policy is."""

    @property
    def uses(self) -> Sequence[str]:
        """Uses that the partner's terms cover."""

    @property
    def terms_version(self) -> str:
        """Terms version that the partner accepted."""


class BroadcastApi(Protocol):
    """Destinations, partners and broadcasts; `rebroadcast.RebroadcastService` fits.

    Every method may raise an error with code `not_found`, `conflict`, `forbidden`, `unprocessable` or
    `unavailable`.
    """

    async def start(
        self,
        room: str,
        destinations: Sequence[str],
        *,
        layout: str = "grid",
        mode: str = "program",
        publisher: str | None = None,
        started_by: str | None = None,
    ) -> BroadcastInfo:
        """Begin; `publisher` is the identity to pass through in mode `passthrough`."""

    async def stop(self, broadcast: str) -> BroadcastInfo:
        """Stop; returns when every destination is closed. Stopping a stopped one is fine."""

    async def status(self, broadcast: str) -> BroadcastInfo | None:
        """One broadcast, or None."""

    async def broadcasts(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> Sequence[BroadcastInfo]:
        """Newest first; `after` is the id of the last one of the page before."""

    async def add_destination(
        self, *, name: str, partner: str, kind: str, url: str | None, key: str | None, rooms: Sequence[str]
    ) -> DestinationInfo:
        """Register; the URL is checked against the address policy, the key encrypted at rest."""

    async def destinations(self, *, room: str | None = None) -> Sequence[DestinationInfo]:
        """All, or those that a room may use."""

    async def remove_destination(self, destination: str) -> None:
        """Remove one that no broadcast uses."""

    async def add_partner(
        self, *, name: str, site: str, policy_url: str, uses: Sequence[str], terms_version: str
    ) -> PartnerInfo:
        """Register a partner site with what its terms cover."""

    async def partners(self) -> Sequence[PartnerInfo]:
        """All partner sites."""

    async def remove_partner(self, partner: str) -> None:
        """Remove one without destinations."""


class HlsStore(Protocol):
    """What HLS players read, kept in memory by `rebroadcast`."""

    def get(self, broadcast: str, name: str) -> "bytes | Literal['gone'] | None":
        """A playlist or segment by its plain name; 'gone' for what was withdrawn or is too old."""
