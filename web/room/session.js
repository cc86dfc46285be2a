import { by_id, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { clock_time } from "../ui/text.js";
import { toast } from "../ui/toast.js";
import { Banners } from "./banners.js";
import { Studio } from "./broadcast.js";
import { Chat } from "./chat.js";
import { Consent } from "./consent.js";
import { Controls } from "./controls.js";
import { Indicator } from "./indicator.js";
import { Notices } from "./notice.js";
import { People } from "./people.js";
import { PersonMenu } from "./person_menu.js";
import { open_settings } from "./settings.js";
import { Side, is_wide } from "./side.js";
import { Stage } from "./stage.js";
import { ask_terms } from "./terms.js";

const QUALITY = {
  good: "Your connection is good",
  fair: "Your connection is unsteady",
  poor: "Your connection is poor",
};

/** The room on the page, from joining until it ends: makes the parts, and shows what the connection does. */
export class Session {
  #room;
  #media;
  #pass;
  #invite;
  #banners = new Banners();
  #parts = {};
  #keys = (event) => this.#key(event);

  /** `title` is the room's, `pass` a Pass, `invite` an Invite; `on_ended({reason, error})` runs once. */
  constructor({ room, media, title, pass, invite, on_ended }) {
    this.#room = room;
    this.#media = media;
    this.#pass = pass;
    this.#invite = invite;
    by_id("room-name").textContent = title;
    by_id("room").hidden = false;
    this.#build();
    this.#listen(on_ended);
    addEventListener("keydown", this.#keys);
  }

  #build() {
    const room = this.#room;
    const media = this.#media;
    const consent = new Consent(room, this.#pass);
    const menu = new PersonMenu(room);
    const studio = new Studio(room, this.#pass);
    const on_menu = (anchor, participant) => menu.open(anchor, participant);
    const stage = new Stage({ room, media, on_menu, on_blocked: () => this.#sound_blocked() });
    menu.use_stage(stage);
    const side = new Side({ on_change: (panel) => controls.show_side(panel), on_chat: () => chat.opened() });
    const controls = new Controls({ room, media, studio, actions: {
      side: (panel) => side.toggle(panel),
      consent: () => consent.open(),
      settings: () => open_settings(media),
      leave: () => room.leave(),
    } });
    const chat = new Chat({ room, on_unread: (count) => controls.show_unread(count), is_visible: () => side.panel === "chat" && !document.hidden });
    const indicator = new Indicator({ room, on_open: () => consent.open() });
    new People({ room, media, on_menu });
    new Notices(room);
    this.#parts = { stage, indicator, side, studio };
    this.#dress();
    if (is_wide()) side.open("chat", { focus: false });
  }

  #dress() {
    fill(by_id("copy-link"), icon("link"));
    fill(by_id("open-recordings"), icon("film"));
    by_id("open-recordings").onclick = () => this.#parts.studio.open_recordings();
    for (const id of ["copy-link", "alone-copy"]) by_id(id).onclick = () => this.#invite.copy();
    this.#show_invite();
    this.#room.on("permissions", () => this.#show_invite());
    this.#show_quality("good");
  }

  #show_invite() {
    const { words } = this.#invite;
    for (const id of ["copy-link", "alone-copy"]) by_id(id).hidden = words === null;
    by_id("copy-link").setAttribute("aria-label", words ?? "");
    by_id("copy-link").title = words ?? "";
    by_id("alone-copy").textContent = words ?? "";
    by_id("open-recordings").hidden = !this.#room.may("record");
  }

  #listen(on_ended) {
    const room = this.#room;
    room.on("state", ({ state, reason, error, resumed }) => {
      if (state === "reconnecting") this.#banners.show("connection", "The connection to the server is lost. Trying to get back.", { kind: "warn" });
      if (state === "connected") this.#reconnected(resumed);
      if (state === "closed") this.#close({ reason, error }, on_ended);
    });
    room.on("error", (error) => this.#show_error(error));
    room.on("quality", ({ grade }) => this.#show_quality(grade));
    room.on("terms", () => this.#ask_terms());
    room.on("goaway", () => this.#banners.show("connection", "The server restarts. You are reconnected in a moment.", { kind: "warn" }));
    room.on("token_expiring", ({ token_expires_at }) => this.#show_expiry(token_expires_at));
    room.on("token_renewed", () => this.#banners.hide("pass"));
    room.on("codec_unsupported", ({ track, codec }) => this.#show_unsupported(track, codec.toUpperCase()));
    room.on("own_muted", ({ source, enforced }) => {
      if (source !== "mic") return;
      if (enforced) this.#banners.show("muted", "A moderator has muted your microphone.", { kind: "warn" });
      else if (this.#banners.hide("muted")) toast("You may speak again. Your microphone is still off.");
    });
    this.#media.on("problem", ({ error }) => toast(error.reason, { kind: "error" }));
    this.#media.on("changed", () => {
      for (const id of room.participants.keys()) this.#parts.stage.tile(id)?.use_speaker(this.#media.chosen.speaker);
    });
  }

  #show_unsupported(track, codec) {
    const owner = [...this.#room.participants.values()].find(({ tracks }) => tracks.has(track));
    const text = owner ? `Your browser cannot play what ${owner.name} sends (${codec}).` : `Somebody's browser here cannot play what you send (${codec}).`;
    toast(text, { kind: "error" });
  }

  /** Ask for the terms in force when they changed or were not accepted. */
  #ask_terms() {
    if (this.#room.terms.accepted) return;
    this.#banners.show("terms", "The terms of broadcast have changed. Accept them to go on publishing and chatting.", {
      kind: "warn",
      action: { text: "Read them", run: () => ask_terms(this.#room, () => this.#banners.hide("terms")) },
    });
  }

  #show_expiry(token_expires_at) {
    const text = `Your link ends at ${clock_time(token_expires_at * 1000)}. Ask for a new one to stay.`;
    this.#banners.show("pass", text, { kind: "warn", action: { text: "Hide", run: () => this.#banners.hide("pass") } });
  }

  #reconnected(resumed) {
    this.#banners.hide("connection");
    if (resumed === false) toast("You are back, as a new arrival: your earlier place had been given up. Look at your consent again.");
  }

  #show_error(error) {
    if (error.code === "terms_required" || error.code === "age_required") this.#ask_terms();
    else if (error.code !== "notice_required") toast(error.reason ?? error.message, { kind: "error" });
  }

  #show_quality(grade) {
    const sign = by_id("quality");
    fill(sign, icon(`signal_${grade}`));
    sign.className = `quality quality-${grade}`;
    sign.title = QUALITY[grade];
    sign.setAttribute("aria-label", QUALITY[grade]);
    if (grade === "poor") this.#banners.show("quality", "Your connection is poor. Turning your camera off may help.", { kind: "warn" });
    else this.#banners.hide("quality");
  }

  #sound_blocked() {
    this.#banners.show("sound", "The browser holds the sound back.", {
      kind: "warn",
      action: { text: "Hear everyone", run: () => {
        this.#parts.stage.resume_sound();
        this.#banners.hide("sound");
      } },
    });
  }

  #key({ altKey, code }) {
    if (!altKey) return;
    if (code === "KeyA") by_id("control-mic").click();
    if (code === "KeyV") by_id("control-camera").click();
  }

  #close(ended, on_ended) {
    removeEventListener("keydown", this.#keys);
    this.#parts.stage.close();
    this.#parts.indicator.close();
    this.#parts.side.close();
    this.#banners.clear();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    by_id("room").hidden = true;
    on_ended(ended);
  }
}
