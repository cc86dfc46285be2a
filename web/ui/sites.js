import { el } from "./dom.js";

const STATES = {
  idle: "waits", connecting: "connecting", live: "live", slate: "shows the slate", degraded: "has trouble",
  backing_off: "tries again soon", failed: "failed", stopped: "has ended",
};

/** Boxes to tick, one for each destination; `on_change(ids)` is called with those that are ticked. */
export function site_choice(destinations, on_change) {
  const chosen = new Set();
  const choose = (id, is_on) => {
    if (is_on) chosen.add(id);
    else chosen.delete(id);
    on_change([...chosen]);
  };
  return el("div", { class: "destinations", role: "group", aria_label: "Sites" }, destinations.map(({ id, name, site, kind }) => el("label", { class: "tick destination" },
    el("input", { type: "checkbox", value: id, on_change: ({ target }) => choose(id, target.checked) }),
    el("span", {}, el("strong", {}, name), el("span", { class: "soft" }, ` ${site} - ${kind.toUpperCase()}`)))));
}

/** How one destination of a broadcast is doing. */
export function state_line({ name, state, reason }) {
  return el("li", { class: `state state-${state}` }, el("strong", {}, name), ` ${STATES[state] ?? state}${reason ? `: ${reason}` : ""}`);
}
