import { recall, remember } from "../ui/storage.js";

/** One's place in a room over a reload of the page: the resume secret, and what was on. */
export class Place {
  #key;

  constructor(room) {
    this.#key = `parley.place.${room}`;
  }

  /** {secret, name, mic_on, camera_on} when this load is a reload within the grace time, else null; it serves once. */
  take() {
    const kept = recall("sessionStorage", this.#key);
    remember("sessionStorage", this.#key, null);
    const is_reload = performance.getEntriesByType("navigation")[0]?.type === "reload";
    return is_reload && kept && Date.now() < kept.until_ms ? kept : null;
  }

  /** Keep the place while the room goes on; called when the page is hidden or the secret changed. */
  keep(room, media) {
    if (room.state === "closed" || !room.resume_secret) return;
    remember("sessionStorage", this.#key, {
      secret: room.resume_secret,
      name: room.self.name,
      publishing: room.published.length > 0,
      mic_on: media.mic_on && Boolean(media.mic),
      camera_on: media.camera_on && Boolean(media.camera),
      until_ms: Date.now() + room.self.resume_grace_s * 1000,
    });
  }

  /** Give the place up. */
  drop() {
    remember("sessionStorage", this.#key, null);
  }
}
