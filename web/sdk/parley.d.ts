/**
 * The client SDK of Parley. The wire protocol beneath it is docs/protocol.md; names are the protocol's, so snake_case.
 *
 *   import { Room, open_camera, open_microphone } from "https://parley.example/static/sdk/parley.js";
 *
 *   const room = await Room.connect({ url: signalling_url("https://parley.example"), token, name: "Ada" });
 *   room.on("track_subscribed", ({ participant, kind, media }) => show(participant, kind, media));
 *   await room.publish(await open_microphone(), "mic");
 *   await room.publish(await open_camera(), "camera");
 */

export const VERSION: string;

/** The WebSocket address of the server at `base` (default: the one that served this page). */
export function signalling_url(base?: string): string;

export type Layout = "grid" | "speaker" | "single" | "screen";
export type Permission = "join" | "publish" | "subscribe" | "chat" | "moderate" | "record" | "watch" | "broadcast" | "admin";
export type Source = "mic" | "camera" | "screen" | "screen_audio";
export type Use = "live" | "record" | "replay" | (string & {});
export type ConsentState = "granted" | "asked" | "refused" | "unavailable";
export type Consent = Record<Use, ConsentState>;

export interface Track {
  /** Unique while the server runs. */
  track: number;
  kind: "audio" | "video";
  source: Source;
  /** Muted by its owner. */
  muted: boolean;
  /** Muted by a moderator; the server drops its packets. */
  enforced: boolean;
  codec: string | null;
  simulcast: boolean;
}

export interface Participant {
  /** Random, new for each join, kept by a resume. */
  id: string;
  identity: string;
  name: string;
  permissions: Permission[];
  /** `suspended`: their connection was lost and the grace time runs. */
  state: "active" | "suspended";
  joined_ms: number;
  /** By track number. */
  tracks: Map<number, Track>;
  /** What goes out of this person now. */
  consent: Consent;
}

export interface Self {
  participant: string;
  identity: string;
  name: string;
  room: string;
  permissions: Permission[];
  consent: Consent;
  /** Unix seconds. */
  token_expires_at: number;
  /** Seconds for which the place is kept after the connection was lost. */
  resume_grace_s: number;
}

export interface Site {
  /** `here` for this server, else opaque. */
  site: string;
  name: string;
  /** The site's public address, or the empty string. */
  url: string;
}

export interface Activity {
  id: string;
  /** The use it serves. */
  kind: Use;
  sites: Site[];
  since_ms: number;
  started_by: string | null;
  /** Nothing is kept just now; it may go on at any moment. */
  is_paused: boolean;
}

export interface Notice {
  notice: string;
  uses: Use[];
  sites: Site[];
  activity: string;
}

export interface ChatLine {
  id: string;
  at_ms: number;
  participant: string;
  identity: string;
  name: string;
  /** Plain text: show it as text, never as markup. */
  text: string;
}

export interface Terms {
  version: string;
  url: string;
  title: string;
  effective_ms: number;
  /** Whether this participant has accepted this version, the age statement included. */
  accepted: boolean;
  uses: { use: Use; title: string; media: ("audio" | "video" | "chat")[] }[];
}

export interface Destination {
  id: string;
  name: string;
  site: string;
  kind: "rtmp" | "hls";
}

/** What arrives on the subscribe peer connection. */
export interface Received {
  mid: string;
  track: number;
  participant: string;
  kind: "audio" | "video";
  source: Source;
  media: MediaStreamTrack;
}

export interface DataMessage {
  /** Set by the server. */
  participant: string;
  /** Set by the server. */
  identity: string;
  topic: string;
  private: boolean;
  reliable: boolean;
  bytes: Uint8Array;
}

export interface DataOptions {
  /** What it is about, at most 64 characters. */
  topic?: string;
  /** Identities that it is for, at most 32; default everyone. */
  to?: string[] | null;
  /** Every message in order (default), or unordered and sent once. */
  reliable?: boolean;
}

export interface Quality {
  grade: "good" | "fair" | "poor";
  /** Shares of packets, 0..1. */
  down_loss: number;
  up_loss: number;
  round_trip_ms: number;
}

export interface RoomOptions {
  /** A join token; how it is made is up to the application's server. */
  token: string;
  /** Where the signalling is; default: the server of this page. */
  url?: string;
  /** Screen name, unless the token fixes one. */
  name?: string | null;
  /** Only what a person has really said: acceptance of the terms, and the statement of being 18 or older. */
  accept?: { terms_version: string; age_18: boolean } | null;
  /** Only what a person has really chosen, per use. */
  uses?: Record<Use, boolean> | null;
  /** `resume_secret` of an earlier Room, to take its place after a page reload. */
  resume?: string | null;
  /**
   * Where the next token of the same identity comes from, asked at 80 % of a token's life and again until it ends: a function, or a URL
   * that is POSTed to with `Authorization: Bearer <the token now>` and answers `{"token": "..."}`. Without it call `room.renew` on `token_expiring`.
   */
  renew?: (() => Promise<string>) | string | null;
  /** Open the data channels at once, so that others' messages arrive; otherwise the first `send_data` does, on a publish connection made anew. */
  data?: boolean;
  /** For the server's diagnostics. */
  client?: { name: string; version: string };
}

