import { announce, by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { duration, site_label, site_names, unreached_words, use_words } from "../ui/text.js";

const WORDS = { record: "REC", live: "LIVE", replay: "REPLAY" };

/** The bar that stays while the room is recorded or goes live, and names the sites. A click opens one's own consent. */
export class Indicator {
  #room;
  #known = new Set();
  #clock = 0;
  #on_open;

  constructor({ room, on_open }) {
    this.#room = room;
    this.#on_open = on_open;
    for (const name of ["activities", "consent", "notice"]) room.on(name, () => this.show());
    room.on("state", ({ state }) => state === "connected" && this.show());
    this.show();
  }

  /** Draw it again. */
  show() {
    const { activities } = this.#room;
    const bar = by_id("indicator");
    this.#announce(activities);
    clearInterval(this.#clock);
    bar.hidden = activities.length === 0;
    document.body.classList.toggle("is-out", activities.length > 0);
    fill(bar, activities.map((activity) => this.#pill(activity, this.#room.is_in(activity))));
    if (activities.length) this.#clock = setInterval(() => this.#tick(), 1000);
  }

  /** Stop the clock. */
  close() {
    clearInterval(this.#clock);
    document.body.classList.remove("is-out");
  }

  #pill({ id, kind, sites, since_ms, is_paused }, is_in) {
    const own = is_in ? "You are in it" : "You are not in it";
    const words = use_words(kind);
    const unreached = unreached_words(sites);
    return el("button", {
      class: `pill pill-${kind}`, type: "button", data_activity: id, on_click: this.#on_open,
      title: `${words.title}: ${site_names(sites)}${unreached && ` (${unreached})`}. ${own}. Click to change.`,
    },
    el("span", { class: "pill-word" }, el("i", { class: "dot", aria_hidden: "true" }), is_paused ? "PAUSED" : WORDS[kind] ?? words.noun.toUpperCase()),
    el("span", { class: "pill-sites" }, site_label(sites)),
    unreached ? el("span", { class: "pill-unreached" }, unreached) : null,
    el("span", { class: "pill-time", data_since: String(since_ms), aria_hidden: "true" }, duration(Date.now() - since_ms)),
    el("span", { class: is_in ? "pill-own" : "pill-own pill-own-out" }, icon(is_in ? "shield" : "shield_off"), is_in ? "you are in" : "you are out"));
  }

  #tick() {
    for (const time of by_id("indicator").querySelectorAll(".pill-time")) time.textContent = duration(Date.now() - Number(time.dataset.since));
  }

  #announce(activities) {
    const now = new Set(activities.map(({ id }) => id));
    for (const { id, kind, sites } of activities) {
      if (!this.#known.has(id)) announce(`${use_words(kind).title} has started: ${site_names(sites)}.`, { assertive: true });
    }
    if ([...this.#known].some((id) => !now.has(id))) announce(activities.length ? "One recording or broadcast has ended." : "Nothing is recorded or broadcast any more.");
    this.#known = now;
  }
}
