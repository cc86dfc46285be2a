"""What the configuration names beside the machine: certificate, keys, Redis, the ledger."""

from cluster import ClusterUnavailable
from server.doctor.finding import Finding, Patient
from server.tls import Certificate, TlsError
from store import Archive, Store, StoreConfig, StoreError, StoreInUse


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


async def archive(patient: Patient) -> Finding:
    """Whether the bucket takes, lists, gives back and lets go of an object."""
    section = patient.config.archive
    settings = section.settings()
    if settings is None:
        return Finding("good", "archive", "none: recordings stay on the disk")
    try:
        keeps_versions = await Archive(settings).check()
    except StoreError as error:
        advice = "mend [archive]: the key needs PutObject, GetObject, DeleteObject and ListBucket"
        return Finding("bad", "archive", str(error), advice)
    if keeps_versions and not patient.config.recorder.encrypt:
        return Finding(
            "bad",
            "archive",
            f"{settings.where} keeps old versions, and recordings are not encrypted: none is sent there",
            "turn versioning off, or recorder.encrypt on",
        )
    if keeps_versions:
        return Finding(
            "note",
            "archive",
            f"{settings.where} keeps old versions",
            "what is erased stays there, unreadable without its key: let a rule expire noncurrent versions",
        )
    return Finding("good", "archive", f"{settings.where} answers")


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
