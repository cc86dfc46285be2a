"""Counters of the application, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What Prometheus reads at `/metrics`; every refusal and drop has its reason as label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "parley_http_requests",
            "HTTP requests by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.sockets = Gauge("parley_websockets", "WebSocket connections open", registry=self.registry)
        self.http_sessions = Gauge(
            "parley_http_sessions", "WHIP and WHEP resources", ["kind"], registry=self.registry
        )
        self.joins = Counter("parley_joins", "Joins by result", ["result"], registry=self.registry)
        self.join_seconds = Histogram(
            "parley_join_seconds",
            "Time from the join call to its result",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
            registry=self.registry,
        )
        self.calls = Counter(
            "parley_calls",
            "WebSocket requests by method and result",
            ["method", "result"],
            registry=self.registry,
        )
        self.closes = Counter(
            "parley_websocket_closes", "WebSocket closes by reason", ["reason"], registry=self.registry
        )
        self.tokens_refused = Counter(
            "parley_tokens_refused", "Tokens that were not accepted", registry=self.registry
        )
        self.limited = Counter(
            "parley_limited", "Requests refused by a limit", ["limit"], registry=self.registry
        )
        self.faults = Counter(
            "parley_faults", "Faults of the server, by place", ["place"], registry=self.registry
        )
        self.ledger_verified = Gauge(
            "parley_ledger_verified",
            "Whether the consent ledger verifies; nothing is recorded or broadcast while it does not",
            registry=self.registry,
        )
        self.lag_seconds = Histogram(
            "parley_event_loop_lag_seconds",
            "How late the event loop came to what was due, sampled twenty times a second",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0),
            registry=self.registry,
        )
        self.tasks = Gauge("parley_tasks", "Tasks of the event loop", registry=self.registry)
        self.rooms = Gauge("parley_rooms", "Rooms open", registry=self.registry)
        self.participants = Gauge("parley_participants", "Participants in all rooms", registry=self.registry)
        self.disk_free_bytes = Gauge(
            "parley_disk_free_bytes", "Room on the disk for recordings", registry=self.registry
        )
        self.archive_waiting = Gauge(
            "parley_archive_waiting",
            "Finished recordings and renditions that are not in the archive yet",
            registry=self.registry,
        )
        self.archive_failed = Gauge(
            "parley_archive_failed",
            "How many of them cannot go there as they are",
            registry=self.registry,
        )
        self.cpu_cores = Gauge(
            "parley_cpu_cores",
            "CPU cores of late, by what runs; `left` is what one more program could have",
            ["what"],
            registry=self.registry,
        )
        self.revocation_seconds = Histogram(
            "parley_revocation_seconds",
            "Time from a revocation until nothing of the person can leave any more",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0),
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All values in Prometheus's text format."""
        return generate_latest(self.registry)
