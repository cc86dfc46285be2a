// The terms of broadcast, the version in force or the one in the address.
import { fetch_site, fetch_terms } from "../ui/api.js";
import { by_id, el, fill } from "../ui/dom.js";
import { list_words } from "../ui/text.js";

const MEDIA = { audio: "voice", video: "picture", chat: "chat" };

function show(terms) {
  by_id("title").textContent = terms.title;
  document.title = `${terms.title} - Parley`;
  const since = new Date(terms.effective_ms).toLocaleDateString([], { dateStyle: "long" });
  // The terms that ship with the server have no date: they are in force from its first day.
  by_id("version").textContent = terms.effective_ms ? `Version ${terms.version}, in force since ${since}` : `Version ${terms.version}`;
  fill(by_id("uses"), terms.uses.map(({ title, text, media }) => el("article", { class: "terms-use" },
    el("h2", {}, title), text && el("p", {}, text), el("p", {}, `Covers your ${list_words(media.map((one) => MEDIA[one] ?? one))}.`))));
  fill(by_id("text"), terms.text.split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph)));
}

const version = location.pathname.split("/")[2];
try {
  show(await fetch_terms(version ? decodeURIComponent(version) : null));
} catch (error) {
  by_id("version").textContent = error.reason ?? "The terms cannot be loaded now. Try again in a moment.";
}
document.querySelector("main").removeAttribute("aria-busy");
const site = await fetch_site().catch(() => null);
for (const [word, text] of [["Help", site?.support], ["Privacy", site?.privacy]]) {
  if (text) by_id("foot").append(el("span", {}, `${word}: ${text}`));
}
