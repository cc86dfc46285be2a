import { Data } from "./data.js";
import { Emitter } from "./emitter.js";
import { encodings_of, lowered } from "./encodings.js";
import { ParleyError } from "./errors.js";
import { Serial } from "./serial.js";

// An ICE restart costs one exchange, and what still works goes on meanwhile.
const DISCONNECTED_GRACE_MS = 250;
const RESTART_GRACE_MS = 8000;
const SOURCE_WORDS = { mic: "sound", camera: "video", screen: "a shared screen", screen_audio: "a shared screen's sound" };

/** Send an SVC encoding up to a spatial layer alone, or all of it: without negotiation, where the browser can. */
async function set_spatial(sender, full, spatial) {
  const parameters = sender.getParameters();
  const [encoding] = parameters.encodings;
  const wanted = lowered(full, spatial);
  if (!encoding?.scalabilityMode || encoding.scalabilityMode === wanted.scalabilityMode) return;
  Object.assign(encoding, wanted);
  await sender.setParameters(parameters);
}

/** Let the encodings of a sender send for which `is_wanted` is true, and no others. */
async function set_active(sender, is_wanted) {
  const parameters = sender.getParameters();
  if (parameters.encodings.every((encoding) => encoding.active === is_wanted(encoding))) return;
  for (const encoding of parameters.encodings) encoding.active = is_wanted(encoding);
  await sender.setParameters(parameters);
}

/**
 * The publish peer connection: this side offers. It restarts ICE when the path breaks, and is rebuilt when that does not help.
 *
 * A *sending* is {source, media, transceiver, track, options}: one own track; `track` is the server's number, null until negotiated;
 * `media` may be null while a camera is off. Events: `state` (RTCPeerConnectionState), `published` {source, track}, `failed` ParleyError.
 */
export class Publisher extends Emitter {
  /** The data channels of this connection. */
  data = new Data();

  #send_publish;
  #ice_servers;
  #connection = null;
  #steps = new Serial();
  #sendings = new Map();
  #timer = null;
  #closed = false;

  /** `send_publish({sdp, sources})` makes the protocol's publish call. */
  constructor(send_publish, ice_servers) {
    super();
    this.#send_publish = send_publish;
    this.#ice_servers = ice_servers;
  }

  /** The sending of a source, or undefined. */
  sending(source) {
    return this.#sendings.get(source);
  }

  /** All sendings. */
  sendings() {
    return [...this.#sendings.values()];
  }

  /** Whether media can still flow on this connection without help (true before it exists). */
  is_alive() {
    return !["failed", "closed"].includes(this.#connection?.connectionState);
  }

  /** Restart ICE, and rebuild when that does not help. */
  restart() {
    if (this.#connection) this.#mend(this.#connection);
  }

  /** getStats of the peer connection, empty before it exists. */
  async stats() {
    return this.#connection ? [...(await this.#connection.getStats()).values()] : [];
  }

  /** Publish [{media, source, options: {simulcast, scalability_mode, max_bitrate_bps}}] in one negotiation. Throws ParleyError and leaves what was published before as it was. */
  add(wanted) {
    return this.#steps.run(async () => {
      const taken = wanted.find(({ source }) => this.#sendings.has(source));
      if (taken) throw new ParleyError("conflict", `${taken.source} is already published`);
      this.#connection ??= this.#connect();
      const added = wanted.map(({ media, source, options = {} }) => ({ media, source, options, transceiver: null, track: null }));
      for (const sending of added) {
        this.#sendings.set(sending.source, sending);
        this.#attach(sending);
      }
      try {
        await this.#negotiate();
      } catch (error) {
        for (const { source } of added) this.#sendings.delete(source);
        await this.#undo(added);
        throw error;
      }
    });
  }

  /** Send other media (or null) in the place of a source's, without negotiation. */
  async replace(source, media) {
    const sending = this.#sendings.get(source);
    if (!sending) throw new ParleyError("not_found", `${source} is not published`);
    sending.media = media;
    await sending.transceiver?.sender.replaceTrack(media);
  }

  /** Let only these encodings of a track send, and one without a rid if it is wanted, up to a spatial layer (null: all); the others rest until they are wanted again. */
  want_layers(track, rids, wanted, spatial = null) {
    return this.#steps.run(async () => {
      const sending = this.sendings().find((one) => one.track === track);
      const sender = sending?.transceiver?.sender;
      if (!sender) return;
      await set_active(sender, ({ rid }) => (rid ? rids.includes(rid) : wanted));
      if (wanted && sending.options.scalability_mode) await set_spatial(sender, encodings_of(sending, "video")[0], spatial);
    });
  }

