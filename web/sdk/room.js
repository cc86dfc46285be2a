import { Connections } from "./connections.js";
import { ConsentState } from "./consent_state.js";
import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import { repair_wait_ms } from "./quality.js";
import { Renewal } from "./renewal.js";
import { Roster } from "./roster.js";
import { Signalling, signalling_url } from "./signalling.js";
import { Watch } from "./watch.js";

export const VERSION = "0.1.0";

const MAX_CHAT_LINES = 500;

/**
 * One participant's place in a room. Made by `Room.connect`; every event and field is described in parley.d.ts.
 *
 * The WebSocket may come and go: the room joins again with its resume secret and keeps both peer connections meanwhile.
 */
export class Room extends Emitter {
  state = "connecting";
  chat_history = [];
  quality = null;
  resumed = false;

  #options;
  #signalling;
  #renewal;
  #watch;
  #facts = null;
  #consent = new ConsentState();
  #roster = new Roster();
  #connections = null;
  #patience_ms = null;

  /** Join a room. Throws ParleyError: the server's refusal, or `unreachable`. */
  static async connect(options) {
    const room = new Room(options);
    await room.#signalling.open();
    return room;
  }

  constructor(options) {
    super();
    this.#options = { client: { name: "parley-web", version: VERSION }, ...options };
    this.#signalling = this.#make_signalling(options);
    this.#renewal = new Renewal({ token: options.token, renew: options.renew ?? null, apply: (token) => this.renew(token) });
    this.#renewal.on("expiring", ({ error }) => this.emit("token_expiring", { token_expires_at: this.#facts.token_expires_at, ...(error ? { error } : {}) }));
    this.#watch = new Watch({
      ping: (limits) => this.#call("ping", {}, limits),
      stats: () => this.#connections.stats(),
    });
    this.#watch.on("dead", () => this.#signalling.drop());
    this.#watch.on("back", () => this.#connections.restart());
    this.#watch.on("quality", (quality) => {
      this.quality = quality;
      this.#patience_ms = repair_wait_ms(quality, this.#patience_ms !== null);
      this.#connections.await_repairs(this.#patience_ms);
      this.emit("quality", quality);
    });
  }

  // --- what is ---

  /** Who this participant is here, and what they may. */
  get self() {
    return this.#facts && { ...this.#facts, consent: this.#consent.own };
  }

  /** `notice` or `explicit`. */
  get mode() {
    return this.#consent.mode;
  }

  /** The terms in force. */
  get terms() {
    return this.#consent.terms;
  }

  /** The recordings and broadcasts that run. */
  get activities() {
    return this.#consent.activities;
  }

  /** The notices that wait for an answer, oldest first. */
  get notices() {
    return this.#consent.notices;
  }

  /** The other participants, by id. */
  get participants() {
    return this.#roster.participants;
  }

  /** The secret that takes this place again after a page reload: Room.connect({resume}). Serves once. */
  get resume_secret() {
    return this.#signalling.resume_secret;
  }

  /** What arrives now: [{track, participant, kind, source, media}]. */
  get received() {
    return this.#connections?.received() ?? [];
  }

  /** Whether the data channels are open: others' messages arrive. */
  get is_data_open() {
    return this.#connections?.own.data.is_open ?? false;
  }

  /** Own published sources: [{source, track, media, muted, enforced}]. */
  get published() {
    return this.#connections?.own.published ?? [];
  }

  /** Whether this participant's token permits an action (`publish`, `chat`, `record`, ...). */
  may(permission) {
    return this.#facts?.permissions.includes(permission) ?? false;
  }

  /** Whether something of this participant goes into an activity: agreed, and its notice answered. */
  is_in(activity) {
    return this.#consent.is_in(activity);
  }

  // --- own media ---

  /** Publish a MediaStreamTrack as `mic`, `camera`, `screen` or `screen_audio`; with {muted: true} nothing of it leaves before it is unmuted. */
  async publish(media, source, { muted = false, ...options } = {}) {
    await this.publish_all([{ media, source, muted, options }]);
  }

  /** Publish several at once, which is one negotiation: [{media, source, muted, options}]. */
  async publish_all(wanted) {
    await this.#connections.own.publish_all(wanted);
  }

  /** Send another track (another device; null for a camera that is off) in the place of a published source. */
  async replace(source, media) {
    await this.#connections.own.replace(source, media);
  }

  /** End a published source. */
  async unpublish(source) {
    await this.#connections.own.unpublish(source);
  }

  /** Mute or unmute an own source: nothing of it leaves this browser, and the server stops forwarding it. */
  async set_muted(source, muted) {
    await this.#connections.own.set_muted(source, muted);
  }

  // --- others' media ---

  /** Pause or resume a received track, and ask for a layer (0 is the lowest; null the best). */
  async set_subscription(track, { enabled = true, spatial = null, temporal = null, height = null, priority = null } = {}) {
    await this.#call("subscription", { track, enabled, spatial, temporal, height, priority });
  }

  // --- data ---

  /**
   * Send bytes (ArrayBuffer or view) to everyone whose data is open, or to the identities in `to`. Resolves when the browser has taken them;
   * what the server refuses comes as `data_refused`. The first call opens the data channels, if `Room.connect({data: true})` has not.
   */
  async send_data(bytes, options = {}) {
    await this.#open_data();
    await this.#connections.own.data.send(bytes, options);
  }

  // --- words ---

  /** Send a chat line; it comes back as a `chat` event. */
  async chat(text) {
    return this.#call("chat", { text });
  }

  /** Take back a line of one's own (or anybody's, with `moderate`): everywhere, recordings included. */
  async delete_chat(id) {
    await this.#call("chat_delete", { id });
  }

  // --- consent ---

  /** Accept the terms in force, with the statement of being 18 or older. */
  async accept_terms(terms_version, age_18) {
    const { consent } = await this.#call("accept_terms", { terms_version, age_18 });
    this.#emit_all(this.#consent.accepted(terms_version, consent));
    await this.#unblock();
  }

  /** Set own choices per use. Resolves with {consent, done_ms}: `done_ms` is the measured time of a withdrawal's cut. */
  async consent(uses) {
    const result = await this.#call("consent", { uses });
    this.#emit_all(this.#consent.set(result.consent));
    return result;
  }

  /** Tell the server that the user has seen a notice. */
  async acknowledge(notice) {
    try {
      await this.#call("acknowledge", { notice });
    } catch (error) {
      if (error.code !== "not_found") throw error;
    }
    this.#emit_all(this.#consent.answered(notice));
    await this.#unblock();
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

  /** Keep nothing of a recording from now on; everyone is told. */
  async record_pause(recording) {
    await this.#call("record_pause", { recording });
  }

  /** Go on with a paused recording. */
  async record_resume(recording) {
    await this.#call("record_resume", { recording });
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
  async broadcast_start(destinations, { layout = "grid", person, names, chat, mode = "program", publisher } = {}) {
    const given = Object.entries({ person, names, chat, publisher }).filter(([, value]) => value !== undefined && value !== "");
    return this.#call("broadcast_start", { destinations, layout, mode, ...Object.fromEntries(given) });
  }

  /** Change how a program looks and sounds, without a break: {layout, person, names, chat, gains}. */
  async broadcast_change(broadcast, change) {
    await this.#call("broadcast_change", { broadcast, ...change });
  }

  /** End a broadcast. */
  async broadcast_stop(broadcast) {
    await this.#call("broadcast_stop", { broadcast });
  }

  /** Extend the session with a newer token of the same room and identity. */
  async renew(token) {
    const { token_expires_at, permissions } = await this.#call("renew", { token });
    this.#facts = { ...this.#facts, permissions, token_expires_at };
    this.#renewal.take(token);
    this.emit("token_renewed", { token, token_expires_at });
    this.emit("permissions", { permissions });
  }

  /** Leave: all grants end, then everything closes. */
  async leave() {
    await this.#signalling.leave();
  }

  // --- coming and going ---

  #make_signalling({ url = signalling_url(), resume = null }) {
    const signalling = new Signalling({ url, resume, request: (when) => this.#join_request(when) });
    signalling.on("joined", (result) => this.#entered(result));
    signalling.on("notification", (message) => this.#notified(message));
    signalling.on("lost", () => {
      this.#watch.stop();
      this.#set_state("reconnecting");
    });
    signalling.on("ended", ({ reason, error }) => this.#ended(reason, error));
    return signalling;
  }

  async #join_request({ is_first }) {
    const { name, accept, uses, client } = this.#options;
    const given = is_first ? uses : this.#consent.refusals();
    return {
      token: await this.#renewal.fresh(),
      client,
      ...(name ? { name } : {}),
      ...(accept ? { accept } : {}),
      ...(given ? { uses: given } : {}),
      media: this.#connections?.is_alive() ? "kept" : "new",
    };
  }

  #entered(result) {
    const { participant, identity, name, permissions, token_expires_at, room, resume_grace_s } = result;
    this.#facts = { participant, identity, name, permissions, token_expires_at, room, resume_grace_s };
    this.#consent.enter(result);
    this.resumed = result.resumed;
    this.chat_history = result.chat_history;
    this.#connect_media(result);
    this.#connections.own.data.message_bytes = result.data?.message_bytes ?? 0;
    if (this.#options.data) this.#open_data().catch((error) => this.emit("error", error));
    this.#emit_all(this.#roster.replace(result.participants));
    this.#renewal.start();
    this.#watch.start();
    this.#set_state("connected", { resumed: result.resumed });
  }

  #connect_media({ ice_servers, resumed, media }) {
    if (!this.#connections) this.#connections = this.#make_connections(ice_servers);
    else if (!resumed || media !== "kept") this.#connections.renew();
    else this.#connections.restart_silent();
  }

  #make_connections(ice_servers) {
    const connections = new Connections((method, params) => this.#call(method, params), ice_servers);
    for (const name of ["own_published", "own_muted", "track_subscribed", "track_unsubscribed", "media_state", "data", "data_state"]) {
      connections.on(name, (payload) => this.emit(name, payload));
    }
    connections.on("media_state", ({ state }) => state === "disconnected" && this.#watch.doubt());
    // While the WebSocket is away nothing can be negotiated; that is mended after the next join.
    connections.on("error", (error) => error.code !== "disconnected" && this.emit("error", error));
    return connections;
  }

  async #open_data() {
    if (!this.#connections.own.data.message_bytes) throw new ParleyError("unavailable", "This server carries no data");
    await this.#connections.own.open_data();
  }

  #ended(reason, error) {
    this.#renewal.stop();
    this.#watch.stop();
    this.#connections?.close();
    this.#set_state("closed", { reason, error });
  }

  // --- notifications ---

  #notified({ method, params }) {
    const own = this.#facts.participant;
    if (method === "track_muted" && params.participant === own) this.#connections.own.moderated(params);
    else if (method === "participant_updated" && params.participant.id === own) this.#self_updated(params.participant);
    else this.#emit_all([...this.#roster.apply(method, params), ...this.#consent.apply(method, params)]);
    this.#handlers[method]?.(params);
  }

  #handlers = {
    subscribe_offer: (offer) => this.#connections.receive(offer),
    peer_closed: ({ peer }) => this.#connections.peer_closed(peer),
    chat: (line) => {
      this.chat_history = [...this.chat_history, line].slice(-MAX_CHAT_LINES);
      this.emit("chat", line);
    },
    chat_deleted: ({ id }) => {
      this.chat_history = this.chat_history.filter((line) => line.id !== id);
      this.emit("chat_deleted", { id });
    },
    speakers: (params) => this.emit("speakers", params),
    data_refused: (params) => this.emit("data_refused", params),
    data_lost: (params) => this.emit("data_lost", params),
    token_expiring: () => this.#renewal.remind(),
    codec_unsupported: (params) => this.emit("codec_unsupported", params),
    layer: (params) => {
      // Starved to nothing: the path is too narrow, or is no more.
      if (params.state === "starved") this.#connections.restart_silent();
      this.emit("layer", params);
    },
    layers_wanted: ({ track, rids, wanted, spatial }) => this.#connections.own.want_layers(track, rids, wanted, spatial).catch((error) => this.emit("error", error)),
    goaway: ({ reason, reconnect_after_s }) => {
      this.#signalling.hold_off(reconnect_after_s ?? 0);
      this.emit("goaway", { reason });
    },
    removed: ({ reason }) => this.#signalling.end(reason),
    room_closed: () => this.#signalling.end("room_closed"),
  };

  #self_updated({ name, permissions, consent }) {
    const changed = permissions.join() !== this.#facts.permissions.join();
    this.#facts = { ...this.#facts, name, permissions };
    if (consent) this.#emit_all(this.#consent.set(consent));
    if (changed) this.emit("permissions", { permissions });
  }

  // --- helpers ---

  #call(method, params = {}, limits = {}) {
    return this.#signalling.call(method, params, limits);
  }

  async #unblock() {
    await this.#connections.own.unblock();
    this.emit("unblocked");
  }

  #emit_all(events) {
    for (const [name, payload] of events) this.emit(name, payload);
  }

  #set_state(state, detail = {}) {
    this.state = state;
    this.emit("state", { state, ...detail });
  }
}
