import { last_begun, parse_stills } from "./timeline.js";

/** The small stills of a film, shown one at a time in an element. */
export class Stills {
  #element;
  #stills = [];

  constructor(element) {
    this.#element = element;
  }

  /** Load the index; without one, or when it does not come, there are no stills. */
  async load(url) {
    this.#stills = [];
    if (!url) return;
    const response = await fetch(url).catch(() => null);
    if (response?.ok) this.#stills = parse_stills(await response.text(), response.url);
  }

  /** Show the one of a time; false when there is none. */
  show(at_ms) {
    const still = this.#stills[Math.max(0, last_begun(this.#stills, at_ms))];
    this.#element.hidden = !still;
    if (!still) return false;
    const { style } = this.#element;
    style.setProperty("background-image", `url("${still.url}")`);
    style.setProperty("background-position", `${-still.x}px ${-still.y}px`);
    style.setProperty("width", `${still.width}px`);
    style.setProperty("height", `${still.height}px`);
    return true;
  }
}
