import { delay_ms, should_rejoin } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import { RpcConnection } from "./rpc.js";

const FATAL_JOIN_CODES = new Set(["unauthorized", "forbidden", "banned", "terms_required", "age_required", "protocol"]);
const LEAVE_TIMEOUT_MS = 2000;

/** The WebSocket address of the server that served this page, or of `base`. */
export function signalling_url(base = globalThis.location.href) {
  const url = new URL("/v1/rtc", base);
  url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
  return url.href;
}

/**
 * The signalling of one place in a room: joins, joins again with the resume secret when the WebSocket is lost, and ends once.
 *
 * Events: `joined` (a join's result), `notification` {method, params}, `lost`, `ended` {reason, error}.
 */
export class Signalling extends Emitter {
  /** The secret that takes this place again, once; null before the first join. */
  resume_secret;

  #url;
  #request;
  #rpc = null;
  #attempt = 0;
  #wait_s = 0;
  #timer = null;
  #has_ended = false;

  /** `request({is_first})` resolves with the join call's params; it is asked before each join. */
  constructor({ url, request, resume = null }) {
    super();
    this.#url = url;
    this.#request = request;
    this.resume_secret = resume;
  }

  /** Join for the first time. Throws ParleyError: the server's refusal, or `unreachable`. */
  open() {
    return this.#join({ is_first: true });
  }

  /** Call a method; its result. Throws ParleyError. */
  call(method, params = {}, limits = {}) {
    if (!this.#rpc) return Promise.reject(new ParleyError("disconnected", "Reconnecting to the server. Try again in a moment."));
    return this.#rpc.call(method, params, limits);
  }

  /** The server asked not to come back sooner than in `wait_s`. */
  hold_off(wait_s) {
    this.#wait_s = wait_s;
  }

  /** Give the WebSocket up as dead; it is joined again. */
  drop() {
    this.#rpc?.close(4999, "no answer");
  }

  /** Leave the room: all grants end before the answer; then end. */
  async leave() {
    await this.#rpc?.call("leave", {}, { timeout_ms: LEAVE_TIMEOUT_MS }).catch(() => {});
    this.end("left");
  }

  /** End for good. */
  end(reason, error = null) {
    if (this.#has_ended) return;
    this.#has_ended = true;
    clearTimeout(this.#timer);
    this.emit("ended", { reason, error });
    this.#rpc?.close();
    this.#rpc = null;
  }

  async #join({ is_first }) {
    const { media, ...params } = await this.#request({ is_first });
    const rpc = await RpcConnection.open(this.#url);
    let result;
    try {
      result = await rpc.call("join", { ...params, ...(this.resume_secret ? { resume: this.resume_secret, media } : {}) });
    } catch (error) {
      rpc.close();
      throw error;
    }
    if (this.#has_ended) {
      rpc.close();
      return;
    }
    this.#rpc = rpc;
    this.#attempt = 0;
    this.#wait_s = 0;
    this.resume_secret = result.resume;
    rpc.on("notification", (message) => this.emit("notification", message));
    rpc.on("close", (close) => this.#lost(close));
    this.emit("joined", result);
  }

  #lost({ code, reason }) {
    this.#rpc = null;
    if (this.#has_ended) return;
    if (!should_rejoin(code)) {
      this.end(reason || "closed");
      return;
    }
    this.emit("lost");
    this.#retry();
  }

  #retry() {
    const wait_ms = Math.max(delay_ms(this.#attempt++, Math.random()), this.#wait_s * 1000);
    this.#timer = setTimeout(() => this.#rejoin(), wait_ms);
  }

  async #rejoin() {
    try {
      await this.#join({ is_first: false });
    } catch (error) {
      if (this.#has_ended) return;
      this.#wait_s = error.retry_after_s ?? 0;
      if (FATAL_JOIN_CODES.has(error.code)) this.end(error.code, error);
      else this.#retry();
    }
  }
}
