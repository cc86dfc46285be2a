"""The composition root: builds every part from the configuration, in order, and takes down in reverse."""

import asyncio
import ipaddress
import os
import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from cluster import Cluster
from media.tasks import TaskScope
from policy import Limits, Permission
from rebroadcast import RebroadcastConfig, RebroadcastService
from recorder import RENDERER, RecorderService
from rooms import RoomsConfig, RoomService, SystemClock
from server.addresses import machine_addresses, media_addresses
from server.config import Config
from server.cpu_meter import CpuMeter
from server.devkey import load_or_create
from server.listen import Doorkeeper, Listener
from server.supervise import Supervisor
from server.tls import Certificate, self_signed
from sfu import MediaConfig, MediaPlane
from signaling import (
    ApiKey,
    IceServers,
    KeyRing,
    Rate,
    Services,
    SignalingConfig,
    create_app,
    drain,
    end_of_keys,
    join_url,
    mint,
    open_connections,
)
from store import Store, StoreConfig
from web import ROOT

_LINK_TTL_S: Final = 12 * 3600
_POLL_S: Final = 0.05
_log = structlog.get_logger("server")


class ServerClock(SystemClock):
    """The machine's clocks and timers, for every part that takes time as a parameter."""

    async def sleep(self, s: float) -> None:
        """Wait `s` seconds."""
        await asyncio.sleep(s)


