import { delay_ms, should_rejoin } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import { Publisher } from "./publisher.js";
import { Roster } from "./roster.js";
import { RpcConnection } from "./rpc.js";
import { Subscriber } from "./subscriber.js";
import { renew_in_ms } from "./token.js";
import { Watch } from "./watch.js";

export const VERSION = "0.1.0";

const FATAL_JOIN_CODES = new Set(["unauthorized", "forbidden", "banned", "terms_required", "age_required", "protocol"]);
const MAX_CHAT_LINES = 500;

/** The WebSocket address of the server that served this page, or of `base`. */
export function signalling_url(base = globalThis.location.href) {
  const url = new URL("/v1/rtc", base);
  url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * One participant's place in a room. Made by `Room.connect`; every event and field is described in parley.d.ts.
 *
 * The WebSocket may come and go: the room joins again with its resume secret and keeps both peer connections meanwhile.
 */
export class Room extends Emitter {
  state = "connecting";
  self = null;
  mode = "notice";
  terms = null;
  activities = [];
  notices = [];
  chat_history = [];
  quality = null;
  resumed = false;

  #options;
  #rpc = null;
  #resume = null;
  #roster = new Roster();
  #publisher;
  #subscriber;
  #muted = new Map();
  #timers = { renew: null, retry: null };
  #watch;
  #attempt = 0;
  #wait_s = 0;
  #republish = false;

  /** Join a room. Throws ParleyError: the server's refusal, or `unreachable`. */
  static async connect(options) {
    const room = new Room(options);
    await room.#join(options.resume ?? null, "new");
    return room;
  }

  constructor(options) {
    super();
    this.#options = { url: signalling_url(), client: { name: "parley-web", version: VERSION }, ...options };
    this.#watch = new Watch({
      ping: (limits) => this.#call("ping", {}, limits),
      stats: () => Promise.all([this.#publisher.stats(), this.#subscriber.stats()]),
    });
    this.#watch.on("dead", () => this.#rpc?.close(4999, "no answer"));
    this.#watch.on("quality", (quality) => {
      this.quality = quality;
      this.emit("quality", quality);
    });
  }

  /** The other participants, by id. */
  get participants() {
    return this.#roster.participants;
  }

  /** The secret that takes this place again after a page reload: Room.connect({resume}). Serves once. */
  get resume_secret() {
    return this.#resume;
  }

  /** What arrives now: [{track, participant, kind, source, media}]. */
  get received() {
    return this.#subscriber?.received() ?? [];
  }

  /** Own published sources: [{source, track, media, muted, enforced}]. */
  get published() {
    return this.#publisher.sendings().map(({ source, track, media }) => ({ source, track, media, ...this.#mute_of(source) }));
  }

  /** Whether this participant's token permits an action (`publish`, `chat`, `record`, ...). */
  may(permission) {
    return this.self?.permissions.includes(permission) ?? false;
  }

  /** Whether something of this participant goes into an activity: agreed, and its notice answered. */
  is_in({ id, kind }) {
    return this.self?.consent?.[kind] === "granted" && !this.notices.some(({ activity }) => activity === id);
  }

  // --- own media ---

  /** Publish a MediaStreamTrack as `mic`, `camera`, `screen` or `screen_audio`; with {muted: true} nothing of it leaves before it is unmuted. */
  async publish(media, source, { muted = false, ...options } = {}) {
    await this.publish_all([{ media, source, muted, options }]);
  }

  /** Publish several at once, which is one negotiation: [{media, source, muted, options}]. */
  async publish_all(wanted) {
    for (const { media, source, muted = false } of wanted) {
      media.enabled = !muted;
      this.#muted.set(source, { muted, enforced: false });
    }
    await this.#publisher.add(wanted.map(({ media, source, options }) => ({ media, source, options })));
  }

  /** Send another track (another device; null for a camera that is off) in the place of a published source. */
  async replace(source, media) {
    await this.#publisher.replace(source, media);
    if (media && source === "mic") media.enabled = !this.#mute_of(source).muted;
  }

  /** End a published source. */
  async unpublish(source) {
    this.#muted.delete(source);
    await this.#publisher.remove(source);
  }

  /** Mute or unmute an own source: nothing of it leaves this browser, and the server stops forwarding it. */
  async set_muted(source, muted) {
    const sending = this.#publisher.sending(source);
    if (!sending) throw new ParleyError("not_found", `${source} is not published`);
    const before = this.#mute_of(source);
    if (!muted && before.enforced) throw new ParleyError("forbidden", "A moderator muted you. Ask them to unmute you.");
    if (sending.media) sending.media.enabled = !muted;
    this.#muted.set(source, { ...before, muted });
    this.emit("own_muted", { source, muted, enforced: before.enforced });
    if (sending.track !== null) await this.#call("mute", { track: sending.track, muted });
  }

  // --- others' media ---

  /** Pause or resume a received track, and ask for a layer (0 is the lowest; null the best). */
  async set_subscription(track, { enabled = true, spatial = null, temporal = null } = {}) {
    await this.#call("subscription", { track, enabled, spatial, temporal });
  }

  // --- words ---

  /** Send a chat line; it comes back as a `chat` event. */
  async chat(text) {
    return this.#call("chat", { text });
  }

  // --- consent ---

  /** Accept the terms in force, with the statement of being 18 or older. */
  async accept_terms(terms_version, age_18) {
    const { consent } = await this.#call("accept_terms", { terms_version, age_18 });
    if (this.terms?.version === terms_version) this.terms = { ...this.terms, accepted: true };
    this.#set_consent(consent, null);
    await this.#publish_again();
  }

  /** Set own choices per use. Resolves with {consent, done_ms}: `done_ms` is the measured time of a withdrawal's cut. */
  async consent(uses) {
    const result = await this.#call("consent", { uses });
    this.#set_consent(result.consent, null);
    return result;
  }

  /** Tell the server that the user has seen a notice. */
  async acknowledge(notice) {
    try {
      await this.#call("acknowledge", { notice });
    } catch (error) {
      if (error.code !== "not_found") throw error;
    }
    this.notices = this.notices.filter((one) => one.notice !== notice);
    this.#set_consent(this.self.consent, null);
    await this.#publish_again();
  }

  // --- for those with permission ---

  /** `mute`, `unmute`, `remove` or `ban` the person with this identity. */
  async moderate(action, identity, reason) {
    await this.#call("moderate", { action, identity, ...(reason ? { reason } : {}) });
  }

  /** Start a recording; its id. */
  async record_start() {
    return (await this.#call("record_start")).recording;
  }

  /** End a recording. */
  async record_stop(recording) {
    await this.#call("record_stop", { recording });
  }

  /** The sites that a broadcast may go to. */
  async destinations() {
    return (await this.#call("destinations")).destinations;
  }

  /** Start a broadcast to these destinations: {broadcast, state, hls_url}. */
  async broadcast_start(destinations, { layout = "grid", mode = "program", publisher } = {}) {
    return this.#call("broadcast_start", { destinations, layout, mode, ...(publisher ? { publisher } : {}) });
  }

  /** End a broadcast. */
  async broadcast_stop(broadcast) {
    await this.#call("broadcast_stop", { broadcast });
  }

  /** Extend the session with a newer token of the same room and identity. */
  async renew(token) {
    const { token_expires_at, permissions } = await this.#call("renew", { token });
    this.#options.token = token;
    this.self = { ...this.self, permissions, token_expires_at };
    this.emit("permissions", { permissions });
    this.#plan_renewal();
  }

  /** Leave: all grants end, then everything closes. */
  async leave() {
    const rpc = this.#rpc;
    if (this.state === "connected") await rpc.call("leave", {}, { timeout_ms: 2000 }).catch(() => {});
    this.#end("left");
  }

  // --- the session ---

  #call(method, params = {}, limits = {}) {
    if (!this.#rpc) return Promise.reject(new ParleyError("disconnected", "Reconnecting to the server. Try again in a moment."));
    return this.#rpc.call(method, params, limits);
  }

  async #join(resume, media) {
    const { url, token, name, accept, uses, client } = this.#options;
    const rpc = await RpcConnection.open(url);
    let result;
    try {
      result = await rpc.call("join", {
        token,
        client,
        ...(name ? { name } : {}),
        ...(accept ? { accept } : {}),
        ...(uses ? { uses } : {}),
        ...(resume ? { resume, media } : {}),
      });
    } catch (error) {
      rpc.close();
      throw error;
    }
    this.#rpc = rpc;
    rpc.on("notification", (message) => this.#notified(message));
    rpc.on("close", (close) => this.#lost(close));
    this.#entered(result);
  }

  #entered(result) {
    const { participant, identity, name, permissions, consent, token_expires_at, room, resume_grace_s } = result;
    this.#resume = result.resume;
    this.self = { participant, identity, name, permissions, consent, token_expires_at, room, resume_grace_s };
    this.mode = result.mode;
    this.terms = result.terms;
    this.activities = result.activities;
    this.notices = result.notice ? [result.notice] : [];
    this.resumed = result.resumed;
    this.chat_history = result.chat_history;
    this.#attempt = 0;
    this.#wait_s = 0;
    this.#make_connections(result);
    for (const [name_, payload] of this.#roster.replace(result.participants)) this.emit(name_, payload);
    this.#plan_renewal();
    this.#watch.start();
    this.#set_state("connected", { resumed: result.resumed });
  }

  #make_connections({ ice_servers, resumed, media }) {
    if (this.#publisher) {
      if (resumed && media === "kept") return;
      this.#subscriber.drop();
      this.#rebuild();
      return;
    }
    this.#publisher = new Publisher((offer) => this.#call("publish", offer), ice_servers);
    this.#publisher.on("published", ({ source, track }) => this.#own_published(source, track));
    this.#publisher.on("failed", (error) => this.#publish_failed(error));
    this.#publisher.on("state", (state) => this.emit("media_state", { direction: "send", state }));
    this.#subscriber = new Subscriber((answer) => this.#call("subscribe_answer", answer), ice_servers);
    this.#subscriber.on("subscribed", (received) => this.emit("track_subscribed", received));
    this.#subscriber.on("unsubscribed", (received) => this.emit("track_unsubscribed", received));
    this.#subscriber.on("state", (state) => this.emit("media_state", { direction: "receive", state }));
    this.#subscriber.on("failed", () => this.#call("subscribe_restart").catch((error) => this.#report(error)));
  }

  #own_published(source, track) {
    const { muted } = this.#mute_of(source);
    if (muted) this.#call("mute", { track, muted: true }).catch((error) => this.#report(error));
    this.emit("own_published", { source, track });
  }

  async #rebuild() {
    try {
      await this.#publisher.rebuild();
    } catch (error) {
      this.#publish_failed(error);
    }
  }

  #publish_failed(error) {
    // Terms or a notice must be answered first; what was published comes back with the answer.
    this.#republish = ["notice_required", "terms_required", "age_required"].includes(error.code);
    this.#report(error);
  }

  async #publish_again() {
    if (this.#republish) await this.#rebuild();
    this.#republish = false;
    this.emit("unblocked");
  }

  #mute_of(source) {
    return this.#muted.get(source) ?? { muted: false, enforced: false };
  }

  #set_consent(consent, reason) {
    this.self = { ...this.self, consent };
    this.emit("consent", { consent, reason });
  }

  #report(error) {
    if (error.code !== "disconnected") this.emit("error", error);
  }

  #set_state(state, detail = {}) {
    this.state = state;
    this.emit("state", { state, ...detail });
  }

  // --- notifications ---

  #notified({ method, params }) {
    const own = this.self.participant;
    if (method === "track_muted" && params.participant === own) return this.#own_track_muted(params);
    if (method === "participant_updated" && params.participant.id === own) return this.#self_updated(params.participant);
    for (const [name, payload] of this.#roster.apply(method, params)) this.emit(name, payload);
    return this.#handlers[method]?.(params);
  }

  #handlers = {
    subscribe_offer: (offer) => this.#subscriber.receive(offer).catch((error) => this.#report(error)),
    chat: (line) => {
      this.chat_history = [...this.chat_history, line].slice(-MAX_CHAT_LINES);
      this.emit("chat", line);
    },
    speakers: (params) => this.emit("speakers", params),
    notice: (notice) => {
      this.notices = [...this.notices.filter((one) => one.notice !== notice.notice), notice];
      this.emit("notice", notice);
    },
    activities: ({ activities }) => {
      this.activities = activities;
      this.notices = this.notices.filter(({ activity }) => activities.some(({ id }) => id === activity));
      this.emit("activities", { activities });
    },
    consent: ({ consent, reason }) => this.#set_consent(consent, reason),
    terms: (terms) => {
      this.terms = terms;
      this.emit("terms", terms);
    },
    token_expiring: () => this.#renew_now(),
    codec_unsupported: (params) => this.emit("codec_unsupported", params),
    goaway: ({ reason, reconnect_after_s }) => {
      this.#wait_s = reconnect_after_s ?? 0;
      this.emit("goaway", { reason });
    },
    removed: ({ reason }) => this.#end(reason),
    room_closed: () => this.#end("room_closed"),
  };

  #own_track_muted({ track, muted, enforced }) {
    const sending = this.#publisher.sendings().find((one) => one.track === track);
    if (!sending) return;
    const before = this.#mute_of(sending.source);
    this.#muted.set(sending.source, { muted: muted || before.muted, enforced });
    this.emit("own_muted", { source: sending.source, ...this.#mute_of(sending.source) });
  }

  #self_updated({ name, permissions, consent }) {
    const changed = permissions.join() !== this.self.permissions.join();
    this.self = { ...this.self, name, permissions };
    if (consent) this.#set_consent(consent, null);
    if (changed) this.emit("permissions", { permissions });
  }

  // --- the connection's life ---

  #lost({ code, reason }) {
    this.#rpc = null;
    this.#watch.stop();
    if (this.state === "closed") return;
    if (!should_rejoin(code)) {
      this.#end(reason || "closed");
      return;
    }
    this.#set_state("reconnecting");
    this.#retry();
  }

  #retry() {
    const wait_ms = Math.max(delay_ms(this.#attempt++, Math.random()), this.#wait_s * 1000);
    this.#timers.retry = setTimeout(() => this.#rejoin(), wait_ms);
  }

  async #rejoin() {
    // A machine never agrees for a person: only refusals are repeated, in case the place is gone and this is a new join.
    const refused = Object.entries(this.self.consent ?? {}).filter(([, state]) => state === "refused");
    this.#options.uses = Object.fromEntries(refused.map(([use]) => [use, false]));
    const kept = this.#publisher.is_alive() && this.#subscriber.is_alive();
    try {
      await this.#join(this.#resume, kept ? "kept" : "new");
      if (this.state === "closed") this.#rpc?.close();
    } catch (error) {
      if (this.state === "closed") return;
      this.#wait_s = error.retry_after_s ?? 0;
      if (FATAL_JOIN_CODES.has(error.code)) this.#end(error.code, error);
      else this.#retry();
    }
  }

  #end(reason, error = null) {
    if (this.state === "closed") return;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#watch.stop();
    this.#publisher?.close();
    this.#subscriber?.drop();
    this.#set_state("closed", { reason, error });
    this.#rpc?.close();
    this.#rpc = null;
  }

  #plan_renewal() {
    clearTimeout(this.#timers.renew);
    const wait_ms = renew_in_ms(this.#options.token, Date.now());
    if (wait_ms !== null && this.#options.renew) this.#timers.renew = setTimeout(() => this.#renew_now(), wait_ms);
  }

  async #renew_now() {
    clearTimeout(this.#timers.renew);
    if (!this.#options.renew) {
      this.emit("token_expiring", { token_expires_at: this.self.token_expires_at });
      return;
    }
    try {
      await this.renew(await this.#options.renew());
    } catch (error) {
      this.emit("token_expiring", { token_expires_at: this.self.token_expires_at, error });
    }
  }
}
