"""What the configuration names beside the machine: certificate, keys, Redis, the ledger."""

from cluster import ClusterUnavailable
from server.doctor.finding import Finding, Patient
from server.tls import Certificate, TlsError
from store import Store, StoreConfig, StoreError, StoreInUse


async def certificate(patient: Patient) -> Finding:
    """Whether HTTP can speak TLS."""
    server = patient.config.server
    if server.tls_cert is not None and server.tls_key is not None:
        try:
            Certificate(server.tls_cert, server.tls_key)
        except TlsError as error:
            return Finding("bad", "TLS", str(error), "give a PEM chain and its key")
        return Finding("good", "TLS", str(server.tls_cert))
    if server.tls == "self-signed":
        return Finding("note", "TLS", "self-signed", "browsers warn once; get a certificate for the public")
    return Finding("good", "TLS", "off: only for loopback, or behind a proxy")


async def keys(patient: Patient) -> Finding:
    """Who may make tokens."""
    if patient.config.keys:
        return Finding("good", "API keys", ", ".join(key.id for key in patient.config.keys))
    return Finding("note", "API keys", "none: one is generated", "add [[keys]] before others use the server")


async def redis(patient: Patient) -> Finding:
    """Whether the nodes' Redis answers."""
    section = patient.config.cluster
    if not section.redis:
        return Finding("good", "Redis", "none: this node is alone")
    # Loaded here: a node that is alone carries no client of Redis.
    from cluster import RedisCluster  # noqa: PLC0415

    try:
        cluster = await RedisCluster.open(section.redis, ttl_s=section.ttl_s)
    except (ClusterUnavailable, ValueError) as error:
        advice = "start it, or mend cluster.redis: rooms need it to be opened and found"
        return Finding("bad", "Redis", str(error), advice)
    await cluster.close()
    return Finding("good", "Redis", "answers")


async def ledger(patient: Patient) -> Finding:
    """Whether the record of consent verifies."""
    folder = patient.config.server.data_dir
    if not folder.exists():
        return Finding("good", "consent ledger", "none yet")
    try:
        store = await Store.open(StoreConfig(data_dir=folder, is_read_only=True))
    except StoreInUse:
        return Finding("good", "consent ledger", "a server uses it")
    except StoreError as error:
        return Finding("note", "consent ledger", str(error), "a server that starts makes or mends it")
    try:
        report = store.ledger.report
    finally:
        await store.close()
    if report.problem is not None:
        return Finding(
            "bad",
            "consent ledger",
            report.problem,
            "nobody's grant holds: restore it from a backup; `parley consent anchor` when it is whole",
        )
    return Finding("good", "consent ledger", f"{report.rows} rows verify")
