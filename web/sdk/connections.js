import { Emitter } from "./emitter.js";
import { OwnMedia } from "./own_media.js";
import { Subscriber } from "./subscriber.js";

/**
 * Both peer connections of a participant: the one that sends (`own`) and the one that receives.
 *
 * Events: OwnMedia's `own_published` and `own_muted`; `track_subscribed`, `track_unsubscribed`, `media_state` {direction, state}, `data`, `data_state` {open}, `error` ParleyError.
 */
export class Connections extends Emitter {
  /** What this participant sends. */
  own;

  #call;
  #subscriber;

  /** `call(method, params)` calls the server. */
  constructor(call, ice_servers) {
    super();
    this.#call = call;
    this.own = new OwnMedia(call, ice_servers);
    for (const name of ["own_published", "own_muted"]) this.own.on(name, (payload) => this.emit(name, payload));
    this.own.on("failed", (error) => this.emit("error", error));
    this.own.data.on("data", (message) => this.emit("data", message));
    this.own.data.on("state", (state) => this.emit("data_state", state));
    this.own.data.on("failed", (error) => this.emit("error", error));
    this.own.on("state", (state) => this.emit("media_state", { direction: "send", state }));
    this.#subscriber = new Subscriber((answer) => call("subscribe_answer", answer), ice_servers);
    this.#subscriber.on("subscribed", (received) => this.emit("track_subscribed", received));
    this.#subscriber.on("unsubscribed", (received) => this.emit("track_unsubscribed", received));
    this.#subscriber.on("state", (state) => this.emit("media_state", { direction: "receive", state }));
    this.#subscriber.on("failed", () => this.#restart_subscriber());
  }

  /** What arrives now: [{track, participant, kind, source, media}]. */
  received() {
    return this.#subscriber.received();
  }

  /** Whether media can still flow both ways without help. */
  is_alive() {
    return this.own.is_alive() && this.#subscriber.is_alive();
  }

  /** getStats of both, one list each. */
  stats() {
    return Promise.all([this.own.stats(), this.#subscriber.stats()]);
  }

  /** Take one subscribe_offer of the server. */
  receive(offer) {
    this.#subscriber.receive(offer).catch((error) => this.emit("error", error));
  }

  /** The server has dropped its side of both: publish on a new one; its offer makes the other. */
  renew() {
    this.#subscriber.drop();
    this.own.rebuild();
  }

  /** The network changed, or nothing could be negotiated for a while: find other paths by an ICE restart of both, or of those that are not connected. */
  restart({ only_broken = false } = {}) {
    if (!only_broken || this.own.is_broken()) this.own.restart();
    if (!only_broken || this.#subscriber.is_broken()) this.#restart_subscriber();
  }

  /** The server's side of one ended: `publish` or `subscribe`. */
  peer_closed(peer) {
    if (peer === "publish") this.own.rebuild();
    else this.#restart_subscriber();
  }

  /** End both. */
  close() {
    this.own.close();
    this.#subscriber.drop();
  }

  #restart_subscriber() {
    this.#call("subscribe_restart").catch((error) => this.emit("error", error));
  }
}
