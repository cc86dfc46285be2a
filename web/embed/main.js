// The player that other sites frame: the room's people who agreed to be live, and their chat.
import { WhepSource } from "../sdk/parley.js";
import { claims_of } from "../sdk/token.js";
import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { Frame } from "./frame.js";
import { HlsSource } from "./hls_source.js";
import { embed_of, is_signed } from "./link.js";
import { Player } from "./player.js";

const MOST_LINES = 8;
const LINE_MS = 30_000;
// Browsers send a picture at least each second, of a screen that does not change too.
const STILL_MS = 2500;
const ENDED = {
  unauthorized: "This player's link has ended.",
  forbidden: "Nobody here agreed to be shown now.",
};

const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const fragment = new URLSearchParams(location.hash.slice(1));
const link = location.search;
history.replaceState(null, "", location.pathname);

const video = by_id("video");
const sound = by_id("sound");
const lines = by_id("lines");
const chat = by_id("chat");
const frame = new Frame(window);
const player = new Player(make_source);
let still_timer = null;
let token = fragment.get("token");

// WHEP first, within a second of the room; where it does not get through, HLS.
async function make_source(attempt) {
  let hls_url = null;
  if (is_signed(link)) {
    const embed = await embed_of(room, link);
    ({ token, hls_url } = embed);
    frame.allow(embed.origins);
  }
  const prefers_hls = fragment.get("play") === "hls" || attempt % 2 === 1;
  if (hls_url && prefers_hls && HlsSource.is_supported()) return new HlsSource({ url: hls_url, video });
  return new WhepSource({ url: `/whep/${encodeURIComponent(room)}`, token });
}

// A picture that stands still is of somebody who left, or takes part in this no more.
function presented() {
  by_id("still").hidden = true;
  clearTimeout(still_timer);
  still_timer = setTimeout(() => { by_id("still").hidden = false; }, STILL_MS);
  video.requestVideoFrameCallback(presented);
}

function show_sound() {
  sound.hidden = player.state !== "playing";
  fill(sound, icon(video.muted ? "speaker_off" : "speaker"), el("span", {}, video.muted ? "Sound on" : "Sound off"));
}

function show_line({ id, name, text }) {
  const line = el("li", { id: `line-${id}` }, el("b", {}, name), ` ${text}`);
  lines.append(line);
  while (lines.children.length > MOST_LINES) lines.firstElementChild.remove();
  setTimeout(() => line.remove(), LINE_MS);
  chat.hidden = false;
}

function show_state({ state, reason, error }) {
  by_id("player").dataset.state = state;
  by_id("live").hidden = state !== "playing";
  by_id("cover-text").textContent = state === "connecting" ? "Connecting" : ENDED[error?.code] ?? (reason === "over" ? "This broadcast is over." : "");
  by_id("again").hidden = state !== "ended" || error?.code === "unauthorized";
  if (state === "ended") {
    video.srcObject = null;
    video.removeAttribute("src");
    video.load();
  }
  show_sound();
  frame.tell({ type: "state", state, reason: error?.code ?? reason });
}

function set_muted(is_muted) {
  video.muted = is_muted;
  video.play().catch(() => { video.muted = true; });
  show_sound();
  frame.tell({ type: "muted", muted: video.muted });
}

by_id("room-name").textContent = claims_of(token ?? "")?.room ?? room;
fill(chat, icon("chat"));
chat.setAttribute("aria-label", "Show the chat");
chat.addEventListener("click", () => {
  lines.hidden = !lines.hidden;
  chat.setAttribute("aria-pressed", String(!lines.hidden));
});
sound.addEventListener("click", () => set_muted(!video.muted));
frame.on("play", () => player.play());
frame.on("stop", () => player.stop());
frame.on("mute", () => set_muted(true));
frame.on("unmute", () => set_muted(false));
by_id("again").addEventListener("click", () => player.play());
player.on("state", show_state);
player.on("chat", show_line);
player.on("chat_deleted", ({ id }) => document.getElementById(`line-${id}`)?.remove());
player.on("chat_over", () => fill(lines));
player.on("stream", (stream) => {
  if (stream instanceof MediaStream) {
    video.removeAttribute("src");
    video.srcObject = stream;
  } else {
    video.srcObject = null;
    video.src = URL.createObjectURL(stream);
  }
  video.play().catch(() => {});
});
video.requestVideoFrameCallback?.(presented);
addEventListener("pagehide", () => player.stop());
player.play();
