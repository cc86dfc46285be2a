import { el } from "../ui/dom.js";
import { open_dialog } from "../ui/dialog.js";
import { list_words, site_names, use_words } from "../ui/text.js";
import { toast } from "../ui/toast.js";

/**
 * The question before anything of this person goes out: who will keep or show what, with a yes and a no of equal weight.
 *
 * Nothing goes out while it is open. One notice is shown at a time, in the order in which they came.
 */
export class Notices {
  #room;
  #queue = [];
  #open = null;

  constructor(room) {
    this.#room = room;
    room.on("notice", (notice) => this.#ask(notice));
    room.on("activities", () => this.#drop_over());
    room.on("state", ({ state }) => {
      if (state === "connected") for (const notice of room.notices) this.#ask(notice);
      if (state === "closed") this.close();
    });
    for (const notice of room.notices) this.#ask(notice);
  }

  /** Close what is open. */
  close() {
    this.#queue = [];
    this.#open?.dialog.close();
  }

  #ask(notice) {
    if (this.#open?.notice.notice === notice.notice || this.#queue.some((one) => one.notice === notice.notice)) return;
    this.#queue.push(notice);
    if (!this.#open) this.#next();
  }

  #next() {
    const notice = this.#queue.shift();
    if (!notice) return;
    const { terms, mode } = this.#room;
    const uses = notice.uses.map((use) => ({ use, ...use_words(use, terms) }));
    const body = el("div", { class: "notice" },
      el("p", { class: "notice-lead" }, this.#lead(notice, uses)),
      el("p", {}, `If you agree, this takes in your ${list_words(media_words(uses))}, with your screen name. You can take it back at any moment; then it stops at once.`),
      el("p", { class: "soft" }, "If you do not agree, you stay in the room as before, and viewers see an unnamed, silent placeholder."));
    const answer = (agreed) => () => this.#answer(notice, agreed);
    const dialog = open_dialog({
      title: uses.some(({ use }) => use === "record") ? "This room is being recorded" : "This room is going live",
      body,
      kind: "notice",
      dismissible: false,
      unasked: true,
      actions: [
        el("button", { class: "button button-choice", type: "button", id: "notice-no", on_click: answer(false) }, "Leave me out"),
        el("button", { class: "button button-choice", type: "button", id: "notice-yes", on_click: answer(true) }, mode === "explicit" ? "I agree" : "Understood, I am in"),
      ],
      on_close: () => {
        this.#open = null;
        this.#next();
      },
    });
    this.#open = { notice, dialog };
  }

  #lead({ sites }, uses) {
    const verbs = uses.map(({ use, doing }) => (use === "record" ? `It is recorded by ${site_names(sites)}.` : `It is ${doing} on ${site_names(sites)}.`));
    return verbs.join(" ");
  }

  async #answer(notice, agreed) {
    const { dialog } = this.#open;
    for (const button of dialog.element.querySelectorAll("button")) button.disabled = true;
    try {
      // In a notice room the acceptance of the terms is the yes; only a no needs words.
      if (!agreed || this.#room.mode === "explicit") {
        await this.#room.consent(Object.fromEntries(notice.uses.map((use) => [use, agreed])));
      }
      await this.#room.acknowledge(notice.notice);
      dialog.close();
    } catch (error) {
      for (const button of dialog.element.querySelectorAll("button")) button.disabled = false;
      toast(error.reason ?? error.message, { kind: "error" });
    }
  }

  // A recording that has ended needs no answer any more.
  #drop_over() {
    const running = new Set(this.#room.activities.map(({ id }) => id));
    this.#queue = this.#queue.filter(({ activity }) => running.has(activity));
    if (this.#open && !running.has(this.#open.notice.activity)) this.#open.dialog.close();
  }
}

function media_words(uses) {
  const words = { audio: "voice", video: "picture", chat: "chat lines" };
  const media = new Set(uses.flatMap(({ media: all }) => all));
  return ["video", "audio", "chat"].filter((one) => media.has(one)).map((one) => words[one]);
}
