import { el, fill } from "../ui/dom.js";
import { attempt } from "../ui/toast.js";

const LOOK_AGAIN_MS = 700;
const LAYOUTS = [["grid", "Everyone"], ["speaker", "Who speaks is large"], ["screen", "Shared screen is large"]];
const FORMATS = { mp4: "MP4 (H.264, AAC)", webm: "WebM (VP9, Opus)" };

/** Has films made of a recording, and people's own files put together. */
export class Making {
  #recordings;
  #id;
  #refresh;

  /** `refresh()` resolves with the playback as it is now. */
  constructor({ recordings, id, refresh }) {
    this.#recordings = recordings;
    this.#id = id;
    this.#refresh = refresh;
  }

  /** The form that asks how a film is to be made; `playable` is a format that this browser plays. */
  form(playable, on_made) {
    const layout = select("layout", "Layout", LAYOUTS);
    const format = select("format", "Format", Object.entries(FORMATS));
    format.field.value = playable;
    const chat = tick("chat", "Chat written into the picture", true);
    const names = tick("names", "Names under the pictures", true);
    const replay = tick("replay", "For viewers: only those who agreed that the recording is shown later", false);
    const go = el("button", { class: "button button-primary", type: "submit" }, "Make the film");
    const form = el("form", { class: "making" }, layout.row, format.row, chat.row, names.row, replay.row, go);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      const wish = { layout: layout.field.value, format: format.field.value, chat: chat.field.checked ? "burned" : "none", names: names.field.checked, use: replay.field.checked ? "replay" : "record" };
      await attempt(async () => on_made(await this.#recordings.make(this.#id, wish)));
      go.disabled = false;
    });
    return form;
  }

  /** Shows how far one is, until it ends: resolves with it. Throws ParleyError when it cannot be looked at any more. */
  async watch(rendition, place) {
    const bar = el("progress", { max: 1, value: rendition.progress, aria_label: "How far the film is" });
    const words = el("p", { role: "status" });
    fill(place, el("div", { class: "progress" }, words, bar));
    let now = rendition;
    while (now.state === "queued" || now.state === "rendering") {
      const text = now.state === "queued" ? `The film waits for its turn${now.reason ? ` (${now.reason})` : ""}.` : "The film is being made.";
      if (words.textContent !== text) words.textContent = text;
      bar.value = now.progress;
      await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN_MS); });
      now = await this.#recordings.rendition(this.#id, rendition.id);
    }
    return now;
  }

  /** Have somebody's own files put together, and save what comes of it as `name`. */
  async fetch_own(person, source, name) {
    await attempt(async () => {
      const made = await this.#recordings.make(this.#id, { layout: "copy", person, source });
      const done = await this.watch(made, el("div"));
      if (done.state !== "finished") throw new Error(`The file could not be made: ${done.reason}`);
      const { renditions } = await this.#refresh();
      save(renditions.find(({ id }) => id === done.id), name);
    });
  }

  /** Remove a film. */
  async remove(rendition) {
    await attempt(() => this.#recordings.remove(this.#id, rendition));
    await this.#refresh();
  }
}

/** Save a film under a name. */
export function save(rendition, name) {
  if (!rendition?.url) throw new Error("The file is not there any more.");
  const link = el("a", { href: rendition.url, download: `${name}.${rendition.format}` });
  document.body.append(link);
  link.click();
  link.remove();
}

function select(id, text, choices) {
  const field = el("select", { id: `make-${id}` }, choices.map(([value, words]) => el("option", { value }, words)));
  return { field, row: el("div", { class: "field" }, el("label", { for: `make-${id}` }, text), field) };
}

function tick(id, text, checked) {
  const field = el("input", { type: "checkbox", id: `make-${id}`, checked });
  return { field, row: el("label", { class: "tick" }, field, el("span", {}, text)) };
}
