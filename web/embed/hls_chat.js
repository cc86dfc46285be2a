import { Emitter } from "../sdk/emitter.js";

const CUE = /^(\d+):(\d\d):(\d\d\.\d{3}) --> (\d+):(\d\d):(\d\d\.\d{3})\n(.*)$/gm;
const LINE = /^<v ([^>]*)><b>.*?<\/b> (.*)$/;
const ESCAPED = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/**
 * The chat beside an HlsSource's picture: a line comes with the picture beside which it was written, and stands as long as the newest WebVTT says.
 *
 * Events as of any source: `chat` {id, name, text}, `chat_deleted` {id}.
 */
export class HlsChat extends Emitter {
  #cues = [];
  #shown = new Map(); // key of a cue: id of its line
  #count = 0;

  /** The newest WebVTT; what it has no more was deleted, withdrawn, or stood long enough, and goes at once. */
  take(text) {
    this.#cues = parse_cues(text);
    const listed = new Set(this.#cues.map(({ key }) => key));
    for (const [key, id] of this.#shown) if (!listed.has(key)) this.#end(key, id);
  }

  /** The picture of that moment is there. */
  show(at_s) {
    const now = new Map(this.#cues.filter((cue) => cue.at_s <= at_s && at_s < cue.until_s).map((cue) => [cue.key, cue]));
    for (const [key, id] of this.#shown) if (!now.has(key)) this.#end(key, id);
    for (const [key, { name, text }] of now) {
      if (this.#shown.has(key)) continue;
      const id = `hls-${this.#count++}`;
      this.#shown.set(key, id);
      this.emit("chat", { id, name, text });
    }
  }

  /** Nothing stands any longer. */
  clear() {
    this.#cues = [];
    for (const [key, id] of this.#shown) this.#end(key, id);
  }

  #end(key, id) {
    this.#shown.delete(key);
    this.emit("chat_deleted", { id });
  }
}

/** The cues of a WebVTT file of this server: {key, at_s, until_s, name, text}. */
export function parse_cues(file) {
  return [...file.matchAll(CUE)].map(([key, ...found]) => {
    const [, name, text] = LINE.exec(found[6]) ?? ["", "", found[6]];
    return { key, at_s: seconds(found.slice(0, 3)), until_s: seconds(found.slice(3, 6)), name: plain(name), text: plain(text) };
  });
}

function seconds([hours, minutes, rest]) {
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

function plain(text) {
  return text.replace(/&(?:amp|lt|gt);/g, (escaped) => ESCAPED[escaped]);
}
