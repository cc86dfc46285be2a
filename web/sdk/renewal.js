import { delay_ms } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import { ends_in_ms, is_due, renew_in_ms } from "./token.js";

const FETCH_TIMEOUT_MS = 10_000;

/**
 * Keeps a token fresh: gets the next one of the same identity at 80 % of its life, and tries again until it ends.
 *
 * Events: `expiring` {error}: nobody can be asked for another token (error null), or the first try failed.
 */
export class Renewal extends Emitter {
  #token;
  #fetch_next;
  #apply;
  #timer = null;
  #attempt = 0;
  #is_running = false;
  #is_asking = false;

  /** `renew`: a function that resolves with the next token, the URL that answers with it (docs/protocol.md section 1), or null. `apply(token)` tells the server. */
  constructor({ token, renew, apply }) {
    super();
    this.#token = token;
    this.#fetch_next = typeof renew === "string" ? () => fetch_token(renew, this.#token) : renew;
    this.#apply = apply;
  }

  /** A token for another join: renewed first when it is time; the old one when that fails, which the server may refuse. */
  async fresh() {
    if (!this.#fetch_next || !is_due(this.#token, Date.now())) return this.#token;
    try {
      this.#token = await this.#fetch_next();
    } catch (error) {
      this.emit("expiring", { error: ParleyError.from_any(error, "renewal_failed") });
    }
    return this.#token;
  }

  /** The server took this token. */
  take(token) {
    this.#token = token;
    this.start();
  }

  /** Renew when it is time. */
  start() {
    this.#is_running = true;
    this.#attempt = 0;
    const wait_ms = renew_in_ms(this.#token, Date.now());
    if (wait_ms !== null) this.#wait(wait_ms);
  }

  /** Do not renew any more. */
  stop() {
    this.#is_running = false;
    clearTimeout(this.#timer);
  }

  /** The server says that the token ends soon. */
  remind() {
    if (!this.#fetch_next) this.emit("expiring", { error: null });
    else if (this.#attempt === 0) this.#renew();
  }

  #wait(wait_ms) {
    clearTimeout(this.#timer);
    if (this.#fetch_next && this.#is_running) this.#timer = setTimeout(() => this.#renew(), wait_ms);
  }

  async #renew() {
    if (this.#is_asking) return;
    this.#is_asking = true;
    try {
      const next = await this.#fetch_next();
      await this.#apply(next).catch((error) => {
        // The connection is away: the next join takes it.
        if (error.code !== "disconnected") throw error;
        this.#token = next;
      });
    } catch (error) {
      if (this.#attempt++ === 0) this.emit("expiring", { error: ParleyError.from_any(error, "renewal_failed") });
      const wait_ms = delay_ms(this.#attempt, Math.random());
      if (wait_ms < ends_in_ms(this.#token, Date.now())) this.#wait(wait_ms);
    } finally {
      this.#is_asking = false;
    }
  }
}

async function fetch_token(url, token) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, accept: "application/json" },
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (!response.ok) throw await ParleyError.from_response(response);
  const { token: next } = await response.json();
  if (typeof next !== "string") throw new ParleyError("renewal_failed", "The renewal's answer has no token.");
  return next;
}
