import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { open_menu } from "../ui/menu.js";
import { toast } from "../ui/toast.js";
import { show_toggle } from "./door.js";

/** The row of buttons under the stage. */
export class Controls {
  #room;
  #media;
  #studio;
  #actions;
  #buttons = {};

  /** `actions`: {side(panel), consent(), settings(), leave()}. */
  constructor({ room, media, studio, actions }) {
    this.#room = room;
    this.#media = media;
    this.#studio = studio;
    this.#actions = actions;
    this.#build();
    for (const name of ["activities", "permissions", "consent", "notice"]) room.on(name, () => this.show());
    media.on("changed", () => this.show());
    this.show();
  }

  /** Draw every button's state again. */
  show() {
    const { mic, screen, mic_on, camera_on, camera, enforced_mute } = this.#media;
    const { mic: mic_button, camera: camera_button, share, record, pause, live, consent } = this.#buttons;
    show_toggle(mic_button, { on: mic_on && Boolean(mic), name: "mic", key: "Alt+A", blocked: enforced_mute ? "a moderator muted you" : null });
    show_toggle(camera_button, { on: camera_on && Boolean(camera), name: "camera", key: "Alt+V" });
    const may_publish = this.#room.may("publish");
    for (const one of [mic_button, camera_button, share]) one.hidden = !may_publish;
    mic_button.disabled = enforced_mute;
    label(share, screen ? "screen_off" : "screen", screen ? "Stop sharing" : "Share screen", { pressed: Boolean(screen) });
    share.hidden = !may_publish || !navigator.mediaDevices?.getDisplayMedia;
    record.hidden = !this.#room.may("record");
    const { recording } = this.#studio;
    label(record, "record", recording ? "Stop recording" : "Record", { pressed: Boolean(recording) });
    pause.hidden = !this.#room.may("record") || !recording;
    label(pause, recording?.is_paused ? "play" : "pause", pause_words(recording), { pressed: Boolean(recording?.is_paused) });
    live.hidden = !this.#room.may("broadcast");
    label(live, "live", this.#studio.broadcasts.length ? "On air" : "Go live", { pressed: this.#studio.broadcasts.length > 0 });
    const out = this.#room.activities.some((activity) => this.#room.is_in(activity));
    consent.classList.toggle("is-out-now", out);
    label(consent, "shield", out ? "My consent: on air" : "My consent");
  }

  /** Show how many chat lines are unread. */
  show_unread(count) {
    const badge = this.#buttons.chat.querySelector(".count");
    badge.hidden = count === 0;
    badge.textContent = count > 99 ? "99+" : String(count);
    this.#buttons.chat.setAttribute("aria-label", count ? `Chat, ${count} unread` : "Chat");
  }

  /** Show which side panel is open (`chat`, `people` or null). */
  show_side(panel) {
    for (const name of ["chat", "people"]) this.#buttons[name].setAttribute("aria-expanded", String(panel === name));
  }

  #build() {
    const add = (group, name, run, properties = {}) => {
      const button = el("button", { class: `control control-${name}`, type: "button", id: `control-${name}`, on_click: run, ...properties });
      this.#buttons[name] = button;
      by_id(`controls-${group}`).append(button);
      return button;
    };
    add("media", "mic", guarded(() => this.#media.set_mic(!this.#media.mic_on)), { class: "control round control-mic" });
    add("media", "camera", guarded(() => this.#media.set_camera(!this.#media.camera_on)), { class: "control round control-camera" });
    add("media", "share", guarded(() => this.#toggle_screen()));
    add("room", "record", () => this.#studio.toggle_recording());
    add("room", "pause", () => this.#studio.toggle_pause());
    add("room", "live", () => this.#studio.open());
    add("room", "consent", this.#actions.consent);
    add("room", "chat", () => this.#actions.side("chat"));
    add("room", "people", () => this.#actions.side("people"));
    add("room", "settings", this.#actions.settings);
    add("room", "more", ({ currentTarget }) => this.#open_more(currentTarget), { aria_haspopup: "menu" });
    add("leave", "leave", this.#actions.leave);
    label(this.#buttons.chat, "chat", "Chat");
    this.#buttons.chat.append(el("span", { class: "count", hidden: true, aria_hidden: "true" }));
    label(this.#buttons.people, "people", "People");
    label(this.#buttons.settings, "settings", "Devices");
    label(this.#buttons.more, "more", "More");
    label(this.#buttons.leave, "leave", "Leave");
  }

  // On a narrow screen the less used controls are in here.
  #open_more(anchor) {
    const items = [];
    const { screen } = this.#media;
    if (!this.#buttons.share.hidden) items.push({ icon: "screen", text: screen ? "Stop sharing" : "Share screen", action: guarded(() => this.#toggle_screen()) });
    if (this.#room.may("record")) items.push({ icon: "record", text: this.#studio.recording ? "Stop recording" : "Record", action: () => this.#studio.toggle_recording() });
    const { recording } = this.#studio;
    if (this.#room.may("record") && recording) items.push({ icon: recording.is_paused ? "play" : "pause", text: pause_words(recording), action: () => this.#studio.toggle_pause() });
    if (this.#room.may("broadcast")) items.push({ icon: "live", text: this.#studio.broadcasts.length ? "On air" : "Go live", action: () => this.#studio.open() });
    items.push({ icon: "people", text: "People", action: () => this.#actions.side("people") });
    items.push({ icon: "settings", text: "Devices", action: this.#actions.settings });
    open_menu(anchor, "More", items);
  }

  async #toggle_screen() {
    if (this.#media.screen) {
      await this.#media.stop_screen();
      return;
    }
    try {
      await this.#media.share_screen();
    } catch (error) {
      if (error.code !== "denied") throw error;
    }
  }
}

// A button whose text tells what a click does; `pressed` colours it, without saying the same twice.
function label(button, name, text, { pressed = false } = {}) {
  const count = button.querySelector(".count");
  fill(button, icon(name), el("span", { class: "control-text" }, text));
  if (count) button.append(count);
  button.setAttribute("aria-label", text);
  button.title = text;
  button.classList.toggle("pressed", pressed);
}

function pause_words(recording) {
  return recording?.is_paused ? "Resume recording" : "Pause recording";
}

function guarded(action) {
  return async () => {
    try {
      await action();
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  };
}
