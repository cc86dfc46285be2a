"""An OBS-like publisher (FFmpeg's WHIP muxer: H.264 and Opus) is seen and heard in a browser and by WHEP."""

import asyncio
import contextlib
import datetime as dt
import json
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.browser import chromium
from tests.browser.page import Capture, hears, sees, until
from tests.browser.parley import serve
from tests.browser.people import enter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

ORANGE, HZ = (220, 120, 30), 700
PUBLISHER = Path(__file__).parent / "ffmpeg_whip.py"
PLAY = """async ([url, token]) => {
  const peer = new RTCPeerConnection();
  for (const kind of ["audio", "video"]) peer.addTransceiver(kind, { direction: "recvonly" });
  const video = document.createElement("video");
  video.id = "whep";
  video.muted = true;
  video.srcObject = new MediaStream();
  peer.ontrack = ({ track }) => video.srcObject.addTrack(track);
  document.body.append(video);
  await peer.setLocalDescription();
  const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  globalThis.keep = peer;
  video.play().catch(() => {});
  return response.status;
}"""


def write_certificate(folder):
    """A P-256 pair as files, which FFmpeg is given instead of making one on a curve that OpenSSL refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


@contextlib.asynccontextmanager
async def published(parley, room, folder, *, dump=None, **claims):
    """FFmpeg publishing into the room for as long as the context lasts; its H.264 also goes to `dump`."""
    cert_file, key_file = write_certificate(folder)
    spec = {
        "url": f"{parley.url}/whip/{room}",
        "authorization": parley.token(room, "obs", name="OBS", grants=("publish",), **claims),
        "cert_file": str(cert_file),
        "key_file": str(key_file),
        "rgb": ORANGE,
        "hz": HZ,
        "seconds": 60,
    } | ({"dump": dump} if dump is not None else {})
    process = await asyncio.create_subprocess_exec(sys.executable, str(PUBLISHER), json.dumps(spec))
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_ffmpeg_publishes_and_a_browser_and_whep_see_it(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        parley = await stack.enter_async_context(serve(tmp_path / "data"))
        browser = await stack.enter_async_context(chromium.launch())
        page = await browser.page(Capture((40, 40, 160), 300))
        person = await enter(parley, page, "stage", "ada", (40, 40, 160), 300)
        process = await stack.enter_async_context(published(parley, "stage", tmp_path))
        await sees(page, '.tile[data-identity="obs"] video', ORANGE, within_s=30)
        await hears(page, '.tile[data-identity="obs"] audio', HZ)
        assert process.returncode is None
        viewer = await browser.page()
        await viewer.goto(f"{parley.url}/terms")
        token = parley.token("stage", "viewer", grants=("subscribe",))
        assert await viewer.evaluate(PLAY, [f"{parley.url}/whep/stage/obs", token]) == 201
        await sees(viewer, "#whep", ORANGE, within_s=30)
        await hears(viewer, "#whep", HZ)
        assert person.page.messages == []
        await until(viewer, "() => document.querySelector('#whep').videoWidth === 320")
