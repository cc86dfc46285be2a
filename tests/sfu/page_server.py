"""A page that publishes to a router and subscribes from it with plain HTTP calls."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator

import ifaddr
from aiohttp import web
from aiohttp.test_utils import TestServer

from sfu import Router, SubscriberId, TrackId

_PAGE = """<!doctype html><link rel=icon href=data:,><title>t</title><body><script>
const post = async (path, body) => (await fetch(path, { method: "POST", body: JSON.stringify(body) })).json();
globalThis.publish = async (owner, encodings) => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const pc = globalThis.up = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly", streams: [stream] });
  const layers = encodings ? { sendEncodings: encodings } : {};
  pc.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly", streams: [stream], ...layers });
  await pc.setLocalDescription();
  const answer = await post("/publish", { owner, sdp: pc.localDescription.sdp });
  await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  globalThis.upPeer = answer.peer;
  return answer.tracks;
};
globalThis.renegotiate = async (owner) => {
  await up.setLocalDescription();
  const answer = await post("/publish", { owner, sdp: up.localDescription.sdp, peer: globalThis.upPeer });
  await up.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  return answer.tracks;
};
globalThis.restartDown = async () => {
  const offer = await post("/offer", { sub, restart: true });
  await down.setRemoteDescription({ type: "offer", sdp: offer.sdp });
  await down.setLocalDescription();
  await post("/answer", { sub, version: offer.version, sdp: down.localDescription.sdp });
};
globalThis.localUfrag = (pc) => /a=ice-ufrag:(.*)/.exec(pc.localDescription.sdp)[1].trim();
globalThis.subscribe = async (owner, tracks) => {
  globalThis.sub ??= (await post("/subscriber", { owner })).sub;
  await post("/subscribe", { sub, tracks });
  const pc = globalThis.down ??= new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.ontrack = ({ track, transceiver }) => {
    const element = document.body.appendChild(document.createElement(track.kind));
    element.id = "m" + transceiver.mid;
    element.autoplay = true; element.playsInline = true;
    element.srcObject = new MediaStream([track]);
  };
  const offer = await post("/offer", { sub });
  await pc.setRemoteDescription({ type: "offer", sdp: offer.sdp });
  await pc.setLocalDescription();
  await post("/answer", { sub, version: offer.version, sdp: pc.localDescription.sdp });
  return offer.tracks;
};
globalThis.watch = async (tracks) => {
  const pc = globalThis.view = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.ontrack = ({ track, transceiver }) => {
    const element = document.body.appendChild(document.createElement(track.kind));
    element.id = "w" + transceiver.mid;
    element.autoplay = true; element.playsInline = true;
    element.srcObject = new MediaStream([track]);
  };
  await pc.setLocalDescription();
  const answer = await post("/whep", { sdp: pc.localDescription.sdp, tracks });
  await pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  return answer;
};
globalThis.inbound = async (pc) => [...(await pc.getStats()).values()].filter((s) => s.type === "inbound-rtp")
  .map((s) => ({ kind: s.kind, width: s.frameWidth ?? 0 }));
</script>"""


def media_address() -> str:
    """An address of this machine that browsers pair with: Firefox takes no loopback candidates."""
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if ip.is_IPv4 and not str(ip.ip).startswith(("127.", "169.254.")):
                return str(ip.ip)
    raise AssertionError("browsers need a non-loopback IPv4 address on this machine")


@contextlib.asynccontextmanager
async def serve(router: Router) -> AsyncIterator[str]:
    """The page's address while the context lasts."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def publish(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        answer = await router.publish(body["owner"], body["sdp"], peer=body.get("peer"))
        tracks = {
            f"{track.kind}{track.mid if track.mid > '1' else ''}": track.track for track in answer.tracks
        }
        return web.json_response({"sdp": answer.sdp, "peer": answer.peer, "tracks": tracks})

    async def subscriber(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        return web.json_response({"sub": await router.subscriber(body["owner"])})

    async def subscribe(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        for track in body["tracks"]:
            await router.subscribe(SubscriberId(body["sub"]), TrackId(track))
        return web.json_response({})

    async def offer(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        made = await router.offer(SubscriberId(body["sub"]), restart=body.get("restart", False))
        assert made is not None
        return web.json_response({"sdp": made.sdp, "version": made.version, "tracks": made.tracks})

    async def answer(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        await router.answer(SubscriberId(body["sub"]), body["version"], body["sdp"])
        return web.json_response({})

    async def whep(request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        made = await router.whep("v_1", body["sdp"], [TrackId(track) for track in body["tracks"]], gates={})
        return web.json_response({"sdp": made.sdp, "peer": made.peer, "tracks": made.tracks})

    app = web.Application()
    app.router.add_get("/", page)
    for name, handler in (
        ("publish", publish),
        ("subscriber", subscriber),
        ("subscribe", subscribe),
        ("offer", offer),
        ("answer", answer),
        ("whep", whep),
    ):
        app.router.add_post(f"/{name}", handler)
    async with TestServer(app, family=socket.AF_INET) as server:
        yield str(server.make_url("/"))
