import { by_id, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { duration } from "../ui/text.js";
import { recall, remember } from "../ui/storage.js";
import { Emitter } from "../sdk/emitter.js";

const JUMP_MS = 10_000;
const SOUND = "parley.player.sound";
const TYPES = {
  mp4: 'video/mp4; codecs="avc1.640028, mp4a.40.2"',
  webm: 'video/webm; codecs="vp9, opus"',
};

/** Whether this browser plays films of a format (`mp4`, `webm`). */
export function plays(format) {
  return Boolean(TYPES[format]) && document.createElement("video").canPlayType(TYPES[format]) !== "";
}

/**
 * The picture with its controls.
 *
 * Events: `time` {at_ms, loaded_ms}, `failed` (the film does not load, or no longer). Keys work anywhere on the page but in fields: space and K
 * play, J and L jump, M mutes, F fills the screen.
 */
export class Player extends Emitter {
  #video = by_id("video");
  #duration_ms = 0;
  #wanted_ms = null;

  constructor() {
    super();
    this.#dress();
    this.#listen();
    addEventListener("keydown", (event) => this.#key(event));
  }

  /** Where it is. */
  get at_ms() {
    return this.#wanted_ms ?? this.#video.currentTime * 1000;
  }

  /** Show a film from a time on; `is_on` plays it at once. */
  load({ url, poster_url, duration_ms }, { at_ms = 0, is_on = false } = {}) {
    this.#duration_ms = duration_ms;
    this.#wanted_ms = at_ms > 0 ? at_ms : null;
    by_id("length").textContent = duration(duration_ms);
    by_id("bar").hidden = false;
    by_id("cover").hidden = true;
    by_id("player").dataset.state = "ready";
    if (poster_url) this.#video.poster = poster_url;
    this.#video.src = url;
    this.#show_state();
    if (is_on) this.play();
  }

  /** Where the film comes from now; it goes on as it was. */
  renew(url) {
    const is_on = !this.#video.paused;
    this.#wanted_ms = this.at_ms;
    this.#video.src = url;
    if (is_on) this.play();
  }

  /** Nothing to show: the cover says why. */
  unload() {
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    by_id("bar").hidden = true;
    by_id("cover").hidden = false;
    by_id("big-play").hidden = true;
    by_id("player").dataset.state = "empty";
  }

  /** Go to a time. */
  seek(at_ms) {
    const to_ms = Math.min(Math.max(0, at_ms), this.#duration_ms);
    // Before the film is known a place can only be remembered.
    if (this.#video.readyState < HTMLMediaElement.HAVE_METADATA) this.#wanted_ms = to_ms;
    else this.#video.currentTime = to_ms / 1000;
    this.#tell();
  }

  play() {
    this.#video.play().catch(() => this.#show_state());
  }

  #toggle() {
    if (this.#video.paused) this.play();
    else this.#video.pause();
  }

  #dress() {
    fill(by_id("back"), icon("back"));
    fill(by_id("forward"), icon("forward"));
    fill(by_id("full"), icon("full"));
    fill(by_id("big-play"), icon("play"));
    const sound = recall("localStorage", SOUND) ?? {};
    this.#video.volume = sound.volume ?? 1;
    this.#video.muted = Boolean(sound.muted);
    this.#show_sound();
  }

  #listen() {
    const video = this.#video;
    for (const [id, run] of Object.entries({
      "play": () => this.#toggle(), "big-play": () => this.play(), "back": () => this.seek(this.at_ms - JUMP_MS), "forward": () => this.seek(this.at_ms + JUMP_MS),
      "mute": () => { video.muted = !video.muted; }, "full": () => this.#fill_screen(),
    })) by_id(id).addEventListener("click", run);
    by_id("volume").addEventListener("input", ({ target }) => {
      video.volume = Number(target.value);
      video.muted = false;
    });
    by_id("rate").addEventListener("change", ({ target }) => { video.playbackRate = Number(target.value); });
    video.addEventListener("click", () => this.#toggle());
    video.addEventListener("loadedmetadata", () => {
      video.playbackRate = Number(by_id("rate").value);
      if (this.#wanted_ms !== null) video.currentTime = this.#wanted_ms / 1000;
      this.#wanted_ms = null;
    });
    for (const name of ["play", "pause", "ended"]) video.addEventListener(name, () => this.#show_state());
    for (const name of ["timeupdate", "seeking", "seeked", "progress"]) video.addEventListener(name, () => this.#tell());
    for (const name of ["waiting", "playing", "seeked", "canplay"]) video.addEventListener(name, () => by_id("player").classList.toggle("is-waiting", name === "waiting"));
    video.addEventListener("volumechange", () => this.#show_sound());
    video.addEventListener("error", () => video.hasAttribute("src") && this.emit("failed", { code: video.error?.code }));
  }

  #tell() {
    const { buffered, currentTime } = this.#video;
    let loaded = currentTime;
    for (let at = 0; at < buffered.length; at++) if (buffered.start(at) <= currentTime + 0.2) loaded = Math.max(loaded, buffered.end(at));
    by_id("now").textContent = duration(this.at_ms);
    this.emit("time", { at_ms: this.at_ms, loaded_ms: loaded * 1000 });
  }

  #show_state() {
    const { paused, ended, currentTime } = this.#video;
    fill(by_id("play"), icon(paused ? "play" : "pause"));
    by_id("play").setAttribute("aria-label", paused ? "Play" : "Pause");
    by_id("big-play").hidden = !paused || (currentTime > 0 && !ended);
    by_id("player").dataset.state = paused ? "paused" : "playing";
  }

  #show_sound() {
    const { muted, volume } = this.#video;
    fill(by_id("mute"), icon(muted || !volume ? "speaker_off" : "speaker"));
    by_id("mute").setAttribute("aria-label", muted ? "Sound on" : "Mute");
    by_id("volume").value = String(muted ? 0 : volume);
    remember("localStorage", SOUND, { volume, muted });
  }

  #fill_screen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else by_id("player").requestFullscreen?.().catch(() => {});
  }

  #key(event) {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || by_id("bar").hidden) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    const key = event.key.toLowerCase();
    if (key === " " && event.target.closest("button, a, summary")) return;
    const run = {
      " ": () => this.#toggle(), k: () => this.#toggle(), j: () => this.seek(this.at_ms - JUMP_MS), l: () => this.seek(this.at_ms + JUMP_MS),
      m: () => by_id("mute").click(), f: () => this.#fill_screen(),
    }[key];
    if (!run) return;
    event.preventDefault();
    run();
  }
}
