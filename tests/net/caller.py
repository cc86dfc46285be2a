"""People of a room without its page: the client SDK in a blank page, and what the browser says of the way."""

from dataclasses import dataclass
from typing import Any

from tests.browser.page import BrowserPage, until
from tests.browser.parley import Parley

_ENTER = """async ([url, token, terms_version]) => {
  const { Room, signalling_url } = await import(`${url}/static/sdk/parley.js`);
  globalThis.camera ??= await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  connections.length = 0;
  const accept = { terms_version, age_18: true };
  const room = await Room.connect({ url: signalling_url(url), token, accept });
  globalThis.room = room;
  globalThis.pictures = { last: null, longest: 0 };
  room.on("track_subscribed", ({ kind, media }) => {
    const element = document.createElement(kind);
    element.muted = kind === "video";
    element.srcObject = new MediaStream([media]);
    document.body.append(element);
    element.play();
    if (kind !== "video") return;
    const seen = (now) => {
      if (globalThis.room !== room) return;
      if (pictures.last !== null) pictures.longest = Math.max(pictures.longest, now - pictures.last);
      pictures.last = now;
      element.requestVideoFrameCallback(seen);
    };
    element.requestVideoFrameCallback(seen);
  });
  const [voice, face] = [camera.getAudioTracks()[0].clone(), camera.getVideoTracks()[0].clone()];
  await room.publish_all([{ media: voice, source: "mic" }, { media: face, source: "camera" }]);
}"""
_WATCH = """async ([url, token, room]) => {
  const { WhepSource } = await import(`${url}/static/sdk/parley.js`);
  connections.length = 0;
  const source = new WhepSource({ url: `${url}/whep/${room}`, token });
  source.on("stream", (stream) => {
    const element = document.createElement("video");
    element.srcObject = stream;
    document.body.append(element);
    element.play();
  });
  globalThis.room = { leave: () => source.stop() };
  await source.start();
}"""
_LEAVE = """async () => {
  await room?.leave();
  globalThis.room = null;
  for (const element of document.querySelectorAll("video, audio")) element.remove();
}"""
_READ = """async () => {
  const found = [];
  for (const connection of connections) {
    if (connection.connectionState === "closed") continue;
    const rows = await connection.getStats();
    const all = [...rows.values()];
    const chosen = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
    const pair = all.find((row) => row.type === "candidate-pair" && (row.id === chosen || row.selected));
    const inbound = (kind) => all.find((row) => row.type === "inbound-rtp" && row.kind === kind);
    const side = (id) => {
      const { protocol, relayProtocol, candidateType, address, port } = rows.get(id) ?? {};
      return { protocol, relay: relayProtocol ?? null, type: candidateType, ip: address ?? null, port };
    };
    found.push({
      receives: Boolean(inbound("video")),
      state: connection.connectionState,
      local: side(pair?.localCandidateId),
      remote: side(pair?.remoteCandidateId),
      frames: inbound("video")?.framesDecoded ?? 0,
      energy: inbound("audio")?.totalAudioEnergy ?? 0,
      heard: inbound("audio")?.totalSamplesReceived ?? 0,
      ufrag: /a=ice-ufrag:(\\S+)/.exec(connection.localDescription?.sdp ?? "")?.[1] ?? null,
    });
  }
  return found;
}"""


@dataclass(frozen=True, slots=True)
class Way:
    """One peer connection as its browser sees it."""

    receives: bool
    state: str
    local: dict[str, Any]
    remote: dict[str, Any]
    """The chosen pair: protocol, relay (how the relay is reached), type, ip, port."""
    frames: int
    energy: float
    heard: int
    ufrag: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """A page that is, or will be, in a room."""

    page: BrowserPage
    parley: Parley
    identity: str

    async def enter(self, room: str) -> None:
        """Join, publish camera and microphone, and take whatever others send."""
        _, terms = await self.parley.api("GET", "/terms")
        token = self.parley.token(room, self.identity)
        await self.page.evaluate(_ENTER, [self.parley.url, token, terms["version"]])

    async def watch(self, room: str) -> None:
        """Watch by WHEP, as the embed player does."""
        token = self.parley.token(room, self.identity, grants=("subscribe",))
        await self.page.evaluate(_WATCH, [self.parley.url, token, room])

    async def leave(self) -> None:
        """Leave the room."""
        await self.page.evaluate(_LEAVE)

    async def ways(self) -> list[Way]:
        """Both peer connections, once they stand."""
        return [Way(**row) for row in await self.page.evaluate(_READ)]

    async def way(self, *, receives: bool) -> Way:
        """The connection that receives, or the one that sends.

        Raises:
            AssertionError: there is none.
        """
        found = [way for way in await self.ways() if way.receives is receives]
        assert len(found) == 1, found
        return found[0]

    async def sees_and_hears(self, *, within_s: float = 10.0) -> Way:
        """The receiving connection, once it has decoded pictures and sound that is not silence.

        Raises:
            AssertionError: not in time.
        """
        await until(
            self.page,
            f"""async () => {{
              const way = (await ({_READ})()).find(({{ receives }}) => receives);
              return way && way.frames >= 5 && way.energy > 0;
            }}""",
            within_s=within_s,
        )
        return await self.way(receives=True)

    async def forget_gap(self) -> None:
        """Measure the longest time without a new picture anew."""
        await self.page.evaluate("() => { pictures.longest = 0; }")

    async def gap_s(self) -> float:
        """That time; one that lasts still counts."""
        ms = await self.page.evaluate(
            "() => Math.max(pictures.longest, pictures.last === null ? 0 : performance.now() - pictures.last)"
        )
        return float(ms) / 1000
