import { el, fill } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { icon } from "../ui/icons.js";
import { site_names } from "../ui/text.js";
import { toast } from "../ui/toast.js";

/** Starting and stopping recordings and broadcasts, for those whose token permits it. */
export class Studio {
  #room;

  constructor(room) {
    this.#room = room;
  }

  /** The recording that runs, or null. */
  get recording() {
    return this.#room.activities.find(({ kind }) => kind === "record") ?? null;
  }

  /** The broadcasts that run. */
  get broadcasts() {
    return this.#room.activities.filter(({ kind }) => kind !== "record");
  }

  /** Start a recording, or end the one that runs. */
  async toggle_recording() {
    const running = this.recording;
    await attempt(async () => {
      if (running) await this.#room.record_stop(running.id);
      else await this.#room.record_start();
    });
  }

  /** Open the dialog to pick destinations, or to end what runs. */
  async open() {
    const list = el("div", { class: "studio" }, el("p", { class: "pulse" }, "Looking for the sites"));
    const start = el("button", { class: "button button-primary", type: "submit", disabled: true }, "Go live");
    start.setAttribute("form", "studio-form");
    const dialog = open_dialog({ title: "Go live", body: list, actions: [start], kind: "studio-dialog" });
    try {
      this.#show(list, start, dialog, await this.#room.destinations());
    } catch (error) {
      fill(list, el("p", { class: "problem" }, error.reason ?? error.message));
    }
  }

  #show(list, start, dialog, destinations) {
    const running = this.broadcasts;
    if (!destinations.length) {
      fill(list, el("p", {}, "No destination is set up for this room yet. An administrator adds partner sites and their destinations."), this.#running(running, dialog));
      return;
    }
    const chosen = new Set();
    const form = el("form", { id: "studio-form", class: "destinations" }, destinations.map(({ id, name, site, kind }) => {
      const input = el("input", { type: "checkbox", value: id, on_change: () => {
        if (input.checked) chosen.add(id);
        else chosen.delete(id);
        start.disabled = chosen.size === 0;
        start.textContent = chosen.size > 1 ? `Go live on ${chosen.size} sites` : "Go live";
      } });
      return el("label", { class: "tick destination" }, input, el("span", {}, el("strong", {}, name), el("span", { class: "soft" }, ` ${site} - ${kind.toUpperCase()}`)));
    }));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      start.disabled = true;
      if (await attempt(() => this.#room.broadcast_start([...chosen]))) dialog.close();
      else start.disabled = false;
    });
    fill(list, this.#running(running, dialog), el("p", {}, "Everyone in the room is told first, and is seen there only after agreeing."), form);
  }

  #running(activities, dialog) {
    return activities.map(({ id, sites }) => el("div", { class: "running-now" },
      icon("live"), el("span", {}, `Live on ${site_names(sites)}`),
      el("button", { class: "button button-alarm", type: "button", on_click: async () => {
        if (await attempt(() => this.#room.broadcast_stop(id))) dialog.close();
      } }, "End")));
  }
}

async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.reason ?? error.message, { kind: "error" });
    return false;
  }
}
