import { Emitter } from "./emitter.js";
import { add_readings, grade, read_stats } from "./quality.js";

const PING_EVERY_MS = 10_000;
const PING_TIMEOUT_MS = 8_000;
// There is reason to doubt the path: whether the WebSocket came through shows quickly.
const BACK_TIMEOUT_MS = 2_500;
const STATS_EVERY_MS = 3_000;

/**
 * Watches a connection while it stands: asks the server for a sign of life, and measures the media.
 *
 * Events: `dead` (no sign of life), `back` (the browser's network is back, and the server answers), `quality` (see quality.js).
 */
export class Watch extends Emitter {
  #ping;
  #stats;
  #timers = [];
  #reading = null;

  /** `ping({timeout_ms})` makes the protocol's ping call; `stats()` resolves with a list of statistics, one per peer connection. */
  constructor({ ping, stats }) {
    super();
    this.#ping = ping;
    this.#stats = stats;
  }

  /** Begin, or begin again. */
  start() {
    this.stop();
    this.#timers = [setInterval(() => this.#look(PING_TIMEOUT_MS), PING_EVERY_MS), setInterval(() => this.#measure(), STATS_EVERY_MS)];
    globalThis.addEventListener?.("online", this.#online);
  }

  /** Stop. */
  stop() {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    globalThis.removeEventListener?.("online", this.#online);
  }

  /** Media is lost: whether the WebSocket is too. */
  doubt() {
    return this.#look(BACK_TIMEOUT_MS);
  }

  #online = async () => {
    if (await this.#look(BACK_TIMEOUT_MS)) this.emit("back");
  };

  async #look(timeout_ms) {
    try {
      await this.#ping({ timeout_ms });
      return true;
    } catch (error) {
      // A WebSocket over a dead path stays open for minutes; a missing answer is a loss.
      if (error.code === "timeout" && this.#timers.length) this.emit("dead");
      return false;
    }
  }

  async #measure() {
    const now = add_readings((await this.#stats()).map(read_stats));
    if (this.#reading) this.emit("quality", grade(this.#reading, now));
    this.#reading = now;
  }
}
