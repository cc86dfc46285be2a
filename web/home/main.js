// The start page: opens a room on a development server; elsewhere rooms open by link.
import { fetch_site } from "../ui/api.js";
import { by_id, el } from "../ui/dom.js";

const FIRST = ["amber", "brisk", "calm", "clear", "early", "fair", "gentle", "green", "high", "keen", "late", "light", "mild", "north", "quiet", "warm"];
const SECOND = ["bay", "bridge", "brook", "field", "garden", "grove", "harbour", "hill", "island", "lake", "meadow", "orchard", "river", "square", "tower", "valley"];

function pick(words) {
  return words[crypto.getRandomValues(new Uint32Array(1))[0] % words.length];
}

function show_foot(site) {
  for (const [word, text] of [["Help", site?.support], ["Privacy", site?.privacy]]) {
    if (text) by_id("foot").append(el("span", {}, `${word}: ${text}`));
  }
}

function open_room(event) {
  event.preventDefault();
  const field = by_id("room");
  const name = field.value.trim();
  const wrong = by_id("room-wrong");
  wrong.hidden = Boolean(name);
  wrong.textContent = name ? "" : "Give the room a name.";
  field.setAttribute("aria-invalid", String(!name));
  if (name) location.assign(`/r/${encodeURIComponent(name)}${by_id("host").checked ? "#host" : ""}`);
  else field.focus();
}

const site = await fetch_site().catch(() => null);
by_id("loading").hidden = true;
by_id("open").hidden = !site?.development;
by_id("by-link").hidden = Boolean(site?.development);
by_id("room").value = `${pick(FIRST)}-${pick(SECOND)}`;
by_id("open").addEventListener("submit", open_room);
if (site?.development) by_id("room").select();
show_foot(site);
