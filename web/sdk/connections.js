import { Emitter } from "./emitter.js";
import { OwnMedia } from "./own_media.js";
import { Subscriber } from "./subscriber.js";

const SILENCE_MS = 500;

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
  #is_listening = false;

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

  /** Let received pictures wait so long for what is sent again; null: as the browser likes. */
  await_repairs(wait_ms) {
    this.#subscriber.await_repairs(wait_ms);
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

  /** The network changed: find other paths by an ICE restart of both. */
  restart() {
    this.own.restart();
    this.#restart_subscriber();
  }

  /** There is reason to doubt the paths: restart ICE of those that hear nothing of the server. Browsers notice that only after seconds. */
  async restart_silent() {
    if (this.#is_listening) return;
    this.#is_listening = true;
    const both = [[this.own, () => this.own.restart()], [this.#subscriber, () => this.#restart_subscriber()]];
    // A connection that is closed meanwhile has no statistics, and needs no help.
    await Promise.allSettled(both.map(async ([connection, restart]) => {
      const before = received_bytes(await connection.stats());
      if (before === null) return;
      await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
      const after = received_bytes(await connection.stats());
      if (after !== null && after <= before) restart();
    }));
    this.#is_listening = false;
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

/** What a connection has received on all its paths, feedback and connectivity checks included; null while it has none. */
function received_bytes(rows) {
  const pairs = rows.filter(({ type }) => type === "candidate-pair");
  return pairs.length ? pairs.reduce((sum, { bytesReceived = 0 }) => sum + bytesReceived, 0) : null;
}