export interface PublishOptions {
  /** Nothing of it leaves this browser before it is unmuted. */
  muted?: boolean;
  /** Send three sizes, of which each receiver gets one. Video only. */
  simulcast?: boolean;
  /** Layers inside one encoding instead (VP9, AV1), as WebRTC-SVC names them: "L3T3_KEY". Browsers without it send one layer. */
  scalability_mode?: string;
  max_bitrate_bps?: number;
}

export interface RoomEvents {
  /** `closed` comes once, with the reason: left, removed, banned, replaced, token_expired, idle, room_closed, or an error's code. */
  state: { state: "connected"; resumed: boolean } | { state: "reconnecting" } | { state: "closed"; reason: string; error: ParleyError | null };
  participant_joined: { participant: Participant };
  participant_updated: { participant: Participant };
  participant_left: { participant: Participant; reason: string };
  track_published: { participant: Participant; track: Track };
  track_unpublished: { participant: Participant; track: Track };
  track_muted: { participant: Participant; track: Track };
  track_subscribed: Received;
  track_unsubscribed: Received;
  /** One's own track has its number (again, after the peer connection was rebuilt). */
  own_published: { source: Source; track: number };
  /** One's own mute changed, also by a moderator. */
  own_muted: { source: Source; muted: boolean; enforced: boolean };
  chat: ChatLine;
  chat_deleted: { id: string };
  /** Bytes that somebody else sent: to everyone, or (`private`) to this participant among others. */
  data: DataMessage;
  /** The data channels opened, or closed (they come back by themselves with the connection). */
  data_state: { open: boolean };
  /** Own data messages went to nobody: the newest refusal, and how many there were since the join. */
  data_refused: { code: string; reason: string; count: number; retry_after_s?: number };
  /** This browser reads too slowly: so many reliable messages for it were lost since the join. */
  data_lost: { count: number };
  /** Loudest first; empty when nobody speaks. */
  speakers: { speakers: { participant: string; level_dbov: number }[] };
  /** Show it, then call `acknowledge`; nothing of this person goes out before. */
  notice: Notice;
  /** All that run now: keep the indicator in step with it. */
  activities: { activities: Activity[] };
  consent: { consent: Consent; reason: string | null };
  /** Another version is in force: ask, then call `accept_terms`. */
  terms: Terms;
  /** Terms or a notice were answered: what was refused for them may be tried again. */
  unblocked: undefined;
  permissions: { permissions: Permission[] };
  /** The token ends soon: there is no `renew`, or its first try failed with `error` (it is tried again until the token ends). */
  token_expiring: { token_expires_at: number; error?: ParleyError };
  /** The server took a newer token. */
  token_renewed: { token: string; token_expires_at: number };
  codec_unsupported: { track: number; codec: string };
  layer: { track: number; state: "active" | "paused" | "starved"; spatial: number | null; temporal: number | null };
  goaway: { reason: string };
  media_state: { direction: "send" | "receive"; state: RTCPeerConnectionState };
  /** Every 3 s while connected. */
  quality: Quality;
  /** Something that the SDK did by itself failed; what the caller asked for throws instead. */
  error: ParleyError;
}

/** A refusal or failure. `code` is stable (docs/protocol.md section 6, or unreachable, disconnected, timeout, denied, no_device, busy, insecure, renewal_failed). */
export class ParleyError extends Error {
  readonly code: string;
  /** A sentence that says how to mend it. */
  readonly reason: string;
  readonly retry_after_s: number | null;
  readonly data: Record<string, unknown>;
}

/** One participant's place in a room; it rejoins by itself when the connection is lost, and keeps the media meanwhile. */
export class Room {
  static connect(options: RoomOptions): Promise<Room>;

  readonly state: "connecting" | "connected" | "reconnecting" | "closed";
  readonly self: Self;
  /** Whether the last join took an earlier place. */
  readonly resumed: boolean;
  /** `explicit`: each use is asked; `notice`: accepting the terms covers the uses, with a notice before each. */
  readonly mode: "notice" | "explicit";
  readonly terms: Terms;
  readonly activities: Activity[];
  /** The notices that wait for an answer, oldest first. */
  readonly notices: Notice[];
  readonly chat_history: ChatLine[];
  readonly quality: Quality | null;
  /** The others, by id. */
  readonly participants: Map<string, Participant>;
  readonly received: Received[];
  readonly published: { source: Source; track: number | null; media: MediaStreamTrack | null; muted: boolean; enforced: boolean }[];
  readonly resume_secret: string | null;
  /** Whether the data channels are open: others' messages arrive. */
  readonly is_data_open: boolean;

