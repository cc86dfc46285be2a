import { by_id, el, fill } from "../ui/dom.js";
import { duration, hue_of, initials, split_links } from "../ui/text.js";
import { last_begun } from "./timeline.js";

/** The chat beside the film: the line of the moment is marked and in sight; a click on a line goes to its time. */
export class Transcript {
  #list = by_id("chat");
  #lines = [];
  #now = null;
  #is_read = false;
  #on_seek;

  constructor({ on_seek }) {
    this.#on_seek = on_seek;
    // Whoever scrolls reads: the list then stays where it is until the pointer has left it.
    for (const name of ["wheel", "touchmove"]) this.#list.addEventListener(name, () => { this.#is_read = true; }, { passive: true });
    this.#list.addEventListener("pointerleave", () => { this.#is_read = false; });
  }

  /** Show these lines, by time. */
  show(lines) {
    this.#lines = lines;
    this.#now = null;
    by_id("chat-none").hidden = lines.length > 0;
    this.#list.hidden = lines.length === 0;
    fill(this.#list, lines.map((line) => this.#line(line)));
  }

  /** The film is at this time. */
  tell(at_ms) {
    const at = last_begun(this.#lines, at_ms);
    if (at === this.#now) return;
    this.#now = at;
    for (const [index, element] of [...this.#list.children].entries()) {
      element.classList.toggle("quote-to-come", index > at);
      if (index === at) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    }
    if (!this.#is_read) this.#bring(this.#list.children[Math.max(at, 0)]);
  }

  #bring(element) {
    if (!element) return;
    const top = element.offsetTop - this.#list.offsetTop - this.#list.clientHeight / 2 + element.offsetHeight / 2;
    this.#list.scrollTo({ top, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" });
  }

  #line({ at_ms, person, name, text }) {
    const avatar = el("span", { class: "avatar avatar-small", aria_hidden: "true" }, initials(name));
    avatar.style.setProperty("--hue", String(hue_of(person)));
    const time = el("button", { class: "quote-time", type: "button", title: "Go to this moment", on_click: () => this.#on_seek(at_ms) }, duration(at_ms));
    const element = el("li", { class: "quote", data_at: String(at_ms) }, avatar,
      el("div", { class: "quote-words" }, el("p", { class: "quote-head" }, el("b", {}, name), time), el("p", { class: "quote-text" }, split_links(text).map(linked))));
    element.addEventListener("click", (event) => {
      if (!event.target.closest("a, button") && !String(getSelection())) this.#on_seek(at_ms);
    });
    return element;
  }
}

function linked({ text, href }) {
  if (!href) return text;
  return el("a", { href, target: "_blank", rel: "nofollow noopener noreferrer", referrerPolicy: "no-referrer", title: `Leaves this site: ${href}` }, text);
}
