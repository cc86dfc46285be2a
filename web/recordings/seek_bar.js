import { by_id, el, fill } from "../ui/dom.js";
import { duration } from "../ui/text.js";
import { last_begun, share_of } from "./timeline.js";

const STEP_MS = 5000;
const PAGE_MS = 60_000;

/** The bar to seek with: pointer, touch and keys; joins, leaves and pauses on it, a still of where the pointer is. */
export class SeekBar {
  #bar = by_id("seek");
  #stills;
  #moments = [];
  #duration_ms = 0;
  #at_ms = 0;
  #dragged = false;
  #on_seek;

  /** `on_seek(at_ms)` runs for every place that is chosen. */
  constructor({ stills, on_seek }) {
    this.#stills = stills;
    this.#on_seek = on_seek;
    this.#bar.addEventListener("keydown", (event) => this.#key(event));
    this.#bar.addEventListener("pointerdown", (event) => this.#press(event));
    this.#bar.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) this.#bar.addEventListener(name, (event) => this.#release(event));
    this.#bar.addEventListener("pointerleave", () => { by_id("preview").hidden = !this.#dragged; });
  }

  /** What is on it. */
  show({ moments, pauses, duration_ms }) {
    this.#moments = moments;
    this.#duration_ms = duration_ms;
    this.#bar.setAttribute("aria-valuemax", String(Math.round(duration_ms / 1000)));
    fill(by_id("seek-marks"), moments.map(({ at_ms, kind }) => this.#placed(el("i", { class: `seek-mark seek-${kind}` }), at_ms)));
    fill(by_id("seek-bands"), pauses.map(({ from_ms, to_ms }) => this.#placed(el("i", { class: "seek-band" }), from_ms, to_ms)));
    this.tell(this.#at_ms, null);
  }

  /** Where it stands, and the end of what is loaded there (null: unchanged). */
  tell(at_ms, loaded_ms) {
    this.#at_ms = at_ms;
    const share = `${share_of(at_ms, this.#duration_ms) * 100}%`;
    by_id("seek-done").style.setProperty("width", share);
    by_id("seek-thumb").style.setProperty("left", share);
    if (loaded_ms !== null) by_id("seek-loaded").style.setProperty("width", `${share_of(loaded_ms, this.#duration_ms) * 100}%`);
    this.#bar.setAttribute("aria-valuenow", String(Math.round(at_ms / 1000)));
    this.#bar.setAttribute("aria-valuetext", `${duration(at_ms)} of ${duration(this.#duration_ms)}`);
  }

  #placed(element, from_ms, to_ms = null) {
    element.style.setProperty("left", `${share_of(from_ms, this.#duration_ms) * 100}%`);
    if (to_ms !== null) element.style.setProperty("width", `${share_of(to_ms - from_ms, this.#duration_ms) * 100}%`);
    return element;
  }

  #time_at({ clientX }) {
    const { left, width } = this.#bar.getBoundingClientRect();
    return Math.round(Math.min(1, Math.max(0, (clientX - left) / width)) * this.#duration_ms);
  }

  #press(event) {
    if (event.button !== 0) return;
    this.#dragged = true;
    this.#bar.setPointerCapture(event.pointerId);
    this.#on_seek(this.#time_at(event));
    this.#look(event);
  }

  // A finger that is lifted points at nothing any more.
  #release({ pointerType }) {
    this.#dragged = false;
    if (pointerType !== "mouse") by_id("preview").hidden = true;
  }

  #move(event) {
    if (this.#dragged) this.#on_seek(this.#time_at(event));
    this.#look(event);
  }

  // A still of the place that is pointed at, with its time and what last happened.
  #look(event) {
    const at_ms = this.#time_at(event);
    const preview = by_id("preview");
    const last = this.#moments[last_begun(this.#moments, at_ms)];
    this.#stills.show(at_ms);
    fill(by_id("preview-words"), el("b", {}, duration(at_ms)), last && ` ${last.text}`);
    preview.hidden = false;
    const { width } = this.#bar.getBoundingClientRect();
    const half = preview.offsetWidth / 2;
    const middle = share_of(at_ms, this.#duration_ms) * width;
    preview.style.setProperty("left", `${Math.min(Math.max(half, middle), Math.max(half, width - half))}px`);
  }

  #key(event) {
    const to = { ArrowLeft: -STEP_MS, ArrowDown: -STEP_MS, ArrowRight: STEP_MS, ArrowUp: STEP_MS, PageDown: -PAGE_MS, PageUp: PAGE_MS, Home: -this.#duration_ms, End: this.#duration_ms }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.#on_seek(Math.min(this.#duration_ms, Math.max(0, this.#at_ms + to)));
  }
}
