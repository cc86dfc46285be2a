"""The order of the checks, and the server that runs already."""

import aiohttp

from server.config import Config
from server.doctor import calls, machine, ports, services, turn
from server.doctor.finding import Check, Finding, Patient

_CHECKS: tuple[Check, ...] = (
    machine.core,
    machine.srtp,
    machine.codecs,
    ports.http,
    ports.media_udp,
    ports.media_tcp,
    ports.addresses,
    calls.by_udp,
    calls.by_tcp,
    turn.relays,
    services.certificate,
    services.keys,
    services.redis,
    services.archive,
    machine.data,
    services.ledger,
    machine.disk,
    machine.descriptors,
    machine.receive_buffer,
    machine.send_buffer,
    machine.clock,
    machine.ffmpeg,
)
_ANSWER_S = 2.0


async def examine(config: Config) -> list[Finding]:
    """Look at everything, one after the other; a check that fails in itself is a finding too."""
    patient = Patient(config, await _running(config))
    findings = []
    for look in _CHECKS:
        try:
            findings.append(await look(patient))
        except Exception as error:  # noqa: BLE001 - the next checks are worth having
            name = look.__name__.replace("_", " ")
            findings.append(Finding("bad", name, f"{type(error).__name__}: {error}"))
    return findings


async def _running(config: Config) -> str:
    """The address of the Parley that holds the HTTP port; empty when none does."""
    host, port = config.server.host, config.server.port
    if not port:
        return ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound, but reached
    scheme = "https" if config.has_certificate else "http"
    url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    try:
        async with (
            # It is this machine's own, whatever its certificate is made out to.
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http,
            http.get(f"{url}/healthz", timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as answer,
        ):
            is_parley = answer.status == 200 and "ok" in await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""
    return url if is_parley else ""
