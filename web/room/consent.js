import { el, fill } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { icon } from "../ui/icons.js";
import { list_words, site_names, use_words } from "../ui/text.js";
import { toast } from "../ui/toast.js";
import { ask_withdrawal } from "./withdrawal.js";

const STATES = {
  granted: "Yes",
  asked: "Not answered: nothing goes out",
  refused: "No: nothing goes out",
  unavailable: "Not offered in this room",
};

/** One's own consent: what goes where now, a switch per use, everything off with one click, and the way out of what was recorded. */
export class Consent {
  #room;
  #dialog = null;
  #body = el("div", { class: "consent" });
  #measured = null;
  #pass;

  /** `pass` holds the token in force. */
  constructor(room, pass) {
    this.#room = room;
    this.#pass = pass;
    for (const name of ["consent", "activities", "notice", "terms"]) room.on(name, () => this.#show());
  }

  /** Open the panel. */
  open() {
    if (this.#dialog) return;
    this.#measured = null;
    this.#show();
    this.#dialog = open_dialog({ title: "What goes out of you", body: this.#body, kind: "consent-dialog", on_close: () => { this.#dialog = null; } });
  }

  /** Take everything back, from wherever it is called. */
  async revoke_all() {
    const granted = Object.entries(this.#room.self.consent).filter(([, state]) => state === "granted");
    await this.#set(Object.fromEntries(granted.map(([use]) => [use, false])));
  }

  #show() {
    const { self, activities, terms } = this.#room;
    const uses = Object.entries(self.consent ?? {}).filter(([, state]) => state !== "unavailable");
    const out = activities.filter((activity) => this.#room.is_in(activity));
    const lead = out.length
      ? `Your picture, voice and chat go out now: ${list_words(out.map(({ kind, sites }) => `${use_words(kind).noun} (${site_names(sites)})`))}.`
      : "Nothing of you leaves this room now.";
    fill(this.#body,
      el("p", { class: `consent-now${out.length ? " consent-now-out" : ""}` }, icon(out.length ? "live" : "shield"), el("span", {}, lead)),
      uses.some(([, state]) => state === "granted") && el("button", { id: "revoke", class: "button button-alarm", type: "button", on_click: () => this.revoke_all() }, icon("shield_off"), "Take me out of everything now"),
      this.#measured && el("p", { class: "measured", role: "status" }, icon("check"), el("span", {}, this.#measured)),
      uses.length ? el("ul", { class: "consent-uses" }, uses.map(([use, state]) => this.#use(use, state, activities))) : el("p", { class: "soft" }, "This room is not recorded and not broadcast."),
      uses.some(([use]) => use === "record") && el("button", { id: "withdraw", class: "button", type: "button", on_click: () => this.#withdraw() }, "Remove me from this room's recordings"),
      el("p", { class: "soft" }, "You agreed under the ", el("a", { href: terms?.url ?? "/terms", target: "_blank", rel: "noopener" }, `terms of broadcast${terms?.version ? ` ${terms.version}` : ""}`), ". What went out before cannot be called back from other people's screens."));
  }

  #use(use, state, activities) {
    const words = use_words(use, this.#room.terms);
    const running = activities.filter(({ kind }) => kind === use);
    const name = `consent-${use}`;
    const option = (value, text, wanted) => el("label", {},
      el("input", { type: "radio", name, value, checked: wanted, on_change: () => this.#set({ [use]: value === "yes" }) }), text);
    return el("li", {}, el("fieldset", { class: "use" },
      el("legend", { class: "visually-hidden" }, words.title),
      el("div", { class: "use-words" },
        el("strong", { aria_hidden: "true" }, words.title),
        el("p", {}, STATES[state]),
        running.length > 0 && el("p", { class: "soft" }, `Running now: ${list_words(running.map(({ sites }) => site_names(sites)))}`)),
      el("div", { class: "choice" }, option("no", "No", state === "refused"), option("yes", "Yes", state === "granted"))));
  }

  #withdraw() {
    ask_withdrawal(this.#pass.token, (words) => {
      this.#measured = words;
      this.#show();
    });
  }

  async #set(uses) {
    if (!Object.keys(uses).length) return;
    const taken_back = Object.values(uses).every((wanted) => !wanted);
    try {
      const { done_ms } = await this.#room.consent(uses);
      this.#measured = taken_back
        ? done_ms === null || done_ms === undefined
          ? "Done. Nothing of you was going out."
          : `Done in ${Math.round(done_ms)} ms. Nothing of you goes out any more.`
        : null;
      this.#show();
      if (!this.#dialog && this.#measured) toast(this.#measured);
    } catch (error) {
      this.#show();
      toast(error.reason ?? error.message, { kind: "error" });
    }
  }
}
