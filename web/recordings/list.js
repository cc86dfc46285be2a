// The recordings of the room that the link opens.
import { ParleyError } from "../sdk/errors.js";
import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { duration } from "../ui/text.js";
import { Recordings } from "./api.js";
import { Pass } from "./pass.js";

const STATES = {
  recording: "Runs now", paused: "Paused", stopping: "Is being finished", finished: "", interrupted: "Was interrupted", failed: "Could not be kept",
};
const READABLE = ["finished", "interrupted"];
const RUNNING = ["recording", "paused", "stopping"];
const LOOK_AGAIN_MS = 3000;

const pass = new Pass();
const recordings = new Recordings(pass.token);
let next = null;
let pages = 0;

function card({ id, room, state, started_ms, ended_ms }) {
  const is_readable = READABLE.includes(state);
  const when = new Date(started_ms).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const picture = el("div", { class: "card-picture" }, icon(is_readable ? "play" : "record"), ended_ms && el("span", { class: "card-length" }, duration(ended_ms - started_ms)));
  const words = el("div", { class: "card-words" }, el("p", { class: "card-name" }, room), el("p", { class: "soft" }, [when, STATES[state] ?? state].filter(Boolean).join(" - ")));
  const item = el("li", {}, is_readable ? el("a", { class: "card", href: `/recordings/${encodeURIComponent(id)}` }, picture, words) : el("div", { class: "card card-shut" }, picture, words));
  if (is_readable) dress(id, picture);
  return item;
}

// The film's poster, where there is one and everybody in it may be shown.
async function dress(id, picture) {
  const { renditions } = await recordings.playback(id).catch(() => ({ renditions: [] }));
  const poster = renditions.find(({ state, layout, poster_url }) => state === "finished" && poster_url && layout !== "single");
  if (poster) picture.prepend(el("img", { src: poster.poster_url, alt: "" }));
}

async function show_more() {
  by_id("more").disabled = true;
  const page = await recordings.list({ after: next });
  by_id("cards").append(...page.items.map(card));
  pages += 1;
  next = page.next;
  look_again_if_any_runs(page.items);
  by_id("more").hidden = next === null;
  by_id("more").disabled = false;
  const none = by_id("cards").children.length === 0;
  by_id("words").textContent = none ? "Nothing has been recorded in this room yet." : "";
  by_id("words").hidden = !none;
}

// What still runs, or is being finished, can be watched in a moment. Who has gone further back is left alone.
function look_again_if_any_runs(items) {
  if (pages > 1 || !items.some(({ state }) => RUNNING.includes(state))) return;
  setTimeout(async () => {
    const page = await recordings.list().catch(() => null);
    if (pages > 1) return;
    if (page) fill(by_id("cards"), page.items.map(card));
    look_again_if_any_runs(page?.items ?? items);
  }, LOOK_AGAIN_MS);
}

async function show() {
  try {
    if (!pass.token) throw new ParleyError("no_token", "Recordings open with a link of your own. Ask whoever runs the room to send you one.");
    if (pass.room) by_id("title").textContent = `Recordings of ${pass.room}`;
    await show_more();
  } catch (error) {
    const reason = error.code === "unauthorized" ? "This link has ended. Ask whoever sent it for a new one." : error.code === "forbidden" ? "This link does not open recordings." : error.reason;
    fill(by_id("words"), icon("warning"), ` ${reason ?? error.message}`);
    by_id("words").hidden = false;
  }
  by_id("main").removeAttribute("aria-busy");
}

by_id("more").addEventListener("click", () => show_more().catch((error) => { by_id("words").textContent = error.reason ?? error.message; }));
await show();
