import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import { Publisher } from "./publisher.js";

const MUST_ANSWER_FIRST = ["notice_required", "terms_required", "age_required"];
const UNMUTED = { muted: false, enforced: false };

/**
 * What this participant sends: its sources, their mutes, and the publish connection that carries them.
 *
 * Events: `own_published` {source, track}, `own_muted` {source, muted, enforced}, `state` (RTCPeerConnectionState), `failed` ParleyError.
 */
export class OwnMedia extends Emitter {
  #call;
  #publisher;
  #mutes = new Map();
  #waits_for_answer = false;

  /** `call(method, params)` calls the server. */
  constructor(call, ice_servers) {
    super();
    this.#call = call;
    this.#publisher = new Publisher((offer) => call("publish", offer), ice_servers);
    this.#publisher.on("published", ({ source, track }) => this.#published(source, track));
    this.#publisher.on("failed", (error) => this.#failed(error));
    this.#publisher.on("state", (state) => this.emit("state", state));
  }

  /** [{source, track, media, muted, enforced}]. */
  get published() {
    return this.#publisher.sendings().map(({ source, track, media }) => ({ source, track, media, ...this.#mute_of(source) }));
  }

  /** Whether media can still flow without help. */
  is_alive() {
    return this.#publisher.is_alive();
  }

  /** Find another path by an ICE restart. */
  restart() {
    this.#publisher.restart();
  }

  /** getStats of the connection. */
  stats() {
    return this.#publisher.stats();
  }

  /** End the connection. */
  close() {
    this.#publisher.close();
  }

  /** Publish several in one negotiation: [{media, source, muted, options}]. */
  async publish_all(wanted) {
    for (const { media, source, muted = false } of wanted) {
      media.enabled = !muted;
      this.#mutes.set(source, { muted, enforced: false });
    }
    await this.#publisher.add(wanted.map(({ media, source, options }) => ({ media, source, options })));
  }

  /** Send another track, or null, in the place of a published source. */
  async replace(source, media) {
    await this.#publisher.replace(source, media);
    if (media && source === "mic") media.enabled = !this.#mute_of(source).muted;
  }

  /** Let only these encodings of an own track send; one without a rid if it is wanted, up to a spatial layer (null: all). */
  async want_layers(track, rids, wanted, spatial) {
    await this.#publisher.want_layers(track, rids, wanted, spatial);
  }

  /** End a published source. */
  async unpublish(source) {
    this.#mutes.delete(source);
    await this.#publisher.remove(source);
  }

  /** Mute or unmute: nothing of the source leaves this browser, and the server stops forwarding it. */
  async set_muted(source, muted) {
    const sending = this.#publisher.sending(source);
    if (!sending) throw new ParleyError("not_found", `${source} is not published`);
    const { enforced } = this.#mute_of(source);
    if (!muted && enforced) throw new ParleyError("forbidden", "A moderator muted you. Ask them to unmute you.");
    if (sending.media) sending.media.enabled = !muted;
    this.#set_mute(source, { muted, enforced });
    if (sending.track !== null) await this.#call("mute", { track: sending.track, muted });
  }

  /** The server tells of an own track that a moderator muted or unmuted it. */
  moderated({ track, muted, enforced }) {
    const sending = this.#publisher.sendings().find((one) => one.track === track);
    if (!sending) return;
    this.#set_mute(sending.source, { muted: muted || this.#mute_of(sending.source).muted, enforced });
  }

  /** The data channels. */
  get data() {
    return this.#publisher.data;
  }

  /** Open the data channels. */
  async open_data() {
    await this.#publisher.open_data();
  }

  /** Publish everything on a new connection. */
  async rebuild() {
    this.#waits_for_answer = false;
    try {
      await this.#publisher.rebuild();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Terms or a notice were answered: publish what had to wait for that. */
  async unblock() {
    if (this.#waits_for_answer) await this.rebuild();
  }

  #published(source, track) {
    if (this.#mute_of(source).muted) this.#call("mute", { track, muted: true }).catch((error) => this.emit("failed", error));
    this.emit("own_published", { source, track });
  }

  #failed(error) {
    this.#waits_for_answer = MUST_ANSWER_FIRST.includes(error.code);
    this.emit("failed", error);
  }

  #mute_of(source) {
    return this.#mutes.get(source) ?? UNMUTED;
  }

  #set_mute(source, mute) {
    this.#mutes.set(source, mute);
    this.emit("own_muted", { source, ...mute });
  }
}
