import { claims_of } from "../sdk/token.js";
import { recall, remember } from "../ui/storage.js";

const KEY = "parley.recordings";

/** The token that opens recordings: from the link's fragment, or from an earlier page of this tab. The fragment leaves the address bar at once. */
export class Pass {
  constructor() {
    const brought = new URLSearchParams(location.hash.slice(1)).get("token");
    if (location.hash) history.replaceState(null, "", location.pathname);
    this.token = brought ?? recall("sessionStorage", KEY);
    if (brought) remember("sessionStorage", KEY, brought);
  }

  /** Whether the token permits what only those who record may: make films, fetch people's own files, invite viewers. */
  get may_record() {
    return ["record", "admin"].some((one) => this.#claims?.grants?.includes(one));
  }

  /** Whether the token permits sending the recording to other sites again. */
  get may_broadcast() {
    return ["broadcast", "admin"].some((one) => this.#claims?.grants?.includes(one));
  }

  /** The one recording that the token opens, or null. */
  get recording() {
    return this.#claims?.recording ?? null;
  }

  /** The room that the token opens, or null. */
  get room() {
    return this.#claims?.room ?? null;
  }

  get #claims() {
    return this.token ? claims_of(this.token) : null;
  }
}
