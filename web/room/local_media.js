import { Emitter } from "../sdk/emitter.js";
import { LevelMeter, list_devices, open_camera, open_microphone, open_screen } from "../sdk/parley.js";
import { recall, remember } from "../ui/storage.js";

const PREFERENCES = "parley.devices";
const LAYERED_HEIGHT = 360;

/**
 * This person's microphone, camera and screen: what is open, what is on, and its way into the room.
 *
 * Before a room is attached it serves the pre-join preview. Events: `changed` (mic_on, camera_on, screen_on, tracks or devices changed), `problem` {source, error}.
 */
export class LocalMedia extends Emitter {
  mic = null;
  camera = null;
  screen = null;
  mic_on = true;
  camera_on = true;
  enforced_mute = false;
  meter = null;
  devices = { cameras: [], microphones: [], speakers: [] };
  chosen = { camera: null, microphone: null, speaker: null, music: false, ...recall("localStorage", PREFERENCES) };

  #room = null;
  #problems = new Map();

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#refresh());
  }

  /** Open what is on; a device that fails is reported and left off. */
  async open() {
    await Promise.all([this.mic_on && !this.mic && this.#open_mic(), this.camera_on && !this.camera && this.#open_camera()]);
    await this.#refresh();
  }

  /** The last problem with `mic` or `camera`, or null. */
  problem(source) {
    return this.#problems.get(source) ?? null;
  }

  /** Publish what is open into a room that was joined, and follow its mute events. */
  async attach(room) {
    this.#room = room;
    room.on("own_muted", ({ source, muted, enforced }) => {
      if (source === "mic") {
        // A moderator's mute becomes one's own: when it is lifted, the microphone waits for its owner.
        if (enforced && !muted) room.set_muted("mic", true).catch(() => {});
        this.enforced_mute = enforced;
        this.mic_on = !muted && !enforced;
      }
      if (source === "camera" && enforced && this.camera_on) this.set_camera(false);
      this.emit("changed");
    });
    // Publishing that had to wait for an answer to a notice or to the terms.
    room.on("unblocked", () => this.#publish_open().catch((error) => room.emit("error", error)));
    await this.#publish_open();
  }

  /** Open or mute the microphone. */
  async set_mic(on) {
    if (on && !this.mic && !(await this.#open_mic())) return;
    this.mic_on = on;
    if (this.mic) this.mic.enabled = on;
    this.emit("changed");
    if (!this.#room?.may("publish")) return;
    if (this.#is_published("mic")) await this.#room.set_muted("mic", !on);
    else await this.#publish_open();
  }

  /** Start or stop the camera; its light goes out when it is off. */
  async set_camera(on) {
    if (on && !this.camera && !(await this.#open_camera())) return;
    this.camera_on = on;
    if (!on) this.#stop("camera");
    this.emit("changed");
    if (!this.#room?.may("publish")) return;
    if (!this.#is_published("camera")) {
      await this.#publish_open();
      return;
    }
    await this.#room.replace("camera", this.camera);
    await this.#room.set_muted("camera", !on);
  }

  /** Use another camera. */
  async choose_camera(id) {
    this.#choose({ camera: id });
    if (!this.camera_on) return;
    this.#stop("camera");
    if (!(await this.#open_camera())) return;
    this.emit("changed");
    if (this.#is_published("camera")) await this.#room.replace("camera", this.camera);
  }

  /** Use another microphone, or the same with other processing. */
  async choose_microphone(id, { music = this.chosen.music } = {}) {
    this.#choose({ microphone: id, music });
    this.#stop("mic");
    if (!(await this.#open_mic())) return;
    this.mic.enabled = this.mic_on;
    this.emit("changed");
    if (this.#is_published("mic")) await this.#room.replace("mic", this.mic);
  }

  /** Remember the speaker that others are heard through. */
  choose_speaker(id) {
    this.#choose({ speaker: id });
    this.emit("changed");
  }

  /** Start sharing the screen. */
  async share_screen() {
    const { video, audio } = await open_screen();
    try {
      await this.#room.publish(video, "screen");
      if (audio) await this.#room.publish(audio, "screen_audio");
    } catch (error) {
      video.stop();
      audio?.stop();
      throw error;
    }
    this.screen = { video, audio };
    video.addEventListener("ended", () => this.stop_screen());
    this.emit("changed");
  }

  /** End sharing the screen. */
  async stop_screen() {
    if (!this.screen) return;
    const { video, audio } = this.screen;
    this.screen = null;
    video.stop();
    audio?.stop();
    this.emit("changed");
    if (this.#room.state === "closed") return;
    await this.#room.unpublish("screen");
    if (audio) await this.#room.unpublish("screen_audio");
  }

  /** Stop all devices. */
  close() {
    this.screen?.video.stop();
    this.screen?.audio?.stop();
    this.screen = null;
    this.#stop("mic");
    this.#stop("camera");
  }

  #is_published(source) {
    return this.#room?.published.some((one) => one.source === source) ?? false;
  }

  // Publish whatever is open and is not published yet.
  async #publish_open() {
    if (!this.#room.may("publish")) return;
    // A small picture is not worth several encodings.
    const simulcast = (this.camera?.getSettings().height ?? 0) >= LAYERED_HEIGHT;
    const open = [
      { media: this.mic, source: "mic", muted: !this.mic_on },
      { media: this.camera, source: "camera", options: { simulcast } },
    ];
    const wanted = open.filter(({ media, source }) => media && !this.#is_published(source));
    if (wanted.length) await this.#room.publish_all(wanted);
  }

  async #open_mic() {
    return this.#open("mic", () => open_microphone(this.chosen.microphone, { music: this.chosen.music }));
  }

  async #open_camera() {
    return this.#open("camera", () => open_camera(this.chosen.camera));
  }

  async #open(source, opening) {
    try {
      this[source] = await this.#or_any(source, opening);
      this.#problems.delete(source);
    } catch (error) {
      this[`${source}_on`] = false;
      this.#problems.set(source, error);
      this.emit("problem", { source, error });
      this.emit("changed");
      return false;
    }
    const media = this[source];
    media.addEventListener("ended", () => this[source] === media && this.#unplugged(source));
    if (source === "mic") this.meter = new LevelMeter(media);
    this.emit("changed");
    this.#refresh();
    return true;
  }

  // A device that was chosen earlier may be gone: then any other serves.
  async #or_any(source, opening) {
    try {
      return await opening();
    } catch (error) {
      const key = source === "mic" ? "microphone" : "camera";
      if (error.code !== "no_device" || !this.chosen[key]) throw error;
      this.#choose({ [key]: null });
      return opening();
    }
  }

  #unplugged(source) {
    this.#stop(source);
    this.emit("problem", { source, error: { reason: source === "mic" ? "Your microphone was unplugged." : "Your camera was unplugged." } });
    if (source === "mic") this.set_mic(false).catch(() => {});
    else this.set_camera(false).catch(() => {});
  }

  #stop(source) {
    this[source]?.stop();
    this[source] = null;
    if (source === "mic") {
      this.meter?.close();
      this.meter = null;
    }
  }

  #choose(change) {
    Object.assign(this.chosen, change);
    remember("localStorage", PREFERENCES, this.chosen);
  }

  async #refresh() {
    this.devices = await list_devices();
    this.emit("changed");
  }
}
