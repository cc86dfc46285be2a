import { ParleyError } from "../sdk/errors.js";

const BASE = "/api/v1/recordings";
const MOST_LINES = 5000;

/** The server's recordings as seen with one token. Everything throws ParleyError. */
export class Recordings {
  #token;

  constructor(token) {
    this.#token = token;
  }

  /** {items, next}: newest first. */
  list({ after = null, limit = 24 } = {}) {
    return this.#ask("GET", `?limit=${limit}${after ? `&after=${encodeURIComponent(after)}` : ""}`);
  }

  /** What the page of one shows. */
  playback(id) {
    return this.#ask("GET", `/${encodeURIComponent(id)}/playback`);
  }

  /** Its chat lines, by time. */
  async chat(id) {
    const lines = [];
    for (let after = "0"; after !== null && lines.length < MOST_LINES;) {
      const { items, next } = await this.#ask("GET", `/${encodeURIComponent(id)}/chat?limit=200&after=${after}`);
      lines.push(...items);
      after = next;
    }
    return lines;
  }

  /** Have a composed file made. */
  make(id, wish) {
    return this.#ask("POST", `/${encodeURIComponent(id)}/renditions`, wish);
  }

  /** A composed file as it is now. */
  rendition(id, rendition) {
    return this.#ask("GET", `/${encodeURIComponent(id)}/renditions/${encodeURIComponent(rendition)}`);
  }

  /** Remove a composed file. */
  remove(id, rendition) {
    return this.#ask("DELETE", `/${encodeURIComponent(id)}/renditions/${encodeURIComponent(rendition)}`);
  }

  /** A link for viewers: {url, token, expires_at}. */
  link(id) {
    return this.#ask("POST", `/${encodeURIComponent(id)}/links`, {});
  }

  async #ask(method, path, body = null) {
    const headers = { authorization: `Bearer ${this.#token}`, ...(body ? { "content-type": "application/json" } : {}) };
    let response;
    try {
      response = await fetch(`${BASE}${path}`, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    } catch {
      throw new ParleyError("disconnected", "The server cannot be reached. Try again in a moment.");
    }
    if (!response.ok) throw await ParleyError.from_response(response);
    return response.status === 204 ? null : response.json();
  }
}
