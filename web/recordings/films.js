import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { save } from "./making.js";

const LAYOUTS = { grid: "Everyone", speaker: "Who speaks", screen: "Shared screen", single: "One person" };

/** The films of a recording: which plays, which can be saved or removed, and the form for another. */
export class Films {
  #making;
  #on_play;

  /** `on_play(rendition)` plays one. */
  constructor({ making, on_play }) {
    this.#making = making;
    this.#on_play = on_play;
  }

  /** Show those that there are; `current` is the id of the one that plays. */
  show(renditions, current, title) {
    const films = renditions.filter(({ layout }) => layout !== "copy");
    fill(by_id("films"), films.map((film) => this.#row(film, film.id === current, title)));
  }

  #row(film, is_current, title) {
    const { layout, format, size_bytes, state, use, reason, created_ms } = film;
    const made = new Date(created_ms).toLocaleDateString([], { dateStyle: "medium" });
    const words = state === "finished" ? `${format.toUpperCase()}, ${size_words(size_bytes)}, ${made}` : STATES[state] ?? state;
    const is_made = state === "finished";
    return el("li", { class: is_current ? "film film-now" : "film", data_film: film.id },
      el("div", { class: "film-words" }, el("p", { class: "film-name" }, LAYOUTS[layout] ?? layout, use === "replay" && el("span", { class: "badge badge-in" }, "for viewers"), is_current && el("span", { class: "badge" }, "plays")),
        el("p", { class: "soft" }, reason ? `${words}: ${reason}` : words)),
      is_made && !is_current && el("button", { class: "icon-button", type: "button", aria_label: "Play this film", on_click: () => this.#on_play(film) }, icon("play")),
      is_made && el("button", { class: "icon-button", type: "button", aria_label: "Download this film", on_click: () => save(film, title) }, icon("download")),
      el("button", { class: "icon-button", type: "button", aria_label: "Remove this film", on_click: () => this.#making.remove(film.id) }, icon("bin")));
  }
}

const STATES = { queued: "Waits for its turn", rendering: "Is being made", failed: "Could not be made", withheld: "Withheld" };

function size_words(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
