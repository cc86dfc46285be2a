import { Emitter } from "../sdk/emitter.js";
import { ParleyError } from "../sdk/errors.js";
import { HlsBuffer } from "./hls_buffer.js";
import { HlsChat } from "./hls_chat.js";
import { coming, parse_index, parse_playlist } from "./hls_playlist.js";

const OVER = [403, 404, 410];
const GONE = [404, 410];

/**
 * A source of the embed player (see WhepSource) that plays this server's low-latency HLS through Media Source Extensions: where no media
 * connection gets through, HTTP does. Its `stream` is a MediaSource; it plays two to three seconds behind the room.
 *
 * Only a playlist says that it is over. A part that is gone was withdrawn or is too old: the newest picture comes next. `dark` boolean: see HlsBuffer.
 */
export class HlsSource extends Emitter {
  #url;
  #video;
  #media = null;
  #buffer = null;
  #chat = new HlsChat();
  #chat_url = null;
  #init = null;
  #next = null; // [segment, part] that comes next
  #missed = null;
  #abort = new AbortController();
  #ended = false;

  /** `url`: the signed playlist; `video`: the element that plays it. */
  constructor({ url, video }) {
    super();
    this.#url = new URL(url, globalThis.location.href);
    this.#video = video;
    for (const name of ["chat", "chat_deleted"]) this.#chat.on(name, (line) => this.emit(name, line));
  }

  /** Whether this browser can play it. */
  static is_supported() {
    return Boolean(globalThis.ManagedMediaSource ?? globalThis.MediaSource);
  }

  /** Connect and play. Throws ParleyError when the server refuses; then the source has ended. */
  async start() {
    try {
      const { codecs, media, chat } = parse_index(await this.#playlist(this.#url));
      if (!codecs || !media) throw new ParleyError("unavailable", "nothing is there to play yet");
      await this.#open(`video/mp4; codecs="${codecs}"`);
      if (chat) {
        this.#chat_url = new URL(chat, this.#url);
        this.#video.requestVideoFrameCallback(this.#presented);
      }
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

  async #open(type) {
    this.#media = new (globalThis.ManagedMediaSource ?? globalThis.MediaSource)();
    this.#video.disableRemotePlayback = true;
    const opened = new Promise((resolve) => this.#media.addEventListener("sourceopen", resolve, { once: true }));
    this.emit("stream", this.#media);
    await opened;
    this.#buffer = new HlsBuffer(this.#video, this.#media, type);
    this.#buffer.on("dark", (is_dark) => {
      if (this.#ended) return;
      if (is_dark) this.#chat.clear();
      this.emit("dark", is_dark);
    });
  }

  async #play(url) {
    try {
      while (!this.#ended) {
        const list = parse_playlist(await this.#playlist(this.#ahead(url)));
        await this.#buffer.let_go(list.first);
        const chat = this.#read_chat(list);
        for (const part of coming(list, this.#next)) if (!(await this.#append(part, url))) break;
        await chat;
        // What was waited for does not come: its segment ended before, or was withdrawn with all that is listed.
        if (!this.#next || list.next > this.#next[0]) this.#next = [list.next, 0];
        this.#buffer.keep_up();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  // The playlist as soon as it has what comes next.
  #ahead(url) {
    const wanted = new URL(url);
    if (this.#next) {
      wanted.searchParams.set("_HLS_msn", this.#next[0]);
      wanted.searchParams.set("_HLS_part", this.#next[1]);
    }
    return wanted;
  }

  // Whether the part was there.
  async #append(part, base) {
    const init = part.init === this.#init ? null : await this.#bytes(new URL(part.init, base));
    const data = await this.#bytes(new URL(part.url, base));
    if (this.#ended) return false;
    if (!data || (part.init !== this.#init && !init)) {
      if (part.url === this.#missed) throw new ParleyError("unavailable", "what is listed is not there");
      this.#missed = part.url;
      return false;
    }
    if (init) await this.#buffer.begin(init);
    this.#init = part.init;
    await this.#buffer.append(data, part.segment);
    this.#next = part.ends_segment ? [part.segment + 1, 0] : [part.segment, part.part + 1];
    return true;
  }

  // The chat beside the newest segment, so far: its name is that of its playlist with the segment's number.
  async #read_chat({ parts }) {
    if (!this.#chat_url || !parts.length) return;
    const url = new URL(this.#chat_url);
    url.pathname = url.pathname.replace(/\.m3u8$/, `-${parts.at(-1).segment}.vtt`);
    const file = await this.#bytes(url).catch(() => null);
    if (file) this.#chat.take(new TextDecoder().decode(file));
  }

  #presented = (_now, { mediaTime }) => {
    if (this.#ended) return;
    this.#chat.show(mediaTime);
    this.#video.requestVideoFrameCallback(this.#presented);
  };

  async #playlist(url) {
    const response = await this.#fetch(url);
    if (response.ok) return response.text();
    const error = await ParleyError.from_response(response);
    error.is_over = OVER.includes(response.status);
    throw error;
  }

  // Null when it is there no more.
  async #bytes(url) {
    const response = await this.#fetch(url);
    if (response.ok) return response.arrayBuffer();
    if (GONE.includes(response.status)) return null;
    throw await ParleyError.from_response(response);
  }

  #fetch(url) {
    return fetch(url, { cache: "no-store", referrerPolicy: "no-referrer", signal: this.#abort.signal });
  }

  #fail(error) {
    this.#end(error.is_over ? "over" : "lost", error);
  }

  #end(reason, error = null) {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    this.emit("ended", { reason, error });
  }
}
