import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";

const CHAT_AGAIN_MS = 300;

/**
 * One way to play a room from outside: WHEP (docs/protocol.md section 10), with the chat of those whose chat may go out.
 *
 * A *source* of the embed player has `start()`, `stop()` and the events `stream` MediaStream, `chat` {id, name, text, at_ms}, `chat_deleted` {id}, `ended` {reason, error};
 * this one plays within a second of the room. `ended` comes once: `over` (403, 404, 410: do not try again), `lost` (try again), `stopped`.
 */
export class WhepSource extends Emitter {
  #url;
  #token;
  #connection = null;
  #resource = null;
  #abort = new AbortController();
  #ended = false;

  constructor({ url, token }) {
    super();
    this.#url = new URL(url, globalThis.location.href);
    this.#token = token;
  }

  /** Connect and play. Throws ParleyError when the server refuses; then the source has ended. */
  async start() {
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#connection = connection;
    const stream = new MediaStream();
    connection.addTransceiver("audio", { direction: "recvonly" });
    connection.addTransceiver("video", { direction: "recvonly" });
    connection.ontrack = ({ track }) => stream.addTrack(track);
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "connected") this.emit("stream", stream);
      if (connection.connectionState === "failed") this.#end("lost");
    };
    try {
      // The server is ICE-lite and needs none of this side's candidates: gathering begins when its answer has named the TURN servers.
      const offer = await connection.createOffer();
      const response = await this.#request(this.#url, "POST", {
        "content-type": "application/sdp",
        accept: "application/sdp",
      }, offer.sdp);
      this.#resource = new URL(response.headers.get("location"), this.#url);
      connection.setConfiguration({ ...connection.getConfiguration(), iceServers: ice_servers(response.headers.get("link")) });
      await connection.setLocalDescription(offer);
      await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch (error) {
      this.#end(is_over(error) ? "over" : "lost", error);
      throw error;
    }
    this.#read_chat();
  }

  /** End the session at the server and here. */
  stop() {
    this.#end("stopped");
  }

  async #request(url, method, headers = {}, body = undefined, extra = {}) {
    const response = await fetch(url, {
      method,
      body,
      headers: { ...headers, ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}) },
      cache: "no-store",
      referrerPolicy: "no-referrer",
      ...extra,
    });
    if (!response.ok) throw await ParleyError.from_response(response);
    return response;
  }

  // The feed also tells that the session is over: the server ends it, and answers 404 or 410 when it is asked for again.
  async #read_chat() {
    const url = new URL(`${this.#resource.pathname}/chat`, this.#resource);
    try {
      while (!this.#ended) {
        const response = await this.#request(url, "GET", { accept: "text/event-stream" }, undefined, { signal: this.#abort.signal });
        await this.#read_lines(response.body.pipeThrough(new TextDecoderStream()).getReader());
        await new Promise((resolve) => setTimeout(resolve, CHAT_AGAIN_MS));
      }
    } catch (error) {
      this.#end(is_over(error) ? "over" : "lost", error);
    }
  }

  async #read_lines(reader) {
    let rest = "";
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const lines = (rest + chunk.value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) if (line.startsWith("data:")) this.#tell(JSON.parse(line.slice(5)));
    }
  }

  #tell(line) {
    if (line.deleted) this.emit("chat_deleted", { id: line.deleted });
    else this.emit("chat", line);
  }

  #end(reason, error = null) {
    if (this.#ended) return;
    this.#ended = true;
    this.#abort.abort();
    if (this.#connection) {
      this.#connection.onconnectionstatechange = null;
      this.#connection.close();
    }
    if (this.#resource && reason !== "over") this.#request(this.#resource, "DELETE", {}, undefined, { keepalive: true }).catch(() => {});
    this.emit("ended", { reason, error });
  }
}

function is_over(error) {
  return ["http_403", "http_404", "http_410", "forbidden", "not_found", "unauthorized", "gone"].includes(error.code);
}

/** The `Link` headers of an answer as RTCIceServers. Source: RFC 9725 section 4.6. */
export function ice_servers(link) {
  const servers = [];
  for (const [, url, parameters] of (link ?? "").matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="[^"]*")*)/g)) {
    const values = Object.fromEntries([...parameters.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    if (values.rel !== "ice-server") continue;
    const { username, credential } = values;
    servers.push({ urls: url, ...(username ? { username, credential } : {}) });
  }
  return servers;
}
