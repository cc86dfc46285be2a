import { by_id, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";

const PANELS = ["chat", "people"];
const WIDE = "(min-width: 1100px)";
const COVERING = matchMedia("(max-width: 700px)");
const COVERED = ".top, .banners, .stage, .controls";

/** Whether the panel stands beside the stage instead of over it. */
export function is_wide() {
  return matchMedia(WIDE).matches;
}

/** The panel of chat and people. `on_change(panel or null)` follows what is open, `on_chat()` each opening of the chat that takes the focus. */
export class Side {
  /** `chat`, `people` or null. */
  panel = null;

  #on_change;
  #on_chat;
  #opener = null;
  #keys = (event) => this.#key(event);
  #resized = () => this.#cover();

  constructor({ on_change, on_chat }) {
    this.#on_change = on_change;
    this.#on_chat = on_chat;
    fill(by_id("side-close"), icon("close"));
    by_id("side-close").onclick = () => this.#dismiss();
    for (const panel of PANELS) {
      const tab = by_id(`tab-${panel}`);
      tab.onclick = () => this.open(panel);
      tab.onkeydown = ({ key }) => this.#step(key);
    }
    addEventListener("keydown", this.#keys);
    COVERING.addEventListener("change", this.#resized);
  }

  /** Open a panel, or close it when it is the one that is open. */
  toggle(panel) {
    if (this.panel === panel) this.#dismiss();
    else {
      this.#opener = document.activeElement;
      this.open(panel);
    }
  }

  /** Open a panel; null closes. */
  open(panel, { focus = true } = {}) {
    this.panel = panel;
    by_id("side").hidden = panel === null;
    for (const name of PANELS) {
      const tab = by_id(`tab-${name}`);
      by_id(`panel-${name}`).hidden = panel !== name;
      tab.setAttribute("aria-selected", String(panel === name));
      tab.tabIndex = panel === name ? 0 : -1;
    }
    this.#cover();
    this.#on_change(panel);
    if (!focus) return;
    if (panel === "chat") this.#on_chat();
    else if (panel !== null) by_id(`tab-${panel}`).focus();
  }

  /** The room is over. */
  close() {
    removeEventListener("keydown", this.#keys);
    COVERING.removeEventListener("change", this.#resized);
    this.open(null);
  }

  #dismiss() {
    this.open(null);
    this.#opener?.focus();
    this.#opener = null;
  }

  // What lies under the panel on a phone is out of reach for keys and screen readers too.
  #cover() {
    for (const part of document.querySelectorAll(COVERED)) part.inert = this.panel !== null && COVERING.matches;
  }

  #step(key) {
    if (key !== "ArrowLeft" && key !== "ArrowRight") return;
    const other = PANELS.find((panel) => panel !== this.panel);
    this.open(other, { focus: false });
    by_id(`tab-${other}`).focus();
  }

  // Over the stage, it goes away as a dialog does.
  #key({ key }) {
    if (key === "Escape" && this.panel && !is_wide() && !document.querySelector("dialog[open], .menu")) this.#dismiss();
  }
}
