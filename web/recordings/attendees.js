import { by_id, el, fill } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { duration, hue_of, initials } from "../ui/text.js";
import { share_of } from "./timeline.js";

const SOURCES = { camera: "camera and voice", screen: "screen" };

/** Everybody who is shown, each with a lane of when they were in it, and, for those who may, their own files. */
export class Attendees {
  #making;
  #on_seek;

  /** `making` fetches own files, null for viewers; `on_seek(at_ms)` runs when a span is chosen. */
  constructor({ making, on_seek }) {
    this.#making = making;
    this.#on_seek = on_seek;
  }

  /** Show those of a playback. */
  show({ people, hidden, duration_ms }) {
    by_id("people-box").hidden = false;
    by_id("people-title").textContent = people.length === 1 ? "In this recording: one person" : `In this recording: ${people.length} people`;
    fill(by_id("people"), people.map((one) => this.#row(one, duration_ms)));
    by_id("hidden-people").hidden = hidden === 0;
    by_id("hidden-people").textContent = hidden === 1 ? "One more person was there and is not shown: they did not agree to it." : `${hidden} more people were there and are not shown: they did not agree to it.`;
  }

  /** The film is at this time: mark who is there. */
  tell(at_ms) {
    for (const row of by_id("people").children) {
      const is_there = JSON.parse(row.dataset.spans).some(([from_ms, to_ms]) => at_ms >= from_ms && at_ms < to_ms);
      row.classList.toggle("attendee-there", is_there);
    }
  }

  #row({ person, name, spans, sources }, duration_ms) {
    const avatar = el("span", { class: "avatar", aria_hidden: "true" }, initials(name));
    avatar.style.setProperty("--hue", String(hue_of(person)));
    const total_ms = spans.reduce((sum, { from_ms, to_ms }) => sum + to_ms - from_ms, 0);
    return el("li", { class: "attendee", data_person: person, data_spans: JSON.stringify(spans.map(({ from_ms, to_ms }) => [from_ms, to_ms])) },
      avatar,
      el("div", { class: "attendee-words" }, el("p", { class: "attendee-name" }, name), el("p", { class: "soft" }, `${duration(total_ms)} in it`)),
      el("div", { class: "lane" }, spans.map((span) => this.#span(span, name, duration_ms))),
      this.#making && el("div", { class: "attendee-files" }, sources.map((source) => this.#download(person, name, source))));
  }

  #span({ from_ms, to_ms }, name, duration_ms) {
    const words = `${name}: ${duration(from_ms)} to ${duration(to_ms)}`;
    const span = el("button", { class: "lane-span", type: "button", aria_label: words, title: words, on_click: () => this.#on_seek(from_ms) });
    span.style.setProperty("left", `${share_of(from_ms, duration_ms) * 100}%`);
    span.style.setProperty("width", `${share_of(to_ms - from_ms, duration_ms) * 100}%`);
    return span;
  }

  #download(person, name, source) {
    const words = `Download ${name}'s ${SOURCES[source]}`;
    const button = el("button", { class: "button button-small", type: "button", aria_label: words, title: words, data_source: source }, icon("download"), el("span", {}, source === "camera" ? "Own file" : "Screen"));
    button.addEventListener("click", async () => {
      const label = button.querySelector("span");
      const words_before = label.textContent;
      button.disabled = true;
      label.textContent = "Preparing";
      await this.#making.fetch_own(person, source, `${name} - ${source}`);
      label.textContent = words_before;
      button.disabled = false;
    });
    return button;
  }
}
