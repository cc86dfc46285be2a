import { claims_of } from "../sdk/token.js";
import { fetch_dev_token, fetch_guest_token } from "../ui/api.js";
import { recall, remember } from "../ui/storage.js";

/**
 * The token that opens this room: from the link's fragment, from an earlier load of this tab, or, on a development server, minted.
 * With it the fragment may name the URL that renews it.
 *
 * Both are taken out of the address bar at once, so that a copied address does not hand on one's own pass.
 */
export class Pass {
  #key;
  #room;
  #minted;
  #renew_url;

  constructor(room) {
    this.#room = room;
    this.#key = `parley.pass.${room}`;
    const kept = recall("sessionStorage", this.#key) ?? {};
    const fragment = new URLSearchParams(location.hash.slice(1));
    const brought = fragment.get("token");
    this.is_host = fragment.has("host") || Boolean(kept.is_host);
    this.token = brought ?? (still_good(kept.token) ? kept.token : null);
    this.#minted = !brought && Boolean(kept.minted);
    // Only together: a link without a token must not send a kept one anywhere.
    this.#renew_url = brought ? web_address(fragment.get("renew")) : kept.renew_url ?? null;
    if (location.hash) history.replaceState(null, "", location.pathname);
    this.#keep();
  }

  /** The token's claims, or null. */
  get claims() {
    return this.token ? claims_of(this.token) : null;
  }

  /** A token of one's own: an invitation becomes a guest's, and without any the server mints one. Throws ParleyError where it does not. */
  async ensure() {
    if (this.claims?.guests) this.replace((await fetch_guest_token(this.#room, this.token)).token);
    if (!this.token) {
      this.#minted = true;
      this.replace((await fetch_dev_token({ room: this.#room, moderator: this.is_host })).token);
    }
    return this.token;
  }

  /** What fetches the next token of the same identity: a function, the link's URL, or null where only the link's sender can. */
  get renew() {
    if (!this.#minted) return this.#renew_url;
    return async () => (await fetch_dev_token({ room: this.#room, moderator: this.is_host, identity: this.claims.sub })).token;
  }

  /** Use this token from now on. */
  replace(token) {
    this.token = token;
    this.#keep();
  }

  /** Forget the token. */
  drop() {
    this.token = null;
    remember("sessionStorage", this.#key, this.is_host ? { is_host: true } : null);
  }

  #keep() {
    if (this.token || this.is_host) remember("sessionStorage", this.#key, { token: this.token, minted: this.#minted, renew_url: this.#renew_url, is_host: this.is_host });
  }
}

function still_good(token) {
  const exp = token ? claims_of(token)?.exp : null;
  return Number.isFinite(exp) && exp * 1000 > Date.now() + 60_000;
}

function web_address(text) {
  if (!text || !URL.canParse(text, location.href)) return null;
  const url = new URL(text, location.href);
  return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
}
