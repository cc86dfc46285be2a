import { Emitter } from "../sdk/emitter.js";
import { delay_ms } from "../sdk/backoff.js";

/**
 * Plays one source after another: `make_source(attempt)` makes a source (see WhepSource), or throws as one; when one is lost another is made, with growing waits.
 *
 * `over` ends the player for good, at once: the source's own word for "may not be shown any more" (403, 410).
 * Events: `state` {state: connecting, playing, ended; reason}, `stream`, `chat`, `chat_deleted`, `chat_over`: what a source told of before is taken back by nobody any more.
 */
export class Player extends Emitter {
  #make_source;
  #at = 0;
  #run = 0;
  #source = null;
  #attempt = 0;
  #timer = null;
  state = "idle";

  constructor(make_source) {
    super();
    this.#make_source = make_source;
  }

  /** Start, or start again after the end. */
  play() {
    if (this.#source) return;
    clearTimeout(this.#timer);
    this.#set("connecting");
    this.#next();
  }

  /** End what plays. */
  stop() {
    this.#run++;
    clearTimeout(this.#timer);
    if (this.#source) this.#source.stop();
    else if (this.state !== "ended") this.#set("ended", "stopped");
  }

  async #next() {
    const run = ++this.#run;
    let source;
    try {
      source = await this.#make_source(this.#at);
    } catch (error) {
      if (run === this.#run) this.#ended(["forbidden", "unauthorized", "not_found", "gone"].includes(error.code) ? "over" : "lost", error);
      return;
    }
    if (run !== this.#run) return;
    this.#source = source;
    source.on("stream", (stream) => {
      this.#attempt = 0;
      this.emit("stream", stream);
      this.#set("playing");
    });
    for (const name of ["chat", "chat_deleted"]) source.on(name, (line) => this.emit(name, line));
    source.on("dark", (is_dark) => this.#set(is_dark ? "connecting" : "playing"));
    source.on("ended", ({ reason, error }) => this.#ended(reason, error));
    source.start().catch(() => {});
  }

  #ended(reason, error) {
    this.#source = null;
    this.emit("chat_over");
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
