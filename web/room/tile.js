import { el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { hue_of, initials } from "../ui/text.js";

/**
 * One person in the grid: picture or initials, name, state of microphone and connection, and whether they are in what goes out.
 *
 * `on_menu(anchor)` opens the tile's actions; without it there is no button.
 */
export class Tile {
  /** The list item to place. */
  element;
  /** Whether a picture is shown. */
  has_picture = false;

  #video;
  #audio = new Map();
  #mic;
  #out;
  #name;
  #state;
  #menu;
  #on_blocked;

  constructor({ identity, name, is_self = false, on_menu = null, on_blocked = () => {} }) {
    this.#on_blocked = on_blocked;
    this.is_self = is_self;
    this.#video = el("video", { autoplay: true, playsInline: true, muted: true, hidden: true, disablePictureInPicture: true, tabIndex: -1 });
    this.avatar = el("div", { class: "avatar", aria_hidden: "true" }, initials(name));
    this.avatar.style.setProperty("--hue", String(hue_of(identity)));
    this.#name = el("span", { class: "tile-name" });
    this.#mic = el("span", { class: "tile-mic", hidden: true }, icon("mic_off"), el("span", { class: "visually-hidden" }, "microphone off"));
    this.#out = el("span", { class: "tile-out", hidden: true });
    this.#state = el("p", { class: "tile-state", hidden: true });
    const menu = on_menu && el("button", { class: "tile-menu", type: "button", aria_haspopup: "menu", on_click: ({ currentTarget }) => on_menu(currentTarget) }, icon("more"));
    this.#menu = menu;
    this.element = el("li", { class: `tile${is_self ? " tile-self" : ""}`, data_identity: identity },
      this.avatar, this.#video, this.#state, el("div", { class: "tile-label" }, this.#mic, this.#name, this.#out), menu);
    this.rename(name);
  }

  /** Show another screen name. */
  rename(name) {
    this.name = name;
    this.#name.textContent = this.is_self ? `${name} (you)` : name;
    this.avatar.textContent = initials(name);
    this.#video.setAttribute("aria-label", `Picture of ${name}`);
    this.#menu?.setAttribute("aria-label", `Actions for ${name}`);
  }

  /** Show a video track, or the initials for null. */
  show_picture(media, { mirrored = false } = {}) {
    this.has_picture = Boolean(media);
    this.#video.hidden = !media;
    this.#video.classList.toggle("mirrored", mirrored);
    const shown = this.#video.srcObject?.getVideoTracks()[0] ?? null;
    if (shown !== media) this.#video.srcObject = media ? new MediaStream([media]) : null;
    if (media) this.#video.play().catch(() => {});
  }

  /** Play an audio track of this person through the chosen speaker. */
  play_sound(key, media, speaker_id) {
    this.stop_sound(key);
    const audio = el("audio", { autoplay: true, data_source: key });
    audio.srcObject = new MediaStream([media]);
    this.#audio.set(key, audio);
    this.element.append(audio);
    this.use_speaker(speaker_id);
    audio.play().catch((error) => error.name === "NotAllowedError" && this.#on_blocked());
  }

  /** Try again to play what the browser held back. */
  resume_sound() {
    for (const audio of this.#audio.values()) audio.play().catch(() => {});
  }

  /** End an audio track. */
  stop_sound(key) {
    const audio = this.#audio.get(key);
    if (!audio) return;
    audio.srcObject = null;
    audio.remove();
    this.#audio.delete(key);
  }

  /** Play through another speaker, where the browser can. */
  use_speaker(id) {
    for (const audio of this.#audio.values()) if (id && audio.setSinkId) audio.setSinkId(id).catch(() => {});
  }

  /** Silence this person for this listener only. */
  set hushed(hushed) {
    this.is_hushed = hushed;
    for (const audio of this.#audio.values()) audio.muted = hushed;
  }

  /** Show what is known of them: mic_on, speaking, suspended, left_out (words, or null when they are in everything that goes out). */
  show({ mic_on, speaking, suspended, left_out }) {
    if (mic_on !== undefined) this.#mic.hidden = mic_on;
    if (speaking !== undefined) this.element.classList.toggle("speaking", speaking);
    if (suspended !== undefined) {
      this.#state.hidden = !suspended;
      this.#state.textContent = suspended ? "Reconnecting" : "";
      this.element.classList.toggle("suspended", suspended);
    }
    if (left_out !== undefined) {
      this.#out.hidden = !left_out;
      fill(this.#out, left_out ? [icon("shield_off"), el("span", { class: "visually-hidden" }, left_out)] : []);
      this.#out.title = left_out ?? "";
    }
  }

  /** Remove it and end its media. */
  close() {
    for (const key of [...this.#audio.keys()]) this.stop_sound(key);
    this.#video.srcObject = null;
    this.element.remove();
  }
}
