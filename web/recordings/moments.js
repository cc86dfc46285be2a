import { by_id, el, fill } from "../ui/dom.js";
import { duration } from "../ui/text.js";
import { icon } from "../ui/icons.js";
import { last_begun, neighbour_ms } from "./timeline.js";

const ICONS = { start: "play", joined: "people", left: "leave", screen: "screen", paused: "pause", resumed: "record" };

/** What happens in the recording, as a list; a click goes there, and the keys N and P go from one to the next. */
export class Moments {
  #moments = [];
  #duration_ms = 0;
  #at_ms = 0;
  #on_seek;

  constructor({ on_seek }) {
    this.#on_seek = on_seek;
    addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show these, by time. */
  show(moments, duration_ms) {
    this.#duration_ms = duration_ms;
    this.#moments = moments;
    const all = [{ at_ms: 0, kind: "start", text: "The recording begins" }, ...moments];
    fill(by_id("moments"), all.map(({ at_ms, kind, text }) => el("li", {},
      el("button", { class: "moment", type: "button", data_at: String(at_ms), on_click: () => this.#on_seek(at_ms) },
        icon(ICONS[kind]), el("span", {}, text), el("span", { class: "moment-time" }, duration(at_ms))))));
  }

  /** The film is at this time. */
  tell(at_ms) {
    this.#at_ms = at_ms;
    const now = last_begun(this.#moments, at_ms) + 1;
    for (const [index, item] of [...by_id("moments").children].entries()) item.classList.toggle("moment-now", index === now);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || by_id("bar").hidden || event.target.closest("input, select, textarea, dialog")) return;
    const direction = { n: 1, p: -1 }[event.key.toLowerCase()];
    if (direction) this.#on_seek(neighbour_ms(this.#moments, this.#at_ms, direction, this.#duration_ms));
  }
}
