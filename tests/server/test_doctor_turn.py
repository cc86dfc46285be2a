"""What the doctor says of a real coturn, set up as the guide says, and set up wrongly."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from server.config import Config
from server.doctor import Finding, turn
from server.doctor.finding import Patient
from server.sections import IceSection, MediaSection
from server.tls import self_signed
from tests.net.turn import TurnServer, turn_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's TURN server"),
]


MEDIA = "192.0.2.7"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TurnServer, Path]]:
    folder = tmp_path_factory.mktemp("turn")
    self_signed(folder, ["127.0.0.1"])
    pair = (folder / "self-signed.crt", folder / "self-signed.key")
    async with turn_server(
        folder, "127.0.0.1", media_ip=MEDIA, certificate=pair, secret="shared secret"
    ) as made:
        yield made, pair[0]


async def ask(*urls: str, secret: str = "shared secret", media_ip: str = MEDIA) -> Finding:
    config = Config(ice=IceSection(urls=urls, secret=secret), media=MediaSection(bind=(media_ip,)))
    return await turn.relays(Patient(config, ""))


async def test_it_relays_by_every_url(
    served: tuple[TurnServer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, certificate = served
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusting)
    plain = f"127.0.0.1:{server.port}"
    finding = await ask(
        f"stun:{plain}",
        f"turn:{plain}?transport=udp",
        f"turn:{plain}?transport=tcp",
        f"turns:127.0.0.1:{server.tls_port}?transport=tcp",
    )
    assert finding.verdict == "good", finding
    assert finding.found.count(" ms") == 4


async def test_another_secret_is_told(served: tuple[TurnServer, Path]) -> None:
    finding = await ask(f"turn:127.0.0.1:{served[0].port}", secret="another")
    assert finding.verdict == "bad"
    assert "static-auth-secret" in finding.advice


async def test_a_relay_that_leads_elsewhere_is_told(served: tuple[TurnServer, Path]) -> None:
    """The guide's configuration relays to the media address alone: to nothing else of its network."""
    for ip in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.2.8"):
        finding = await ask(f"turn:127.0.0.1:{served[0].port}", media_ip=ip)
        assert finding.verdict == "bad"
        assert finding.advice.startswith(f"allowed-peer-ip={ip}")


async def test_a_certificate_that_nobody_trusts_is_told(served: tuple[TurnServer, Path]) -> None:
    finding = await ask(f"turns:127.0.0.1:{served[0].tls_port}?transport=tcp")
    assert finding.verdict == "bad"
    assert "not trusted" in finding.found
