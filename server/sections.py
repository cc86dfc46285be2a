"""The sections of the configuration with their options; each option says its unit and what it is for.

PURE: no I/O.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media.png import PngError, check_png
from policy import RoomMode, RoomSettings, Use
from recorder import RecorderConfig
from server.options import option
from store import ArchiveConfig, Secret


def _hosts(values: tuple[str, ...]) -> str | None:
    for value in values:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return f"{value!r} is not an IP address"
    return None


def _networks(values: tuple[str, ...]) -> str | None:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            return f"{value!r} is not an IP address or network"
    return None


def _origins(values: tuple[str, ...]) -> str | None:
    for value in values:
        if not value.startswith(("http://", "https://")) or value.count("/") > 2 or "*" in value:
            return f"{value!r} is not an origin like https://app.example"
    return None


def _redis(value: str) -> str | None:
    if value and not value.startswith(("redis://", "rediss://", "unix://")):
        return f"{value.partition('@')[2] or value!r} is not an address like redis://127.0.0.1:6379"
    return None


def _png(value: str) -> str | None:
    if not value:
        return None
    try:
        check_png(Path(value).read_bytes())
    except (OSError, PngError) as error:
        return f"names a PNG file that can be used: {error}"
    return None


def _node(value: str) -> str | None:
    if value and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value) is None:
        return "a node's name has 1 to 64 letters, digits, dots, dashes and underscores"
    return None


def _bucket(value: str) -> str | None:
    if value and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", value) is None:
        return "a bucket's name has letters, digits, dots, dashes and underscores, and no address before it"
    return None


def _prefix(value: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}", value) is None:
        return "a prefix has words of letters, digits, dashes and underscores, with a slash between"
    return None


def _endpoint(value: str) -> str | None:
    if value and re.fullmatch(r"https?://[^/@?#]+/?", value) is None:
        return "is not an address like https://s3.example, without user, path and query"
    return None


def _master_keys(values: tuple[str, ...]) -> str | None:
    if any(re.fullmatch(r"[0-9a-fA-F]{64}", value) is None for value in values):
        return "a master key has 64 hexadecimal digits (`openssl rand -hex 32` makes one)"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSection:
    """Where the server listens and keeps its data."""

    host: str = option("127.0.0.1", "Address or name that HTTP listens on")
    port: int = option(8080, "TCP port of HTTP; 0 lets the system choose", low=0, high=65_535)
    data_dir: Path = option(Path("data"), "Folder of database, keys and recordings; made when missing")
    tls_cert: Path | None = option(None, "PEM certificate chain; read again when the file changes")
    tls_key: Path | None = option(None, "PEM private key of the certificate")
    tls: Literal["off", "self-signed"] = option(
        "off", "`self-signed` makes a certificate of its own; ignored when `tls_cert` is given"
    )
    behind_proxy: tuple[str, ...] = option(
        (), "Addresses or networks of reverse proxies that terminate TLS and are believed", check=_networks
    )
    generate_key: bool = option(
        False, "Make and keep an API key when none is configured, even where others can reach the server"
    )
    drain_s: float = option(5.0, "Seconds that clients get to leave when the server stops", low=0, high=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """Where media is received."""

    port: int = option(7882, "UDP port of the first worker; worker n takes port + n", low=0, high=65_535)
    bind: tuple[str, ...] = option(
        (),
        "IP addresses to bind; empty: all of the machine's, loopback too while HTTP is on loopback",
        check=_hosts,
    )
    announce: tuple[str, ...] = option(
        (), "Public addresses put into candidates instead of the bound ones, in the same order", check=_hosts
    )
    tcp_port: int = option(
        7881, "TCP port, for all workers, of peers that no UDP reaches (ICE-TCP); 0: none", low=0, high=65535
    )
    workers: int = option(0, "Native threads; 0: one less than the machine has cores", low=0, high=64)
    join_s: float = option(
        15.0, "Seconds that a peer gets to connect, from its description to its keys", low=1, high=120
    )
    handshake_s: float = option(10.0, "Seconds that a DTLS handshake may take", low=1, high=60)
    idle_s: float = option(
        10.0, "Seconds without a packet after which a peer counts as idle", low=1, high=300
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSection:
    """Who may use the server from a browser, and what people are told about it."""

    name: str = option("Parley", "Name of the site")
    support: str = option("", "Address for questions, shown to people")
    privacy: str = option("", "Address for privacy requests, shown to people")
    hosts: tuple[str, ...] = option((), "Host names that a development server answers to, besides localhost")
    origins: tuple[str, ...] = option(
        (),
        "Origins, besides the server's own, whose pages may call it, and that may renew tokens",
        check=_origins,
    )
    frame_ancestors: tuple[str, ...] = option(
        (), "Origins that may frame /embed/; empty: any", check=_origins
    )
    hls_link_s: int = option(21_600, "Seconds that a signed HLS link serves", low=60, high=604_800)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceSection:
    """ICE servers that joiners are given; the server itself needs none."""

    urls: tuple[str, ...] = option((), "STUN and TURN URLs")
    username: str = option("", "TURN user name, the same for everybody")
    credential: str = option("", "TURN password, the same for everybody", is_secret=True)
    secret: str = option(
        "",
        "Shared with the TURN server (coturn: `static-auth-secret`): credentials for each that expire",
        is_secret=True,
    )
    ttl_s: int = option(86_400, "Seconds that such credentials serve", low=300, high=604_800)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsSection:
    """What holds in rooms that do not say otherwise."""

    mode: Literal["notice", "explicit"] = option(
        "notice",
        "`notice`: accepting the terms covers the uses, with a notice; `explicit`: each use is asked",
    )
    uses: tuple[str, ...] = option(("live", "record", "replay"), "Uses that may be started")
    video_codecs: tuple[str, ...] = option(("vp8", "h264", "vp9", "av1"), "Publish codecs, best first")
    audio_codecs: tuple[str, ...] = option(
        ("red", "opus"), "`red` repeats each Opus frame, against loss, for about twice the bits"
    )
    loudest: int = option(8, "Voices heard at once, the loudest; 0 is all", low=0, high=64)
    max_participants: int = option(100, "People in a room at once", low=1, high=10_000)
    max_viewers: int = option(500, "Viewers from outside at once", low=0, high=100_000)
    grace_s: float = option(30.0, "Seconds that a lost participant keeps the place", low=0, high=600)
    empty_s: float = option(60.0, "Seconds that an empty room stays", low=0, high=86_400)
    retention_days: int = option(
        0, "Days that recordings are kept after their end; 0: until somebody deletes them", low=0, high=3650
    )
    create_on_join: bool = option(True, "Whether the first join makes a room")

    def settings(self) -> RoomSettings:
        """The settings as `rooms` takes them.

        Raises:
            SettingsError: out of range.
        """
        return RoomSettings(
            mode=RoomMode(self.mode),
            uses=frozenset(Use(use) for use in self.uses),
            video_codecs=self.video_codecs,
            audio_codecs=self.audio_codecs,
            loudest=self.loudest,
            max_participants=self.max_participants,
            max_viewers=self.max_viewers,
            grace_s=self.grace_s,
            empty_s=self.empty_s,
            retention_days=self.retention_days or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """Data channels: small messages between the people of a room, neither recorded nor sent outside."""

    enabled: bool = option(True, "Whether publish connections may carry data channels")
    message_bytes: int = option(16_384, "The longest message, with its envelope", low=256, high=65_536)
    messages_per_s: float = option(50.0, "Messages of one participant a second, for long", low=0.1, high=250)
    messages_burst: int = option(200, "Messages of one participant at once", low=1, high=2_500)
    bytes_per_s: float = option(
        65_536.0, "Bytes of one participant a second, for long", low=256, high=250_000
    )
    bytes_burst: int = option(262_144, "Bytes of one participant at once", low=256, high=2_500_000)
    room_per_s: float = option(
        1_000.0, "Deliveries a second in one room: a message counts for each who gets it", low=1, high=100_000
    )
    node_per_s: float = option(
        2_000.0,
        "Deliveries a second in all rooms; each takes a moment of the server's one Python thread",
        low=1,
        high=100_000,
    )
    queue_bytes: int = option(
        262_144, "What waits for one slow reader; beyond it messages are dropped", low=16_384, high=16_777_216
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSection:
    """How much one address may ask for."""

    joins_per_s: float = option(20.0, "Joins of one address a second, for long", low=0.1, high=10_000)
    joins_burst: float = option(200.0, "Joins of one address at once", low=1, high=100_000)
    requests_per_s: float = option(
        50.0, "HTTP requests of one address a second, for long", low=1, high=100_000
    )
    requests_burst: float = option(400.0, "HTTP requests of one address at once", low=1, high=100_000)
    refusals_per_s: float = option(
        1.0, "Refused tokens and secrets of one address a second, for long", low=0.1, high=10_000
    )
    refusals_burst: float = option(
        60.0, "Refused tokens and secrets of one address at once", low=1, high=100_000
    )
    connections: int = option(1_000, "TCP connections of one address at once", low=1, high=100_000)
    websockets: int = option(5_000, "WebSocket connections in all", low=1, high=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSection:
    """How recordings are written."""

    encrypt: bool = option(
        True, "Whether recordings are sealed on the disk, with a key for each person in each"
    )
    key_file: Path | None = option(
        None,
        "File of the master keys that wrap those; made when missing; empty: `recordings.key` in `data_dir`",
    )
    master_keys: tuple[str, ...] = option(
        (),
        "Master keys instead of a file, as 64 hexadecimal digits each: the first wraps, all unwrap",
        check=_master_keys,
        is_secret=True,
    )
    min_free_mib: int = option(256, "A recording does not start with less free space", low=1, high=1_048_576)
    queue_mib: int = option(32, "What may wait for a slow disk, per recording", low=1, high=4_096)
    restarts: int = option(5, "Restarts of a worker within a minute before it is given up", low=0, high=100)

    def settings(self, archive: "ArchiveSection") -> RecorderConfig:
        """The section as `recorder` takes it, with where what it finishes goes."""
        return RecorderConfig(
            encrypts=self.encrypt,
            key_file=self.key_file,
            master_keys=self.master_keys,
            min_free_bytes=self.min_free_mib << 20,
            queue_max_bytes=self.queue_mib << 20,
            restarts_max=self.restarts,
            archive=archive.settings(),
            archive_uploads=archive.uploads,
            keeps_local=archive.keep_local,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSection:
    """An S3 bucket that finished recordings and renditions go to. Without a bucket they stay on the disk."""

    bucket: str = option("", "Name of the bucket; empty: none", check=_bucket)
    prefix: str = option("parley", "What the names of all objects begin with", check=_prefix)
    endpoint: str = option(
        "", "`https://` address of another provider than AWS, without the bucket", check=_endpoint
    )
    region: str = option("", "Region of the bucket; empty: `AWS_REGION`, else `us-east-1`")
    access_key_id: str = option(
        "", "Who signs; empty: the AWS variables, a web identity, or the machine's role", is_secret=True
    )
    secret_access_key: str = option("", "What they sign with", is_secret=True)
    session_token: str = option("", "Of temporary credentials", is_secret=True)
    ca_file: Path | None = option(
        None, "PEM certificate that the endpoint's may be signed by, besides the system's"
    )
    allow_http: bool = option(
        False, "Whether the endpoint may be `http://`; for tests, and for a proxy beside"
    )
    keep_local: bool = option(True, "Whether what is archived stays on the disk too")
    piece_mib: int = option(
        16, "Size of an object; an upload holds `uploads` of them in memory", low=1, high=128
    )
    uploads: int = option(2, "Objects that are sent at once", low=1, high=16)

    def settings(self) -> ArchiveConfig | None:
        """The section as `store` takes it; None without a bucket."""
        if not self.bucket:
            return None
        return ArchiveConfig(
            bucket=self.bucket,
            prefix=self.prefix,
            endpoint=self.endpoint,
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=Secret(self.secret_access_key) if self.secret_access_key else None,
            session_token=Secret(self.session_token) if self.session_token else None,
            ca_file=self.ca_file,
            allows_http=self.allow_http,
            piece_bytes=self.piece_mib << 20,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSection:
    """Where broadcasts may go."""

    allow_private: bool = option(
        False, "Whether destinations on loopback, private and link-local addresses are allowed"
    )
    width: int = option(1280, "Pixels of a program's picture, even", low=160, high=3840)
    height: int = option(720, "Pixels of a program's picture, even", low=90, high=2160)
    fps: int = option(30, "Pictures a second of a program", low=5, high=60)
    video_kbps: int = option(2_500, "Kilobits a second of a program's picture", low=100, high=50_000)
    audio_kbps: int = option(128, "Kilobits a second of a program's sound", low=32, high=512)
    segment_s: float = option(2.0, "Seconds of an HLS segment", low=1, high=10)
    part_ms: int = option(333, "Milliseconds of a part of an HLS segment, at most", low=100, high=1_000)
    dvr_s: float = option(12.0, "Seconds that an HLS player can seek back", low=4, high=14_400)
    dvr_mib: int = option(64, "Memory of one program's HLS window, whatever `dvr_s` says", low=8, high=16_384)
    ca_file: Path | None = option(
        None, "PEM certificates that RTMPS and HTTPS destinations may be signed by, besides the system's"
    )
    cores: float = option(
        0.0,
        "CPU cores that all programs may take together; 0: what live rooms, as measured, and `reserve` leave",
        low=0,
        high=1024,
    )
    reserve: float = option(
        0.25, "Share of the machine's CPU cores that programs and renditions leave free", low=0, high=0.9
    )
    logo: str = option("", "PNG file that every program shows in a corner; empty: none", check=_png)
    empty_s: float = option(
        1_800.0,
        "Seconds with nobody in the room after which its broadcast ends, so that a forgotten one does not "
        "show placeholders for ever; 0: it goes on until it is stopped",
        low=0,
        high=86_400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSection:
    """Other nodes: who is alive, and who has a room open (one at a time). A server alone needs none."""

    redis: str = option(
        "",
        "Redis that the nodes share (`redis://`, `rediss://`, `unix://`); empty: alone",
        check=_redis,
        is_secret=True,
    )
    node: str = option("", "This node's name among them; empty: another one at each start", check=_node)
    ttl_s: float = option(
        10.0, "Seconds without a heartbeat (every 3) after which a node counts as gone", low=6, high=300
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSection:
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = option("info", "Least level that is written")
    format: Literal["auto", "json", "console"] = option("auto", "`auto`: console on a terminal, else JSON")
