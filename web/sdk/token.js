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

/** Milliseconds from `now_ms` until 80 % of the token's life is over, at least 1 s; null when it names no times. */
export function renew_in_ms(token, now_ms) {
  const claims = claims_of(token);
  if (!Number.isFinite(claims?.exp) || !Number.isFinite(claims?.nbf)) return null;
  const at_ms = (claims.nbf + 0.8 * (claims.exp - claims.nbf)) * 1000;
  return Math.max(1000, at_ms - now_ms);
}
