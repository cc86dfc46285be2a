import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { use_words } from "../ui/text.js";
import { fit_grid, order_tiles, picture_height } from "./layout.js";
import { Tile } from "./tile.js";

const GAP = 10;
const SMALLEST = { width: 150, height: 112 };
const SELF = "self";

/** The grid of people, the spotlight for a shared screen or a pinned person, and what of it is subscribed. */
export class Stage {
  #room;
  #media;
  #on_menu;
  #tiles = new Map();
  #screens = new Map();
  #spoke_at = new Map();
  #asked = new Map();
  #pinned = null;
  #more = el("li", { class: "tile tile-more", hidden: true });
  #grid = by_id("grid");
  #spotlight = by_id("spotlight");
  #size = new ResizeObserver(() => this.#arrange());

  /** `on_menu(anchor, participant or null for oneself)` opens a tile's actions; `on_blocked` tells that the browser holds sound back. */
  constructor({ room, media, on_menu, on_blocked }) {
    this.#room = room;
    this.#media = media;
    this.#on_menu = on_menu;
    this.on_blocked = on_blocked;
    this.#grid.append(this.#more);
    this.#size.observe(by_id("stage"));
    this.#listen();
    this.#add_self();
    for (const participant of room.participants.values()) this.#add(participant);
    for (const received of room.received) this.#subscribed(received);
    this.#arrange();
  }

  /** The tile of a participant, or null. */
  tile(id) {
    return this.#tiles.get(id) ?? null;
  }

  /** Show one person large, or nobody (null). */
  pin(id) {
    this.#pinned = this.#pinned === id ? null : id;
    this.#arrange();
  }

  /** Whether this person is shown large by choice. */
  is_pinned(id) {
    return this.#pinned === id;
  }

