// PURE: what a client may read in its own token. Nothing is verified here; the server does that.

/** The claims of a JWT, or null if it is not one. */
export function claims_of(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" ? claims : null;
  } catch {
    return null;
  }
}

/** Milliseconds from `now_ms` until 80 % of the token's life is over, at least 1 s and 5 % of its life; null when it names no times. */
export function renew_in_ms(token, now_ms) {
  const life = life_of(token);
  // The least wait keeps a client whose clock is wrong from renewing without end.
  return life && Math.max(1000, 0.05 * (life.to_ms - life.from_ms), due_ms(life) - now_ms);
}

/** Whether 80 % of the token's life is over. */
export function is_due(token, now_ms) {
  const life = life_of(token);
  return life !== null && now_ms >= due_ms(life);
}

/** Milliseconds until the token ends; endless when it names no times. */
export function ends_in_ms(token, now_ms) {
  const life = life_of(token);
  return life === null ? Infinity : life.to_ms - now_ms;
}

function life_of(token) {
  const claims = claims_of(token);
  if (!Number.isFinite(claims?.exp) || !Number.isFinite(claims?.nbf)) return null;
  return { from_ms: claims.nbf * 1000, to_ms: claims.exp * 1000 };
}

function due_ms({ from_ms, to_ms }) {
  return from_ms + 0.8 * (to_ms - from_ms);
}
