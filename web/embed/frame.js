import { Emitter } from "../sdk/emitter.js";

const COMMANDS = new Set(["play", "stop", "mute", "unmute"]);

/**
 * Talks with the page that frames the player, when its origin is one of the partner's.
 *
 * Out: `{parley: 1, type: "state", state, reason}` and `{parley: 1, type: "muted", muted}`. In: `{parley: 1, command}` with `play`, `stop`,
 * `mute` or `unmute`; each is an event of this object. The newest state is told again to whoever sends `{parley: 1, command: "hello"}`.
 */
export class Frame extends Emitter {
  #window;
  #origins = new Set();
  #newest = new Map();

  constructor(window) {
    super();
    this.#window = window;
    window.addEventListener("message", (event) => this.#heard(event));
  }

  /** Whose pages may talk to the player. */
  allow(origins) {
    this.#origins = new Set(origins);
    for (const message of this.#newest.values()) this.#send(message);
  }

  /** Tell the page. */
  tell(message) {
    this.#newest.set(message.type, message);
    this.#send(message);
  }

  // To an origin that is not the page's the browser delivers nothing.
  #send(message) {
    if (this.#window.parent === this.#window) return;
    for (const origin of this.#origins) this.#window.parent.postMessage({ parley: 1, ...message }, origin);
  }

  #heard({ source, origin, data }) {
    if (source !== this.#window.parent || !this.#origins.has(origin) || data?.parley !== 1) return;
    if (data.command === "hello") for (const message of this.#newest.values()) this.#send(message);
    else if (COMMANDS.has(data.command)) this.emit(data.command);
  }
}