  /** After the person has clicked: play what the browser held back. */
  resume_sound() {
    for (const tile of this.#tiles.values()) tile.resume_sound();
  }

  /** Remove everything. */
  close() {
    this.#size.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    this.#tiles.clear();
    fill(this.#spotlight);
    this.#more.remove();
  }

  #listen() {
    const room = this.#room;
    room.on("participant_joined", ({ participant }) => this.#then_arrange(() => this.#add(participant)));
    room.on("participant_left", ({ participant }) => this.#then_arrange(() => this.#remove(participant.id)));
    room.on("participant_updated", ({ participant }) => this.#show(participant));
    for (const name of ["track_published", "track_unpublished", "track_muted"]) {
      room.on(name, ({ participant }) => this.#then_arrange(() => this.#show(participant)));
    }
    room.on("track_subscribed", (received) => this.#then_arrange(() => this.#subscribed(received)));
    room.on("track_unsubscribed", (received) => this.#then_arrange(() => this.#unsubscribed(received)));
    room.on("speakers", ({ speakers }) => this.#speakers(speakers));
    for (const name of ["activities", "consent", "notice"]) room.on(name, () => this.#show_all());
    this.#media.on("changed", () => this.#then_arrange(() => this.#show_self()));
  }

  #then_arrange(change) {
    change();
    this.#arrange();
  }

  #add_self() {
    const { identity, name } = this.#room.self;
    const tile = new Tile({ identity, name, is_self: true, on_menu: (anchor) => this.#on_menu(anchor, null) });
    this.#tiles.set(SELF, tile);
    this.#grid.insertBefore(tile.element, this.#more);
    this.#show_self();
  }

  #add(participant) {
    if (this.#tiles.has(participant.id)) return;
    const { id, identity, name } = participant;
    const tile = new Tile({ identity, name, on_menu: (anchor) => this.#on_menu(anchor, participant), on_blocked: this.on_blocked });
    this.#tiles.set(id, tile);
    this.#grid.insertBefore(tile.element, this.#more);
    for (const received of this.#room.received) if (received.participant === id) this.#subscribed(received);
    this.#show(participant);
  }

  #remove(id) {
    this.#tiles.get(id)?.close();
    this.#tiles.delete(id);
    this.#screens.delete(id);
    this.#spoke_at.delete(id);
    if (this.#pinned === id) this.#pinned = null;
  }

  #subscribed({ participant: id, kind, source, media }) {
    const tile = this.#tiles.get(id);
    if (!tile) return;
    if (kind === "audio") tile.play_sound(source, media, this.#media.chosen.speaker);
    this.#show(this.#room.participants.get(id));
  }

  #unsubscribed({ participant: id, kind, source }) {
    const tile = this.#tiles.get(id);
    if (kind === "audio") tile?.stop_sound(source);
    else if (source === "screen") this.#screens.delete(id);
    else tile?.show_picture(null);
  }

  #show(participant) {
    const tile = participant && this.#tiles.get(participant.id);
    if (!tile) return;
    const tracks = [...participant.tracks.values()];
    const is_on = (source) => tracks.some((track) => track.source === source && !track.muted && !track.enforced);
    const arriving = (wanted) => this.#room.received.find(({ participant: id, source }) => id === participant.id && source === wanted);
    const camera = arriving("camera");
    const screen = arriving("screen");
    tile.rename(participant.name);
    tile.show_picture(camera && is_on("camera") ? camera.media : null);
    tile.show({ mic_on: is_on("mic"), suspended: participant.state === "suspended", left_out: this.#left_out(participant.consent) });
    // An offer may come before or after the news of the track: the screen is shown when both are there.
    if (screen && is_on("screen")) this.#screens.set(participant.id, screen.media);
    else this.#screens.delete(participant.id);
  }

  #show_self() {
    const tile = this.#tiles.get(SELF);
    const { camera, mic_on, screen } = this.#media;
    tile.show_picture(camera, { mirrored: true });
    tile.show({ mic_on, left_out: this.#words_out(this.#room.activities.filter((activity) => !this.#room.is_in(activity))) });
    if (screen) this.#screens.set(SELF, screen.video);
    else this.#screens.delete(SELF);
  }

  #show_all() {
    this.#show_self();
    for (const participant of this.#room.participants.values()) this.#show(participant);
  }

  #left_out(consent) {
    return this.#words_out(this.#room.activities.filter(({ kind }) => consent?.[kind] && consent[kind] !== "granted"));
  }

  // The words for a person whom these recordings and broadcasts leave out, or null.
  #words_out(activities) {
    const nouns = new Set(activities.map(({ kind }) => use_words(kind).noun));
    return nouns.size ? `Not in the ${[...nouns].join(" and ")}` : null;
  }

  #speakers(speakers) {
    const now = performance.now();
    const speaking = new Set(speakers.map(({ participant }) => (participant === this.#room.self.participant ? SELF : participant)));
    for (const id of speaking) this.#spoke_at.set(id, now);
    for (const [id, tile] of this.#tiles) tile.show({ speaking: speaking.has(id) });
    if (this.#tiles.size > this.#fitting()) this.#arrange();
  }

  #fitting() {
    const { clientWidth, clientHeight } = this.#grid;
    const columns = Math.floor((clientWidth + GAP) / (SMALLEST.width + GAP));
    const rows = Math.floor((clientHeight + GAP) / (SMALLEST.height + GAP));
    return Math.max(2, columns * rows);
  }

  #arrange() {
    this.#show_spotlight();
    const strip = !this.#spotlight.hidden;
    const ids = [...this.#tiles.keys()].filter((id) => !(strip && id === this.#pinned));
    const fitting = strip ? ids.length : this.#fitting();
    const order = order_tiles(ids, { spoke_at: this.#spoke_at, fitting });
    const visible = new Set(order.length > fitting ? order.slice(0, fitting - 1) : order);
    for (const [id, tile] of this.#tiles) tile.element.hidden = !visible.has(id);
    const hidden = ids.length - visible.size;
    this.#more.hidden = hidden === 0;
    this.#more.textContent = `${hidden} more`;
    const { clientWidth, clientHeight } = this.#grid;
    const fit = fit_grid(visible.size + (hidden ? 1 : 0), clientWidth, clientHeight, GAP);
    this.#grid.style.setProperty("--tile-width", `${fit.width}px`);
    this.#grid.style.setProperty("--tile-height", `${fit.height}px`);
    this.#grid.classList.toggle("grid-large", fit.height > 300);
    by_id("alone").hidden = this.#tiles.size > 1 || strip;
    this.#ask_for_pictures(visible);
  }

  #show_spotlight() {
    const [id, media] = this.#pinned && this.#tiles.has(this.#pinned) ? [this.#pinned, null] : [...this.#screens].at(-1) ?? [null, null];
    const key = id === null ? "" : `${id} ${media?.id ?? "person"}`;
    if (this.#spotlight.dataset.key === key) return;
    this.#spotlight.dataset.key = key;
    this.#spotlight.hidden = id === null;
    by_id("stage").classList.toggle("stage-strip", id !== null);
    if (id === null) fill(this.#spotlight);
    else fill(this.#spotlight, media ? this.#screen_figure(id, media) : this.#pinned_figure(id));
  }

  #screen_figure(id, media) {
    const name = id === SELF ? "You are" : `${this.#tiles.get(id).name} is`;
    const video = el("video", { autoplay: true, muted: true, playsInline: true, class: "screen" });
    video.srcObject = new MediaStream([media]);
    video.play().catch(() => {});
    return el("figure", {}, video, el("figcaption", {}, icon("screen"), `${name} sharing the screen`));
  }

  #pinned_figure(id) {
    const tile = this.#tiles.get(id);
    const received = this.#room.received.find(({ participant, source }) => participant === id && source === "camera");
    const media = id === SELF ? this.#media.camera : received?.media;
    const video = media && tile.has_picture ? el("video", { autoplay: true, muted: true, playsInline: true, class: `screen${id === SELF ? " mirrored" : ""}` }) : null;
    if (video) {
      video.srcObject = new MediaStream([media]);
      video.play().catch(() => {});
    }
    return el("figure", {}, video ?? tile.avatar.cloneNode(true),
      el("figcaption", {}, icon("pin"), tile.name, el("button", { class: "link-button", type: "button", on_click: () => this.pin(id) }, "Unpin")));
  }

  // What is not on the page is paused at the server; of the rest no larger picture comes than the tile shows.
  #ask_for_pictures(visible) {
    for (const { track, participant, source } of this.#room.received) {
      if (source !== "camera") continue;
      const is_pinned = participant === this.#pinned;
      const enabled = is_pinned || visible.has(participant);
      const height = is_pinned ? null : picture_height(this.#tiles.get(participant)?.element.clientHeight, devicePixelRatio);
      const wish = `${enabled} ${height}`;
      if ((this.#asked.get(track) ?? "true null") === wish) continue;
      this.#asked.set(track, wish);
      this.#room.set_subscription(track, { enabled, height }).catch(() => {});
    }
  }
}
