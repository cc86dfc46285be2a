import { Emitter } from "../sdk/emitter.js";
import { delay_ms } from "../sdk/backoff.js";

/**
 * Plays one source after another: each entry of `sources` makes a source (see WhepSource); when one is lost it is tried again with growing waits.
 *
 * `over` ends the player for good, at once: the source's own word for "may not be shown any more" (403, 410).
 * Events: `state` {state: connecting, playing, ended; reason}, `stream`, `chat`.
 */
export class Player extends Emitter {
  #sources;
  #at = 0;
  #source = null;
  #attempt = 0;
  #timer = null;
  state = "idle";

  constructor(sources) {
    super();
    this.#sources = sources;
  }

  /** Start, or start again after the end. */
  play() {
    clearTimeout(this.#timer);
    this.#set("connecting");
    this.#next();
  }

  /** End what plays. */
  stop() {
    clearTimeout(this.#timer);
    this.#source?.stop();
  }

  #next() {
    const source = this.#sources[this.#at % this.#sources.length]();
    this.#source = source;
    source.on("stream", (stream) => {
      this.#attempt = 0;
      this.emit("stream", stream);
      this.#set("playing");
    });
    source.on("chat", (line) => this.emit("chat", line));
    source.on("ended", ({ reason, error }) => this.#ended(reason, error));
    source.start().catch(() => {});
  }

  #ended(reason, error) {
    this.#source = null;
    if (reason !== "lost") {
      this.#set("ended", reason, error);
      return;
    }
    this.#set("connecting");
    this.#at++;
    const wait_ms = Math.max(delay_ms(this.#attempt++, Math.random()), (error?.retry_after_s ?? 0) * 1000);
    this.#timer = setTimeout(() => this.#next(), wait_ms);
  }

  #set(state, reason = null, error = null) {
    this.state = state;
    this.emit("state", { state, reason, error });
  }
}
