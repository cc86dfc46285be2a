import { by_id } from "../ui/dom.js";

const PANELS = ["chat", "moments", "films"];

/** The tabs beside the film. Arrow keys go from one to the next. */
export class Side {
  constructor() {
    for (const name of PANELS) {
      const tab = by_id(`tab-${name}`);
      tab.addEventListener("click", () => this.open(name));
      tab.addEventListener("keydown", (event) => this.#step(event, name));
    }
  }

  /** Show a panel. */
  open(panel, { focus = false } = {}) {
    by_id("side").hidden = false;
    for (const name of PANELS) {
      const tab = by_id(`tab-${name}`);
      tab.setAttribute("aria-selected", String(name === panel));
      tab.tabIndex = name === panel ? 0 : -1;
      by_id(`panel-${name}`).hidden = name !== panel;
    }
    if (focus) by_id(`tab-${panel}`).focus();
  }

  #step(event, name) {
    const shown = PANELS.filter((one) => !by_id(`tab-${one}`).hidden);
    const to = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!to) return;
    event.preventDefault();
    this.open(shown.at((shown.indexOf(name) + to) % shown.length), { focus: true });
  }
}
