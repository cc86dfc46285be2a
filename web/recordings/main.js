// The page of one recording: its film with chat, people and moments in time; where there is no film, how to get one.
import { ParleyError } from "../sdk/errors.js";
import { announce, by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { open_dialog } from "../ui/dialog.js";
import { duration } from "../ui/text.js";
import { toast } from "../ui/toast.js";
import { Attendees } from "./attendees.js";
import { Captions } from "./captions.js";
import { Films } from "./films.js";
import { Making } from "./making.js";
import { Moments } from "./moments.js";
import { Pass } from "./pass.js";
import { Player, plays } from "./player.js";
import { Recordings } from "./api.js";
import { Replay } from "./replay.js";
import { SeekBar } from "./seek_bar.js";
import { Side } from "./side.js";
import { Stills } from "./stills.js";
import { Transcript } from "./transcript.js";
import { moments_of } from "./timeline.js";

const RENEW_BEFORE_MS = 120_000;
const NEAR_MS = 40; // a seek may end a little before its place
const REFUSED = {
  unauthorized: "This link has ended. Ask whoever sent it for a new one.",
  forbidden: "This link does not open recordings.",
  not_found: "There is no such recording, or this link does not open it.",
  conflict: "The recording is not finished yet.",
};

const id = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const pass = new Pass();
const recordings = new Recordings(pass.token);
const making = pass.may_record ? new Making({ recordings, id, refresh }) : null;
const player = new Player();
const stills = new Stills(by_id("preview-still"));
const seek = (at_ms) => player.seek(at_ms);
const bar = new SeekBar({ stills, on_seek: seek });
const transcript = new Transcript({ on_seek: seek });
const moments = new Moments({ on_seek: seek });
const attendees = new Attendees({ making, on_seek: seek });
const films = new Films({ making, on_play: (film) => show_film(film, { at_ms: player.at_ms, is_on: true }) });
const side = new Side();
const captions = new Captions();
if (pass.may_broadcast) new Replay({ token: pass.token, recording: id });
let playback = null;
let current = null;
let renewing = 0;
let failures = 0;

function fail(error) {
  player.unload();
  fill(by_id("cover-body"), icon("warning"), el("p", { role: "alert" }, REFUSED[error.code] ?? error.reason ?? error.message));
}

// The newest film that everybody is in and that this browser plays.
function best_film({ renditions, use }) {
  const made = renditions.filter(({ state, layout, url }) => state === "finished" && url && layout !== "single" && layout !== "copy");
  const playable = made.filter(({ format }) => plays(format));
  return playable.find((film) => film.use === use) ?? playable[0] ?? null;
}

async function refresh() {
  playback = await recordings.playback(id);
  clearTimeout(renewing);
  // Links that end sooner end with the token: there are no others.
  const wait_ms = playback.expires_at * 1000 - Date.now() - RENEW_BEFORE_MS;
  if (wait_ms > 0) renewing = setTimeout(renew, wait_ms);
  if (making) films.show(playback.renditions, current?.id, by_id("title").textContent);
  if (current && !playback.renditions.some((film) => film.id === current.id)) {
    current = null;
    show_some_film();
  }
  return playback;
}

// Links end after a while: the film goes on behind new ones.
async function renew() {
  try {
    await refresh();
    const film = playback.renditions.find((one) => one.id === current?.id);
    if (film) player.renew(film.url);
  } catch (error) {
    // What was fetched still plays.
    toast(REFUSED[error.code] ?? error.reason ?? error.message, { kind: "error" });
  }
}

function show_film(film, options = {}) {
  current = film;
  player.load({ url: film.url, poster_url: film.poster_url, duration_ms: playback.duration_ms }, options);
  stills.load(film.stills_url);
  captions.fit(film);
  bar.show({ moments: moments_of(playback), pauses: playback.pauses, duration_ms: playback.duration_ms });
  if (making) films.show(playback.renditions, film.id, by_id("title").textContent);
}

function show_some_film() {
  const film = best_film(playback);
  if (film) show_film(film);
  else show_none();
}

function show_none() {
  player.unload();
  const running = playback.renditions.find(({ state, layout }) => ["queued", "rendering"].includes(state) && !["single", "copy"].includes(layout));
  if (!making) {
    fill(by_id("cover-body"), el("h2", {}, "Nothing to watch yet"), el("p", {}, "No film of this recording is ready for viewers. Ask whoever sent you the link."));
  } else if (running) {
    follow(running);
  } else {
    const failed = playback.renditions.find(({ state }) => state === "failed");
    const form = making.form(["mp4", "webm"].find(plays) ?? "webm", follow);
    fill(by_id("cover-body"), el("h2", {}, "Make a film to watch it"),
      el("p", {}, "Everybody was recorded in a file of their own. A film puts them together, without whoever does not agree to it."),
      failed && el("p", { class: "problem", role: "alert" }, `The last film could not be made: ${failed.reason}`), form);
  }
}

// Shows how far a film is, where there is no other to be watched meanwhile, and then the film.
async function follow(rendition) {
  const place = current ? by_id("another") : by_id("cover-body");
  try {
    const made = await making.watch(rendition, place);
    await refresh();
    announce(made.state === "finished" ? "The film is ready." : "The film could not be made.");
    if (current) {
      show_another();
      films.show(playback.renditions, current.id, by_id("title").textContent);
    } else show_some_film();
  } catch (error) {
    fail(error);
  }
}

function show_another() {
  const open = el("button", { class: "button", type: "button" }, "Make another film");
  open.addEventListener("click", () => fill(by_id("another"), making.form(["mp4", "webm"].find(plays) ?? "webm", follow)));
  fill(by_id("another"), open);
}

function show_facts({ room, started_ms, duration_ms }) {
  by_id("title").textContent = room;
  document.title = `${room} - recording - Parley`;
  by_id("subtitle").textContent = `${new Date(started_ms).toLocaleString([], { dateStyle: "long", timeStyle: "short" })}, ${duration(duration_ms)}`;
  by_id("all").hidden = pass.recording !== null;
  by_id("share").hidden = making === null;
  by_id("tab-films").hidden = making === null;
  by_id("replay").hidden = !pass.may_broadcast;
  fill(by_id("share"), icon("link"), el("span", {}, "Link for viewers"));
}

async function share() {
  try {
    const { url, expires_at } = await recordings.link(id);
    const until = new Date(expires_at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const has_film = playback.renditions.some(({ use, state }) => use === "replay" && state === "finished");
    const field = el("input", { type: "text", readOnly: true, value: url, id: "viewer-link", on_focus: ({ target }) => target.select() });
    open_dialog({ title: "Link for viewers", body: el("div", { class: "dialog-stack" },
      el("div", { class: "field" }, el("label", { for: "viewer-link" }, "Whoever has this link may watch this recording"), field, el("p", { class: "hint" }, `It serves until ${until}.`)),
      el("p", {}, "Viewers see and hear only people who agreed that the recording is shown later."),
      !has_film && el("p", { class: "problem" }, "There is no film for viewers yet: make one under Films.")) });
    await navigator.clipboard?.writeText(url).then(() => toast("Copied."), () => {});
  } catch (error) {
    toast(error.reason ?? error.message, { kind: "error" });
  }
}

player.on("time", ({ at_ms, loaded_ms }) => {
  bar.tell(at_ms, loaded_ms);
  transcript.tell(at_ms + NEAR_MS);
  moments.tell(at_ms + NEAR_MS);
  attendees.tell(at_ms + NEAR_MS);
});
// A link that has ended, or somebody in the film who changed their mind: look again once, then say so.
player.on("failed", async () => {
  const before = current;
  try {
    await refresh();
    const film = playback.renditions.find((one) => one.id === before?.id);
    if (film && failures++ === 0) player.renew(film.url);
    else if (film) fail(new ParleyError("media", "The film cannot be played here. Try again, or another browser."));
  } catch (error) {
    fail(error);
  }
});
by_id("video").addEventListener("playing", () => { failures = 0; });
by_id("share").addEventListener("click", share);

try {
  if (!pass.token) throw new ParleyError("no_token", "This recording opens with a link of your own. Ask whoever runs the room to send you one.");
  await refresh();
  show_facts(playback);
  moments.show(moments_of(playback), playback.duration_ms);
  attendees.show(playback);
  show_some_film();
  if (making) show_another();
  side.open("chat");
  const lines = await recordings.chat(id);
  transcript.show(lines);
  captions.show(lines);
  transcript.tell(player.at_ms);
  attendees.tell(player.at_ms);
} catch (error) {
  if (!(error instanceof ParleyError)) throw error;
  fail(error);
}
by_id("main").removeAttribute("aria-busy");
