// The player that other sites frame: the room's people who agreed to be live, and their chat.
import { WhepSource } from "../sdk/parley.js";
import { claims_of } from "../sdk/token.js";
import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { Player } from "./player.js";

const MOST_LINES = 8;
const LINE_MS = 30_000;
const ENDED = {
  unauthorized: "This player's link has ended.",
  forbidden: "Nobody here agreed to be shown now.",
};

const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const video = by_id("video");
const sound = by_id("sound");
const lines = by_id("lines");
const chat = by_id("chat");
const player = new Player([() => new WhepSource({ url: `/whep/${encodeURIComponent(room)}`, token })]);

function show_sound() {
  sound.hidden = player.state !== "playing";
  fill(sound, icon(video.muted ? "speaker_off" : "speaker"), el("span", {}, video.muted ? "Sound on" : "Sound off"));
}

function show_line({ name, text }) {
  const line = el("li", {}, el("b", {}, name), ` ${text}`);
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
    fill(lines);
  }
  show_sound();
}

by_id("room-name").textContent = claims_of(token ?? "")?.room ?? room;
fill(chat, icon("chat"));
chat.setAttribute("aria-label", "Show the chat");
chat.addEventListener("click", () => {
  lines.hidden = !lines.hidden;
  chat.setAttribute("aria-pressed", String(!lines.hidden));
});
sound.addEventListener("click", () => {
  video.muted = !video.muted;
  video.play().catch(() => { video.muted = true; });
  show_sound();
});
by_id("again").addEventListener("click", () => player.play());
player.on("state", show_state);
player.on("chat", show_line);
player.on("stream", (stream) => {
  video.srcObject = stream;
  video.play().catch(() => {});
});
addEventListener("pagehide", () => player.stop());
player.play();
