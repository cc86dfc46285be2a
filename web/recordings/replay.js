import { fetch_broadcasts, fetch_destinations, start_broadcast, stop_broadcast } from "../ui/api.js";
import { by_id, el, fill } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { icon } from "../ui/icons.js";
import { site_choice, state_line } from "../ui/sites.js";
import { duration, list_words } from "../ui/text.js";
import { attempt } from "../ui/toast.js";

const LOOK_AGAIN_MS = 2000;

const moment = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

/** Sending the recording to other sites again: asked for, confirmed, followed and ended in a dialog. */
export class Replay {
  #token;
  #recording;

  constructor({ token, recording }) {
    this.#token = token;
    this.#recording = recording;
    fill(by_id("replay"), icon("live"), el("span", {}, "Replay"));
    by_id("replay").addEventListener("click", () => this.#open());
  }

  async #open() {
    const body = el("div", { class: "studio" }, el("p", { class: "pulse" }, "Looking for the sites"));
    const foot = el("div", { class: "replay-foot" });
    let watching = 0;
    const dialog = open_dialog({ title: "Replay on other sites", body, actions: [foot], on_close: () => clearInterval(watching) });
    const running = el("div", { class: "studio" });
    try {
      const [destinations] = await Promise.all([fetch_destinations(this.#token), this.#tell(running)]);
      this.#ask({ body, foot, running, destinations });
      if (dialog.element.open) watching = setInterval(() => this.#tell(running).catch(() => {}), LOOK_AGAIN_MS);
    } catch (error) {
      fill(body, el("p", { class: "problem", role: "alert" }, error.reason ?? error.message));
    }
  }

  // What is to be sent where: the first of two steps.
  #ask({ body, foot, running, destinations }) {
    if (!destinations.length) {
      fill(body, running, el("p", {}, "No destination is set up for this room yet. An administrator adds partner sites and their destinations."));
      return;
    }
    const wish = { recording: this.#recording, destinations: [], loop: false, at: null };
    const next = el("button", { class: "button button-primary", type: "button", id: "replay-next", disabled: true }, "Go on");
    const loop = el("input", { type: "checkbox", on_change: ({ target }) => { wish.loop = target.checked; } });
    const at = el("input", { type: "datetime-local", id: "replay-at", on_change: ({ target }) => { wish.at = target.value ? new Date(target.value).toISOString() : null; } });
    const sites = site_choice(destinations, (ids) => {
      wish.destinations = ids;
      next.disabled = ids.length === 0;
    });
    next.addEventListener("click", () => this.#confirm({ body, foot, running, destinations }, wish));
    fill(body, running, el("p", {}, "The recording is sent to the sites that you choose, as a program of its own."), sites, el("label", { class: "tick" }, loop, el("span", {}, "Again and again, until it is ended")),
      el("div", { class: "field" }, el("label", { for: "replay-at" }, "Begins"), at, el("p", { class: "hint" }, "Left empty: at once")));
    fill(foot, next);
  }

  // What will come of it, before anything does: the second.
  #confirm(asked, wish) {
    const where = list_words(asked.destinations.filter(({ id }) => wish.destinations.includes(id)).map(({ name, site }) => `${name} (${site})`));
    const when = wish.at ? `on ${moment(wish.at)}` : "at once";
    const go = el("button", { class: "button button-alarm", type: "button", id: "replay-go" }, wish.at ? "Plan it" : "Send it now");
    const back = el("button", { class: "button", type: "button", on_click: () => this.#ask(asked) }, "Back");
    go.addEventListener("click", async () => {
      go.disabled = true;
      const is_sent = await attempt(() => start_broadcast(this.#token, wish));
      if (is_sent) await this.#tell(asked.running).catch(() => {});
      this.#ask(asked);
    });
    fill(asked.body, asked.running, el("p", { id: "replay-words" }, `It goes to ${where} ${when}${wish.loop ? ", and again and again" : ""}. What a site has received, it may keep.`),
      el("p", {}, "Only people who agreed to a replay, and have not taken that back, are seen, heard, named and quoted. Who takes it back meanwhile is taken out at once."));
    fill(asked.foot, back, go);
    go.focus();
  }

  // The replays of this recording that run or are planned.
  async #tell(place) {
    const all = await fetch_broadcasts(this.#token);
    fill(place, all.filter(({ replay }) => replay?.recording === this.#recording).map((one) => this.#running(one, place)));
  }

  #running({ id, state, reason, replay, destinations }, place) {
    const when = state === "scheduled" ? `Begins on ${moment(replay.at_ms)}` : `On the air: ${duration(replay.position_ms)} of ${duration(replay.duration_ms)}`;
    const end = el("button", { class: "button button-alarm", type: "button", on_click: async () => {
      await attempt(() => stop_broadcast(this.#token, id));
      await this.#tell(place).catch(() => {});
    } }, "End");
    return el("section", { class: "on-air", data_broadcast: id, aria_label: when },
      el("div", { class: "running-now" }, icon("live"), el("span", {}, when), end), el("ul", { class: "states" }, destinations.map(state_line)),
      reason && el("p", { class: "problem" }, reason));
  }
}
