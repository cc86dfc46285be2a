// PURE: when to join again after the WebSocket was lost (docs/protocol.md section 7).

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
const FINAL_CODES = new Set([1003, 1007]);

/** Milliseconds to wait before try number `attempt` (0 is the first); `random` in [0, 1) spreads clients over the upper half. */
export function delay_ms(attempt, random) {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(longest * (0.5 + random / 2));
}

/**
 * Whether a close with this code, which was not one's own, is worth another join: not after the server's 44xx refusals but a slow reader's.
 *
 * 1000 is: Firefox tells it a page that is being reloaded, whose place must be kept.
 */
export function should_rejoin(close_code) {
  if (close_code === 4430) return true;
  return !FINAL_CODES.has(close_code) && !(close_code >= 4400 && close_code < 4500);
}
