import { Emitter } from "../sdk/emitter.js";
import { ParleyError } from "../sdk/errors.js";

const BEHIND_MOST_S = 4;
const KEPT_S = 20;
const OVER = [403, 404, 410];

/**
 * A source of the embed player (see WhepSource) that plays this server's low-latency HLS through Media Source Extensions: where no media
 * connection gets through, HTTP does. Its `stream` is a MediaSource; it plays two to three seconds behind the room.
 */
export class HlsSource extends Emitter {
  #url;
  #video;
  #media = null;
  #buffer = null;
  #init = null;
  #at = null; // [segment, part] that comes next
  #abort = new AbortController();
  #ended = false;

  /** `url`: the signed playlist; `video`: the element that plays it. */
  constructor({ url, video }) {
    super();
    this.#url = new URL(url, globalThis.location.href);
    this.#video = video;
  }

  /** Whether this browser can play it. */
  static is_supported() {
    return Boolean(globalThis.ManagedMediaSource ?? globalThis.MediaSource);
  }

  /** Connect and play. Throws ParleyError when the server refuses; then the source has ended. */
  async start() {
    try {
      const index = await this.#text(this.#url);
      const codecs = /CODECS="([^"]+)"/.exec(index)?.[1];
      const media = index.split("\n").find((line) => line && !line.startsWith("#"));
      if (!codecs || !media) throw new ParleyError("unavailable", "nothing is there to play yet");
      await this.#open(`video/mp4; codecs="${codecs}"`);
      this.#play(new URL(media, this.#url));
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** End it. */
  stop() {
    this.#end("stopped");
  }

  #open(type) {
    this.#media = new (globalThis.ManagedMediaSource ?? globalThis.MediaSource)();
    this.#video.disableRemotePlayback = true;
    this.emit("stream", this.#media);
    return new Promise((resolve, reject) => {
      this.#media.addEventListener("sourceopen", () => {
        try {
          this.#buffer = this.#media.addSourceBuffer(type);
          resolve();
        } catch (error) {
          reject(error);
        }
      }, { once: true });
    });
  }

  async #play(url) {
    try {
      while (!this.#ended) {
        const wanted = new URL(url);
        if (this.#at) {
          wanted.searchParams.set("_HLS_msn", this.#at[0]);
          wanted.searchParams.set("_HLS_part", this.#at[1]);
        }
        for (const part of this.#coming(parse_playlist(await this.#text(wanted)))) await this.#append(part, url);
        await this.#keep_up();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  // What has not been played of the listed parts; from the newest part that begins with a keyframe when what came next is gone.
  #coming(parts) {
    const next = this.#at;
    let from = next ? parts.findIndex(({ segment, part }) => segment > next[0] || (segment === next[0] && part >= next[1])) : -1;
    if (from >= 0 && !follows(next, parts[from]) && !parts[from].is_independent) from = -1;
    if (from < 0) from = parts.findLastIndex((part) => part.is_independent && (!next || part.segment > next[0]));
    return from < 0 ? [] : parts.slice(from);
  }

  async #append(part, base) {
    if (part.init !== this.#init) {
      await this.#feed(await this.#bytes(new URL(part.init, base)));
      this.#init = part.init;
    }
    await this.#feed(await this.#bytes(new URL(part.url, base)));
    this.#at = part.ends_segment ? [part.segment + 1, 0] : [part.segment, part.part + 1];
  }

  async #feed(data) {
    if (this.#ended) return;
    const done = new Promise((resolve, reject) => {
      this.#buffer.addEventListener("updateend", resolve, { once: true });
      this.#buffer.addEventListener("error", () => reject(new ParleyError("unsupported", "this browser cannot play it")), { once: true });
    });
    this.#buffer.appendBuffer(data);
    await done;
  }

  // Plays where the room is: behind it after a stall is caught up, what was played is let go.
  async #keep_up() {
    const { buffered } = this.#buffer;
    if (!buffered.length || this.#ended) return;
    const end = buffered.end(buffered.length - 1);
    const begin = buffered.start(buffered.length - 1);
    const at = this.#video.currentTime;
    if (at < begin || end - at > BEHIND_MOST_S) this.#video.currentTime = Math.max(begin, end - 1);
    if (this.#video.paused) this.#video.play().catch(() => {});
    if (at - KEPT_S > buffered.start(0) && !this.#buffer.updating) {
      const done = new Promise((resolve) => this.#buffer.addEventListener("updateend", resolve, { once: true }));
      this.#buffer.remove(0, at - KEPT_S);
      await done;
    }
  }

  async #text(url) {
    return new TextDecoder().decode(await this.#bytes(url));
  }

  async #bytes(url) {
    const response = await fetch(url, { cache: "no-store", referrerPolicy: "no-referrer", signal: this.#abort.signal });
    if (response.ok) return response.arrayBuffer();
    const error = await ParleyError.from_response(response);
    error.is_over = OVER.includes(response.status);
    throw error;
  }

  #fail(error) {
    this.#end(error.is_over ? "over" : "lost", error);
  }

  #end(reason, error = null) {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    if (this.#media?.readyState === "open") this.#media.endOfStream();
    this.emit("ended", { reason, error });
  }
}

function follows([segment, part], found) {
  return found.segment === segment ? found.part === part : found.segment === segment + 1 && found.part === 0;
}

/** The parts of a media playlist, in order: {segment, part, url, init, is_independent, ends_segment}. */
export function parse_playlist(text) {
  const parts = [];
  let init = null, segment = 0, part = 0;
  for (const line of text.split("\n")) {
    const uri = /URI="([^"]+)"/.exec(line)?.[1];
    if (line.startsWith("#EXT-X-MEDIA-SEQUENCE:")) segment = Number(line.slice(22));
    else if (line.startsWith("#EXT-X-MAP:")) init = uri;
    else if (line.startsWith("#EXT-X-PART:")) parts.push({ segment, part: part++, url: uri, init, is_independent: line.includes("INDEPENDENT=YES"), ends_segment: false });
    else if (line && !line.startsWith("#")) {
      if (part) parts.at(-1).ends_segment = true;
      segment++;
      part = 0;
    }
  }
  return parts;
}