class Server:
    """One Parley server. `start`, then `stop`; both on the event loop's thread."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._stack = AsyncExitStack()
        self._tasks = TaskScope("server")
        self._app: web.Application | None = None
        self._listener: Listener | None = None
        self._certificate: Certificate | None = None
        self._is_hurried = False
        self.keys = KeyRing(())

    async def start(self) -> None:
        """Bring everything up; on failure nothing stays.

        Raises:
            OSError: an address or port cannot be bound.
            StoreError, DevKeyError, TlsError, EngineError, ClusterUnavailable: each says what to do.
        """
        async with AsyncExitStack() as stack:
            await self._build(stack)
            self._stack = stack.pop_all()

    async def _build(self, stack: AsyncExitStack) -> None:
        config = self.config
        await self._tasks.open()
        stack.push_async_callback(self._tasks.close)
        self.keys.replace(self._keys(config))
        self._certificate = self._tls()
        store = await Store.open(StoreConfig(data_dir=config.server.data_dir))
        stack.push_async_callback(store.close)
        if not store.ledger.is_verified:
            _log.error("ledger_verification_failed", reason=store.ledger.report.problem)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        meter = CpuMeter(supervisor, giving_way={RENDERER})
        self._tasks.start(meter.run(), "cpu")
        plane = await MediaPlane.start(self.media_config())
        stack.push_async_callback(plane.close)
        clock = ServerClock()
        cluster = await self._cluster()
        if cluster is not None:
            stack.push_async_callback(cluster.close)
        rooms = await RoomService.start(plane, store, self._rooms_config(), clock=clock, cluster=cluster)
        stack.push_async_callback(rooms.close)
        recording = config.recorder.settings(config.archive)
        recorder = RecorderService(rooms, store, supervisor, recording, clock)
        await recorder.open()
        stack.push_async_callback(recorder.close)
        broadcasts = RebroadcastService(
            rooms, store, supervisor, self._rebroadcast_config(), clock, recorder.reels, meter.machine
        )
        await broadcasts.open()
        recorder.renditions.yield_to(broadcasts.lack_of_cores)
        stack.push_async_callback(broadcasts.close)

        async def media_counters() -> dict[str, dict[str, int]]:
            stats = await plane.stats()
            groups = {f"worker{number}": dict(counters) for number, counters in enumerate(stats.workers)}
            return groups | {"plane": dict(stats.plane), "data": dict(rooms.data.counters)}

        services = Services(
            rooms=rooms,
            keys=self.keys,
            store=store,
            recorder=recorder,
            broadcasts=broadcasts,
            hls=broadcasts,
            takedowns=broadcasts.takedowns,
            media_counters=media_counters,
            cpu_cores=lambda: {**meter.by_module(), "left": broadcasts.cores_left()},
            missing=lambda: [
                *(
                    []
                    if store.ledger.is_verified
                    else ["the consent ledger does not verify: nothing is recorded or broadcast"]
                ),
                *recorder.condition.complaints,
            ],
        )
        self._app = create_app(services, self._signaling_config(store))
        self._listener = await Listener.open(
            self._app,
            config.server.host,
            config.server.port,
            context=None if self._certificate is None else self._certificate.context,
            doorkeeper=Doorkeeper(config.limits.connections, self._is_proxy),
        )
        stack.push_async_callback(self._listener.close)
        if self._certificate is not None:
            self._tasks.start(self._certificate.watch(), "certificate")
        _log.info("server_started", address=config.server.host, port=self.port, workers=self.workers)

    def reload_keys(self, config: Config) -> None:
        """Serve the API keys of a configuration that was read anew; all else stays as it was read before.

        Whoever came in by a key that is there no more, or has another secret, goes as at their token's end.

        Raises:
            DevKeyError: no key is configured, and that of this machine cannot be read.
        """
        gone = self.keys.replace(self._keys(config))
        _log.info("keys_reloaded", count=len(self.keys), removed=sorted(gone))
        if gone and self._app is not None:
            self._tasks.start(end_of_keys(self._app, gone), "keys")

    def hurry(self) -> None:
        """Stop waiting for clients to leave."""
        self._is_hurried = True

    async def stop(self) -> None:
        """Drain, then take everything down."""
        if self._app is not None and self._listener is not None:
            self._listener.stop_accepting()
            drain(self._app)
            waited = 0.0
            while (
                not self._is_hurried and open_connections(self._app) and waited < self.config.server.drain_s
            ):
                await asyncio.sleep(_POLL_S)
                waited += _POLL_S
        await self._stack.aclose()
        _log.info("server_stopped")

    # What is told.

    @property
    def port(self) -> int:
        """The bound HTTP port."""
        return self.config.server.port if self._listener is None else self._listener.port

    @property
    def workers(self) -> int:
        """Native threads."""
        return self.config.media.workers or max(1, (os.cpu_count() or 2) - 1)

    def origin(self) -> str:
        """`scheme://host:port` for people: a LAN address when bound to all."""
        scheme = "https" if self._certificate is not None or self.config.server.behind_proxy else "http"
        host = self.config.server.host
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return f"{scheme}://{host}:{self.port}"
        if address.is_unspecified:
            others = media_addresses(machine_addresses(), with_loopback=False)
            host = others[0] if others else "127.0.0.1"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def join_link(self, room: str, identity: str) -> str | None:
        """A link that lets its holder do everything in a room; None without a key that can make tokens."""
        return self._link(room, identity, set(Permission) - {Permission.ADMIN}, is_invitation=False)

    def invitation(self, room: str) -> str | None:
        """A link that gives each who opens it an identity of their own; None as for `join_link`."""
        permissions = {Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT}
        return self._link(room, "guest", permissions, is_invitation=True)

    def _link(
        self, room: str, identity: str, permissions: set[Permission], *, is_invitation: bool
    ) -> str | None:
        key = self.keys.signer()
        if key is None:
            return None
        token = mint(
            key,
            identity=identity,
            room=room,
            permissions=permissions,
            now=SystemClock().wall_ms() / 1000,
            ttl_s=_LINK_TTL_S,
            is_invitation=is_invitation,
        )
        return join_url(self.origin(), room, token)

    # Parts from the configuration.

    def media_config(self) -> MediaConfig:
        """Where media is received."""
        media, data = self.config.media, self.config.data
        bind = media.bind or media_addresses(machine_addresses(), with_loopback=self.config.is_loopback)
        return MediaConfig(
            addresses=bind or ("127.0.0.1",),
            port=media.port,
            tcp_port=media.tcp_port or None,
            workers=self.workers,
            announced=media.announce,
            idle_ms=int(media.idle_s * 1000),
            join_timeout_s=media.join_s,
            handshake_timeout_s=media.handshake_s,
            data=data.enabled,
            data_message_bytes=data.message_bytes,
            data_queue_bytes=data.queue_bytes,
        )

    def _keys(self, config: Config) -> tuple[ApiKey, ...]:
        return config.keys or (load_or_create(self.config.server.data_dir),)

    def _tls(self) -> Certificate | None:
        server = self.config.server
        if server.tls_cert is not None and server.tls_key is not None:
            return Certificate(server.tls_cert, server.tls_key)
        if server.tls == "self-signed":
            names = media_addresses(machine_addresses(), with_loopback=True)
            return self_signed(server.data_dir / "tls", [*names, "::1"])
        return None

    def _rooms_config(self) -> RoomsConfig:
        section = self.config.rooms
        node = self.config.cluster.node or f"node-{secrets.token_hex(4)}"
        data = self.config.data
        limits = Limits(
            data_per_s=data.messages_per_s,
            data_burst=data.messages_burst,
            data_bytes_per_s=data.bytes_per_s,
            data_bytes_burst=data.bytes_burst,
            data_room_per_s=data.room_per_s,
            data_node_per_s=data.node_per_s,
        )
        return RoomsConfig(
            defaults=section.settings(), limits=limits, creates_on_join=section.create_on_join, node=node
        )

    async def _cluster(self) -> Cluster | None:
        """The cluster that nodes share, or None for a node that is alone.

        Raises: ClusterUnavailable.
        """
        section = self.config.cluster
        if not section.redis:
            return None
        # Loaded here: a node that is alone carries no client of Redis.
        from cluster import RedisCluster  # noqa: PLC0415

        return await RedisCluster.open(section.redis, ttl_s=section.ttl_s)

    def _rebroadcast_config(self) -> RebroadcastConfig:
        section = self.config.broadcast
        return RebroadcastConfig(
            width=section.width,
            height=section.height,
            fps=section.fps,
            video_bps=section.video_kbps * 1000,
            audio_bps=section.audio_kbps * 1000,
            segment_s=section.segment_s,
            part_s=max(section.part_ms * section.fps // 990, 1) / section.fps,
            dvr_s=section.dvr_s,
            dvr_bytes=section.dvr_mib << 20,
            ca_file="" if section.ca_file is None else str(section.ca_file.resolve()),
            cores=section.cores,
            reserve=section.reserve,
            logo=Path(section.logo).read_bytes() if section.logo else b"",
            allow_private_destinations=section.allow_private,
            empty_s=section.empty_s,
        )

    def _signaling_config(self, store: Store) -> SignalingConfig:
        config, limits, web_section = self.config, self.config.limits, self.config.web
        return SignalingConfig(
            web_root=Path(ROOT),
            site_name=web_section.name,
            support=web_section.support,
            privacy=web_section.privacy,
            is_development=not config.keys and config.is_loopback,
            hosts=web_section.hosts,
            origins=web_section.origins,
            frame_ancestors=web_section.frame_ancestors,
            trusted_proxies=tuple(
                ipaddress.ip_network(item, strict=False) for item in config.server.behind_proxy
            ),
            ice_servers=IceServers(
                urls=config.ice.urls,
                username=config.ice.username,
                credential=config.ice.credential,
                secret=config.ice.secret.encode(),
                ttl_s=config.ice.ttl_s,
            ),
            hls_secret=store.derive_key("hls-link"),
            hls_ttl_s=web_section.hls_link_s,
            joins=Rate(limits.joins_per_s, limits.joins_burst),
            requests=Rate(limits.requests_per_s, limits.requests_burst),
            failures=Rate(limits.refusals_per_s, limits.refusals_burst),
            sockets=limits.websockets,
        )

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        networks = self.config.server.behind_proxy
        return any(parsed in ipaddress.ip_network(item, strict=False) for item in networks)