  may(permission: Permission): boolean;
  /** Whether something of this participant goes into an activity: agreed, and its notice answered. */
  is_in(activity: Activity): boolean;
  on<Name extends keyof RoomEvents>(name: Name, listener: (payload: RoomEvents[Name]) => void): () => void;
  off<Name extends keyof RoomEvents>(name: Name, listener: (payload: RoomEvents[Name]) => void): void;

  publish(media: MediaStreamTrack, source: Source, options?: PublishOptions): Promise<void>;
  publish_all(wanted: { media: MediaStreamTrack; source: Source; muted?: boolean; options?: PublishOptions }[]): Promise<void>;
  /** Send another device's track, or null for a camera that is off, without negotiation. */
  replace(source: Source, media: MediaStreamTrack | null): Promise<void>;
  unpublish(source: Source): Promise<void>;
  set_muted(source: Source, muted: boolean): Promise<void>;
  set_subscription(
    track: number,
    wanted: { enabled?: boolean; spatial?: number | null; temporal?: number | null; height?: number | null; priority?: number | null },
  ): Promise<void>;

  chat(text: string): Promise<{ id: string; at_ms: number }>;
  /** Take back a line of one's own (or anybody's, with `moderate`): everywhere, recordings included. */
  delete_chat(id: string): Promise<void>;

  /**
   * Send bytes to everyone whose data is open, or to the identities in `to`. Needs `chat`. Resolves when the browser has taken them. While it
   * has much left to send, reliable messages are held back and lossy ones dropped; what the server refuses comes as `data_refused`.
   */
  send_data(bytes: ArrayBuffer | ArrayBufferView, options?: DataOptions): Promise<void>;

  accept_terms(terms_version: string, age_18: boolean): Promise<void>;
  /** `done_ms`: the measured time of a withdrawal's cut, null when nothing was running. */
  consent(uses: Record<Use, boolean>): Promise<{ consent: Consent; done_ms: number | null }>;
  acknowledge(notice: string): Promise<void>;

  moderate(action: "mute" | "unmute" | "remove" | "ban", identity: string, reason?: string): Promise<void>;
  record_start(): Promise<string>;
  record_pause(recording: string): Promise<void>;
  record_resume(recording: string): Promise<void>;
  record_stop(recording: string): Promise<void>;
  destinations(): Promise<Destination[]>;
  broadcast_start(
    destinations: string[],
    options?: { layout?: Layout; person?: string; names?: boolean; chat?: boolean; mode?: "program" | "passthrough"; publisher?: string },
  ): Promise<{ broadcast: string; state: string; hls_url: string | null }>;
  /** What is left out stays as it is; `person`: an identity, "" for whoever speaks; `gains`: 0 to 4 by identity. */
  broadcast_change(
    broadcast: string,
    change: { layout?: Layout; person?: string; names?: boolean; chat?: boolean; gains?: Record<string, number> },
  ): Promise<void>;
  broadcast_stop(broadcast: string): Promise<void>;

  renew(token: string): Promise<void>;
  leave(): Promise<void>;
}

export function open_camera(device_id?: string | null): Promise<MediaStreamTrack>;
/** `music`: without echo cancellation, noise suppression and gain control. */
export function open_microphone(device_id?: string | null, options?: { music?: boolean }): Promise<MediaStreamTrack>;
export function open_screen(): Promise<{ video: MediaStreamTrack; audio: MediaStreamTrack | null }>;
export interface Device {
  id: string;
  label: string;
}
export function list_devices(): Promise<{ cameras: Device[]; microphones: Device[]; speakers: Device[] }>;

/** Loudness of an audio track. */
export class LevelMeter {
  constructor(track: MediaStreamTrack);
  /** 0..1. */
  read(): number;
  close(): void;
}

export interface WhepEvents {
  stream: MediaStream;
  chat: { id: string; name: string; text: string; at_ms: number };
  chat_deleted: { id: string };
  /** `over`: the server says that it may not be shown (any more): do not try again. `lost`: try again. */
  ended: { reason: "over" | "lost" | "stopped"; error: ParleyError | null };
}

/** Plays a room, or one person of it, by WHEP. */
export class WhepSource {
  constructor(options: { url: string | URL; token?: string | null });
  start(): Promise<void>;
  stop(): void;
  on<Name extends keyof WhepEvents>(name: Name, listener: (payload: WhepEvents[Name]) => void): () => void;
  off<Name extends keyof WhepEvents>(name: Name, listener: (payload: WhepEvents[Name]) => void): void;
}
