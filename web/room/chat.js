import { by_id, el } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { clock_time, list_words, split_links, use_words } from "../ui/text.js";
import { toast } from "../ui/toast.js";

const MOST_LINES = 500;
const SAME_AUTHOR_MS = 120_000;
const NEAR_END_PX = 60;

/** The chat panel: lines as plain text with marked links, who wrote when, and where one's words go. `on_unread(count)` follows lines while hidden. */
export class Chat {
  #room;
  #list = by_id("chat-lines");
  #text = by_id("chat-text");
  #last = null;
  #shown = new Set();
  #unread = 0;
  #on_unread;
  #is_visible;

  constructor({ room, on_unread, is_visible }) {
    this.#room = room;
    this.#on_unread = on_unread;
    this.#is_visible = is_visible;
    by_id("chat-send").replaceChildren(icon("send"));
    by_id("chat-form").addEventListener("submit", (event) => this.#send(event));
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) this.#send(event);
    });
    this.#text.addEventListener("input", () => this.#grow());
    room.on("chat", (line) => this.#add(line));
    room.on("chat_deleted", ({ id }) => this.#remove(id));
    room.on("state", ({ state }) => state === "connected" && this.#catch_up());
    for (const name of ["activities", "consent", "notice", "permissions"]) room.on(name, () => this.#show_reach());
    this.#catch_up();
    this.#show_reach();
  }

  /** The panel was opened: nothing is unread any more. */
  opened() {
    this.#unread = 0;
    this.#on_unread(0);
    this.#list.scrollTop = this.#list.scrollHeight;
    if (matchMedia("(pointer: fine)").matches) this.#text.focus();
  }

  #catch_up() {
    for (const line of this.#room.chat_history) this.#add(line, { old: true });
  }

  #add(line, { old = false } = {}) {
    if (this.#shown.has(line.id)) return;
    this.#shown.add(line.id);
    const at_end = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < NEAR_END_PX;
    this.#list.append(this.#line(line));
    while (this.#list.children.length > MOST_LINES) this.#list.firstElementChild.remove();
    if (at_end || line.participant === this.#room.self.participant) this.#list.scrollTop = this.#list.scrollHeight;
    if (old || this.#is_visible()) return;
    this.#on_unread(++this.#unread);
  }

  #line(line) {
    const { at_ms, participant, name, text } = line;
    const own = participant === this.#room.self.participant;
    const follows = this.#last?.participant === participant && at_ms - this.#last.at_ms < SAME_AUTHOR_MS;
    this.#last = line;
    const time = el("time", { dateTime: new Date(at_ms).toISOString() }, clock_time(at_ms));
    const is_mine = line.identity === this.#room.self.identity;
    return el("li", { id: line_element(line.id), class: `line${own ? " line-own" : ""}${follows ? " line-follows" : ""}` },
      el("p", { class: follows ? "line-head visually-hidden" : "line-head" }, el("span", { class: "line-name" }, own ? "You" : name), " ", time),
      el("p", { class: "line-text" }, split_links(text).map(linked)),
      is_mine || this.#room.may("moderate") ? this.#bin(line, is_mine) : null);
  }

  #bin({ id, name }, is_mine) {
    const label = is_mine ? "Delete your line, here and in recordings" : `Delete this line of ${name}, here and in recordings`;
    const button = el("button", { type: "button", class: "line-delete", title: label, ariaLabel: label }, icon("bin"));
    button.addEventListener("click", async () => {
      try {
        await this.#room.delete_chat(id);
      } catch (error) {
        toast(error.reason ?? error.message, { kind: "error" });
      }
    });
    return button;
  }

  #remove(id) {
    by_id(line_element(id))?.remove();
    this.#last = null;
  }

  async #send(event) {
    event.preventDefault();
    const text = this.#text.value.trim();
    if (!text) return;
    try {
      await this.#room.chat(text);
      this.#text.value = "";
      this.#grow();
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  }

  #grow() {
    this.#text.style.setProperty("height", "auto");
    this.#text.style.setProperty("height", `${Math.min(this.#text.scrollHeight + 2, 140)}px`);
  }

  // Whether what one writes here leaves the room.
  #show_reach() {
    const may = this.#room.may("chat");
    this.#text.disabled = !may;
    this.#text.placeholder = may ? "Write to everyone" : "Your link does not include chat";
    by_id("chat-send").disabled = !may;
    const { activities, terms } = this.#room;
    const out = activities.filter((activity) => this.#room.is_in(activity) && use_words(activity.kind, terms).media.includes("chat"));
    by_id("chat-outside").hidden = out.length === 0;
    by_id("chat-outside").textContent = `What you write also goes to the ${list_words([...new Set(out.map(({ kind }) => use_words(kind).noun))])}.`;
  }
}

function line_element(id) {
  return `line-${id}`;
}

function linked({ text, href }) {
  if (!href) return text;
  return el("a", { href, target: "_blank", rel: "nofollow noopener noreferrer", referrerPolicy: "no-referrer", title: `Leaves this site: ${href}` }, text);
}
