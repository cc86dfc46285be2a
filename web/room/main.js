// The room page: door, room, end; and back to the door.
import { ParleyError, Room } from "../sdk/parley.js";
import { fetch_door, fetch_site, fetch_terms } from "../ui/api.js";
import { by_id, el, fill } from "../ui/dom.js";
import { Door } from "./door.js";
import { Invite } from "./invite.js";
import { LocalMedia } from "./local_media.js";
import { Pass } from "./pass.js";
import { Place } from "./place.js";
import { Session } from "./session.js";

const ENDED = {
  left: ["You left the room", "Your camera and microphone are off, and nothing of you goes out any more."],
  removed: ["You were removed", "A moderator removed you from the room."],
  banned: ["You were banned", "A moderator banned you from this room."],
  replaced: ["You are in this room elsewhere", "You joined again from another window or device, so this one has ended."],
  token_expired: ["Your link has ended", "Ask whoever invited you for a new link."],
  unauthorized: ["Your link has ended", "Ask whoever invited you for a new link."],
  room_closed: ["The room was closed", "Everyone has been disconnected."],
};

const room_name = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const pass = new Pass(room_name);
const place = new Place(room_name);
const media = new LocalMedia();
const door = new Door(media);
let session_room = null;

async function prepare() {
  const site = await fetch_site().catch(() => null);
  if (!pass.token && !site?.development) {
    throw new ParleyError("unauthorized", "This room opens with a link of your own. Ask whoever runs it to send you one.");
  }
  const token = await pass.ensure();
  const [facts, terms] = await Promise.all([fetch_door(room_name, token), fetch_terms().catch(() => ({}))]);
  return { site, door: facts, terms, claims: pass.claims, room: room_name };
}

function options(answer) {
  const { name, accept, uses } = answer;
  return { token: pass.token, name: name || null, accept, uses, renew: pass.renew };
}

async function enter(room, { site, door: { title } }, publish) {
  session_room = room;
  by_id("loading").hidden = true;
  new Session({ room, media, title: title || room_name, pass, invite: new Invite({ room, pass, site }), on_ended: ended });
  room.on("state", ({ state }) => state === "connected" && place.keep(room, media));
  room.on("token_renewed", ({ token }) => pass.replace(token));
  place.keep(room, media);
  if (publish) {
    await media.attach(room).catch((error) => room.emit("error", error));
  }
}

function ended({ reason, error }) {
  place.drop();
  media.close();
  session_room = null;
  const [title, text] = ENDED[reason] ?? ["The room has ended for you", error?.reason ?? "The server ended this session."];
  const again = el("button", { class: "button button-primary", type: "button", on_click: () => location.reload() }, "Join again");
  show_end(title, text, reason === "banned" ? [] : [again]);
  if (reason === "unauthorized" || reason === "token_expired") pass.drop();
}

function show_end(title, text, actions) {
  by_id("loading").hidden = true;
  by_id("ended-title").textContent = title;
  by_id("ended-text").textContent = text;
  fill(by_id("ended-actions"), actions, el("a", { class: "button", href: "/" }, "To the start page"));
  by_id("ended").hidden = false;
  by_id("ended-title").focus();
}

// After a reload the place is taken again without the door; only if it is still kept, else the door asks.
async function resume(facts) {
  const kept = place.take();
  if (!kept) return false;
  media.mic_on = kept.mic_on;
  media.camera_on = kept.camera_on;
  try {
    const room = await Room.connect({ ...options({ name: kept.name }), resume: kept.secret });
    if (!room.resumed) {
      await room.leave();
      return false;
    }
    if (kept.publishing) await media.open();
    await enter(room, facts, kept.publishing);
    return true;
  } catch {
    return false;
  }
}

async function visit(facts) {
  by_id("loading").hidden = true;
  door.show(facts);
  for (;;) {
    const answer = await door.ask();
    try {
      const room = await Room.connect(options(answer));
      door.hide();
      if (!answer.publish) media.close();
      await enter(room, facts, answer.publish);
      return;
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      if (error.code === "unauthorized") pass.drop();
      door.refuse(error);
    }
  }
}

addEventListener("pagehide", () => {
  if (session_room) place.keep(session_room, media);
});

try {
  const facts = await prepare();
  if (!(await resume(facts))) await visit(facts);
} catch (error) {
  if (!(error instanceof ParleyError)) throw error;
  show_end("This room does not open", error.reason, []);
}
