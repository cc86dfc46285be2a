import { by_id, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { recall, remember } from "../ui/storage.js";
import { captions_of } from "./timeline.js";

const KEY = "parley.player.captions";

/** The chat as captions of the film, also where the picture fills the screen; its button and the key C turn them on and off. */
export class Captions {
  #track;
  #has_lines = false;
  #is_in_picture = false;

  constructor() {
    this.#track = by_id("video").addTextTrack("captions", "Chat");
    this.#turn(false);
    fill(by_id("captions"), icon("chat"));
    by_id("captions").addEventListener("click", () => this.#choose(this.#track.mode !== "showing"));
    addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show these lines, by time, each at its moment. */
  show(lines) {
    for (const cue of [...this.#track.cues ?? []]) this.#track.removeCue(cue);
    // At the moment between two, where a click on a line leads, browsers would show both.
    for (const { from_ms, to_ms, lines: shown } of captions_of(lines)) this.#track.addCue(new VTTCue(from_ms / 1000, (to_ms - 1) / 1000, shown.map(words).join("\n")));
    this.#has_lines = lines.length > 0;
    this.#offer();
  }

  /** The film that plays has the chat written into its picture already, or not. */
  fit({ chat }) {
    this.#is_in_picture = chat === "burned";
    this.#offer();
  }

  #offer() {
    by_id("captions").hidden = !this.#has_lines || this.#is_in_picture;
    this.#turn(!by_id("captions").hidden && Boolean(recall("localStorage", KEY)));
  }

  #choose(is_on) {
    this.#turn(is_on);
    remember("localStorage", KEY, is_on);
  }

  #turn(is_on) {
    // Cues of a track that is disabled cannot be reached, those of a hidden one can.
    this.#track.mode = is_on ? "showing" : "hidden";
    by_id("captions").setAttribute("aria-pressed", String(is_on));
  }

  #key(event) {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || by_id("captions").hidden || event.target.closest("input, select, textarea, dialog")) return;
    if (event.key.toLowerCase() === "c") by_id("captions").click();
  }
}

// What people write is no markup of WebVTT, and an empty line would end it.
function words({ name, text }) {
  return `${name}: ${text}`.replaceAll(/\s*\n\s*/g, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