  /** End a source. */
  remove(source) {
    return this.#steps.run(async () => {
      const sending = this.#sendings.get(source);
      if (!sending) return;
      this.#sendings.delete(source);
      await this.#leave(sending.transceiver);
      await this.#negotiate();
    });
  }

  /** Make a new peer connection and publish everything on it again. */
  rebuild() {
    return this.#steps.run(() => this.#rebuild());
  }

  /** Open the data channels: on a new connection, since what runs without them has let go of what they need. */
  open_data() {
    return this.#steps.run(async () => {
      if (this.data.is_on) return;
      this.data.is_on = true;
      try {
        await this.#rebuild();
      } catch (error) {
        this.data.is_on = false;
        throw error;
      }
    });
  }

  /** End the peer connection. */
  close() {
    this.#closed = true;
    this.#drop();
    this.#sendings.clear();
  }

  async #rebuild() {
    this.#drop();
    if ((!this.#sendings.size && !this.data.is_on) || this.#closed) return;
    this.#connection = this.#connect();
    for (const sending of this.#sendings.values()) this.#attach(sending);
    await this.#negotiate();
  }

  #connect() {
    const connection = new RTCPeerConnection({ iceServers: this.#ice_servers, bundlePolicy: "max-bundle" });
    if (this.data.is_on) this.data.attach(connection);
    connection.onconnectionstatechange = () => this.#watch(connection);
    return connection;
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#connection) return;
    this.#connection.onconnectionstatechange = null;
    this.#connection.close();
    this.#connection = null;
  }

  #attach(sending) {
    const { source, media } = sending;
    const kind = source === "mic" || source === "screen_audio" ? "audio" : "video";
    sending.transceiver = this.#connection.addTransceiver(media ?? kind, { direction: "sendonly", sendEncodings: encodings_of(sending, kind) });
  }

  // The next track takes the section of a stopped one, so that the description does not grow; the first section carries the transport of all.
  // None begins again on its old SSRCs: browsers say once which layer (RID) each of them is, and the server knows it of that track alone.
  async #leave(transceiver) {
    if (transceiver !== this.#connection.getTransceivers()[0]) {
      transceiver.stop();
      return;
    }
    transceiver.direction = "inactive";
    await transceiver.sender.replaceTrack(null);
  }

  async #negotiate({ restart = false } = {}) {
    const connection = this.#connection;
    if (restart) connection.restartIce();
    await connection.setLocalDescription(await connection.createOffer());
    const sources = {};
    for (const { transceiver, source } of this.#sendings.values()) sources[transceiver.mid] = source;
    const { sdp, tracks } = await this.#send_publish({ sdp: connection.localDescription.sdp, sources });
    await connection.setRemoteDescription({ type: "answer", sdp });
    const numbers = new Map(tracks.map(({ mid, track }) => [mid, track]));
    for (const sending of this.#sendings.values()) {
      const track = numbers.get(sending.transceiver.mid) ?? null;
      if (track === sending.track && track !== null) continue;
      sending.track = track;
      if (track !== null) this.emit("published", { source: sending.source, track });
      else this.#rejected(sending);
    }
  }

  #rejected(sending) {
    if (sending.is_rejected) return;
    sending.is_rejected = true;
    const { source } = sending;
    this.emit("failed", new ParleyError("unsupported_codec", `This room allows no format that your browser can send as ${SOURCE_WORDS[source]}: others do not get it.`));
  }

  async #undo(added) {
    if (!this.#sendings.size && !this.data.is_on) {
      this.#drop();
      return;
    }
    if (this.#connection.signalingState === "have-local-offer") await this.#connection.setLocalDescription({ type: "rollback" });
    for (const { transceiver } of added) {
      if (transceiver.mid === null) transceiver.stop();
      else transceiver.direction = "inactive";
    }
  }

  #watch(connection) {
    this.emit("state", connection.connectionState);
    clearTimeout(this.#timer);
    this.#timer = null;
    if (connection.connectionState === "failed") this.#mend(connection);
    if (connection.connectionState === "disconnected") this.#timer = setTimeout(() => this.#mend(connection), DISCONNECTED_GRACE_MS);
  }

  async #mend(connection) {
    try {
      await this.#steps.run(async () => {
        if (connection === this.#connection) await this.#negotiate({ restart: true });
      });
      if (connection !== this.#connection) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        if (connection.connectionState !== "connected") this.rebuild().catch((error) => this.emit("failed", error));
      }, RESTART_GRACE_MS);
    } catch (error) {
      // While the WebSocket is away nothing can be negotiated; the room sees to it after it has resumed.
      if (error.code !== "disconnected") this.emit("failed", error);
    }
  }
}
