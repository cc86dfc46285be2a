import { fetch_broadcasts } from "../ui/api.js";
import { el, fill } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { icon } from "../ui/icons.js";
import { site_choice, state_line } from "../ui/sites.js";
import { list_words, site_names } from "../ui/text.js";
import { attempt } from "../ui/toast.js";
import { look_fields, volume_fields } from "./look.js";

const LOOK_AGAIN_MS = 2000;
const PLAIN_LOOK = { layout: "grid", person: null, names: true, chat: true };

/** Recordings and broadcasts, for those whose token permits it: starting, pausing, arranging, ending. */
export class Studio {
  #room;
  #pass;

  /** `pass` holds the token in force. */
  constructor(room, pass) {
    this.#room = room;
    this.#pass = pass;
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

  /** Pause the recording that runs, or go on with it. */
  async toggle_pause() {
    const { id, is_paused } = this.recording ?? {};
    if (id) await attempt(() => (is_paused ? this.#room.record_resume(id) : this.#room.record_pause(id)));
  }

  /** Open the room's recordings in a tab of their own. */
  open_recordings() {
    window.open(`/recordings#token=${this.#pass.token}`, "_blank", "noopener");
  }

  /** Open the dialog to pick destinations, or to arrange and end what runs. */
  async open() {
    const list = el("div", { class: "studio" }, el("p", { class: "pulse" }, "Looking for the sites"));
    const start = el("button", { class: "button button-primary", type: "submit", disabled: true }, "Go live");
    start.setAttribute("form", "studio-form");
    let watching = 0;
    const dialog = open_dialog({ title: "Go live", body: list, actions: [start], kind: "studio-dialog", on_close: () => clearInterval(watching) });
    try {
      const [destinations, running] = await Promise.all([this.#room.destinations(), fetch_broadcasts(this.#pass.token)]);
      const panels = this.#show(list, start, dialog, destinations, running);
      const look_again = async () => {
        const now = await fetch_broadcasts(this.#pass.token).catch(() => []);
        for (const { id, tell } of panels) tell(now.find((broadcast) => broadcast.id === id));
      };
      if (panels.length && dialog.element.open) watching = setInterval(look_again, LOOK_AGAIN_MS);
    } catch (error) {
      fill(list, el("p", { class: "problem" }, error.reason ?? error.message));
    }
  }

  #show(list, start, dialog, destinations, broadcasts) {
    const panels = broadcasts.map((broadcast) => this.#running(broadcast, dialog));
    const running = panels.map(({ element }) => element);
    if (!destinations.length) {
      fill(list, running, el("p", {}, "No destination is set up for this room yet. An administrator adds partner sites and their destinations."));
      return panels;
    }
    const look = look_fields({ id: "start", people: this.#people(), look: PLAIN_LOOK });
    let chosen = [];
    const sites = site_choice(destinations, (ids) => {
      chosen = ids;
      start.disabled = chosen.length === 0;
      start.textContent = chosen.length > 1 ? `Go live on ${chosen.length} sites` : "Go live";
    });
    const form = el("form", { id: "studio-form", class: "studio" }, sites,
      el("details", { class: "look-box" }, el("summary", {}, "How it looks"), look.element));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      start.disabled = true;
      if (await attempt(() => this.#room.broadcast_start(chosen, look.value()))) dialog.close();
      else start.disabled = false;
    });
    fill(list, running, el("p", {}, "Everyone in the room is told first, and is seen there only after agreeing."), form);
    return panels;
  }

  // What runs: how each destination does, and the look, which changes without a break.
  #running({ id, destinations, look }, dialog) {
    const states = el("ul", { class: "states" });
    const tell = (broadcast) => fill(states, (broadcast?.destinations ?? []).map(state_line));
    const sites = this.#room.activities.find((activity) => activity.id === id)?.sites;
    const where = `Live on ${sites ? site_names(sites) : list_words(destinations.map(({ site }) => site))}`;
    const end = el("button", { class: "button button-alarm", type: "button", on_click: async () => {
      if (await attempt(() => this.#room.broadcast_stop(id))) dialog.close();
    } }, "End");
    const change = (part) => attempt(() => this.#room.broadcast_change(id, part));
    tell({ destinations });
    const element = el("section", { class: "on-air", data_broadcast: id, aria_label: where },
      el("div", { class: "running-now" }, icon("live"), el("span", {}, where), end), states,
      look && look_fields({ id, people: this.#people(), look, on_change: change }).element,
      look && el("details", { class: "look-box" }, el("summary", {}, "How loud everybody is"), volume_fields({ id, people: this.#people(), gains: look.gains, on_change: change })));
    return { id, element, tell };
  }

  #people() {
    const { self, participants } = this.#room;
    return [self, ...participants.values()].map(({ identity, name }) => ({ identity, name }));
  }
}
