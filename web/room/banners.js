import { announce, by_id, el } from "../ui/dom.js";
import { icon } from "../ui/icons.js";

/** Bars above the stage that stay as long as something is so; each has a key, showing the same key again replaces it. */
export class Banners {
  #shown = new Map();

  /** Show a bar; `kind` is `info`, `warn` or `alarm`; `action` is {text, run}. */
  show(key, text, { kind = "info", action = null } = {}) {
    if (this.#shown.get(key)?.dataset.text === text) return;
    this.hide(key);
    const bar = el("div", { class: `banner banner-${kind}`, data_key: key, data_text: text },
      kind !== "info" && icon("warning"), el("p", {}, text),
      action && el("button", { class: "button", type: "button", on_click: action.run }, action.text));
    this.#shown.set(key, bar);
    by_id("banners").append(bar);
    announce(text);
  }

  /** Take a bar away; whether it was there. */
  hide(key) {
    this.#shown.get(key)?.remove();
    return this.#shown.delete(key);
  }

  /** Take all away. */
  clear() {
    for (const key of [...this.#shown.keys()]) this.hide(key);
  }
}
