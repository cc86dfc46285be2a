import { Emitter } from "./emitter.js";
import { Serial } from "./serial.js";

// An ICE restart costs one exchange, and what still works goes on meanwhile.
const DISCONNECTED_GRACE_MS = 250;

/**
 * The subscribe peer connection: the server offers, this side answers.
 *
 * Events: `subscribed` {track, participant, kind, source, media}, `unsubscribed` (the same), `state`, `failed` (ask for subscribe_restart).
 */
export class Subscriber extends Emitter {
  #send_answer;
  #ice_servers;
  #connection = null;
  #steps = new Serial();
  #by_mid = new Map();
  #timer = null;
  #wait_ms = null;

  /** `send_answer({version, sdp})` makes the protocol's subscribe_answer call. */
  constructor(send_answer, ice_servers) {
    super();
    this.#send_answer = send_answer;
    this.#ice_servers = ice_servers;
  }

  /** What is received now, as `subscribed` told it. */
  received() {
    return [...this.#by_mid.values()];
  }

  /** Whether media can still flow on this connection without help (true before it exists). */
  is_alive() {
    return !["failed", "closed"].includes(this.#connection?.connectionState);
  }

  /** getStats of the peer connection, empty before it exists. */
  async stats() {
    return this.#connection ? [...(await this.#connection.getStats()).values()] : [];
  }

  /** Take one subscribe_offer. Throws what the browser or the server says to it, except that a newer offer is on its way. */
  receive({ version, fresh, sdp, tracks }) {
    return this.#steps.run(async () => {
      if (fresh || !this.#connection) this.#reconnect();
      const connection = this.#connection;
      await connection.setRemoteDescription({ type: "offer", sdp });
      await connection.setLocalDescription(await connection.createAnswer());
      try {
        await this.#send_answer({ version, sdp: connection.localDescription.sdp });
      } catch (error) {
        if (error.code !== "conflict") throw error;
      }
      this.#map(tracks);
    });
  }

  /** Let pictures wait so long for what is sent again; null: as the browser likes. */
  await_repairs(wait_ms) {
    this.#wait_ms = wait_ms;
    this.#have_patience();
  }

  /** Close the peer connection; everything received is unsubscribed. */
  drop() {
    clearTimeout(this.#timer);
    if (this.#connection) {
      this.#connection.onconnectionstatechange = null;
      this.#connection.close();
      this.#connection = null;
    }
    this.#map([]);
  }

  #reconnect() {
    this.drop();
    const connection = new RTCPeerConnection({ iceServers: this.#ice_servers, bundlePolicy: "max-bundle" });
    connection.onconnectionstatechange = () => this.#watch(connection);
    this.#connection = connection;
  }

  #map(tracks) {
    const wanted = new Map(tracks.map((entry) => [entry.mid, entry]));
    for (const [mid, entry] of [...this.#by_mid]) {
      if (wanted.get(mid)?.track === entry.track) continue;
      this.#by_mid.delete(mid);
      this.emit("unsubscribed", entry);
    }
    for (const transceiver of this.#connection?.getTransceivers() ?? []) {
      const entry = wanted.get(transceiver.mid);
      if (!entry || this.#by_mid.has(transceiver.mid)) continue;
      const received = { ...entry, media: transceiver.receiver.track };
      this.#by_mid.set(transceiver.mid, received);
      this.emit("subscribed", received);
    }
    this.#have_patience();
  }

  #have_patience() {
    for (const { receiver } of this.#connection?.getTransceivers() ?? []) {
      if (receiver.track.kind === "video") receiver.jitterBufferTarget = this.#wait_ms;
    }
  }

  #watch(connection) {
    this.emit("state", connection.connectionState);
    clearTimeout(this.#timer);
    if (connection.connectionState === "failed") this.emit("failed");
    if (connection.connectionState === "disconnected") this.#timer = setTimeout(() => this.emit("failed"), DISCONNECTED_GRACE_MS);
  }
}
