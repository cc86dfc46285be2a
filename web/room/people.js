import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { hue_of, initials, use_words } from "../ui/text.js";

/** The list of everyone in the room, with what goes out of each person. */
export class People {
  #room;
  #media;
  #on_menu;

  constructor({ room, media, on_menu }) {
    this.#room = room;
    this.#media = media;
    this.#on_menu = on_menu;
    const names = ["participant_joined", "participant_left", "participant_updated", "track_published", "track_unpublished", "track_muted", "activities", "consent", "state"];
    for (const name of names) room.on(name, () => this.show());
    media.on("changed", () => this.show());
    this.show();
  }

  /** Draw the list again. */
  show() {
    const { self, participants } = this.#room;
    const rows = [
      this.#row({ ...self, tracks: null }, this.#media.mic_on, null),
      ...[...participants.values()].map((one) => this.#row(one, is_mic_on(one), one)),
    ];
    fill(by_id("people"), rows);
    const count = participants.size + 1;
    by_id("tab-people").textContent = `People (${count})`;
  }

  #row({ identity, name, state, consent }, mic_on, participant) {
    const avatar = el("span", { class: "avatar avatar-small", aria_hidden: "true" }, initials(name));
    avatar.style.setProperty("--hue", String(hue_of(identity)));
    const badges = this.#room.activities.map(({ kind }) => kind).filter((kind, at, all) => all.indexOf(kind) === at).map((kind) => this.#badge(kind, consent?.[kind]));
    return el("li", { class: "person", data_identity: identity },
      avatar,
      el("div", { class: "person-words" },
        el("p", { class: "person-name" }, participant ? name : `${name} (you)`),
        el("p", { class: "person-state" }, state === "suspended" ? "Reconnecting" : badges)),
      el("span", { class: mic_on ? "person-mic" : "person-mic person-mic-off" }, icon(mic_on ? "mic" : "mic_off"), el("span", { class: "visually-hidden" }, mic_on ? "microphone on" : "microphone off")),
      el("button", { class: "icon-button", type: "button", aria_haspopup: "menu", aria_label: `Actions for ${name}`, on_click: ({ currentTarget }) => this.#on_menu(currentTarget, participant) }, icon("more")));
  }

  #badge(kind, state) {
    const { noun } = use_words(kind);
    const is_in = state === "granted";
    return el("span", { class: is_in ? "badge badge-in" : "badge" }, is_in ? `In the ${noun}` : `Not in the ${noun}`);
  }
}

/** Whether a participant's microphone is heard. */
function is_mic_on({ tracks }) {
  return [...tracks.values()].some(({ source, muted, enforced }) => source === "mic" && !muted && !enforced);
}
