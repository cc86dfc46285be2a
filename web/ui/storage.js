// Small things that the pages remember in this browser. Everything works without it: a browser may refuse storage.

function reach(area, action) {
  try {
    return action(globalThis[area]);
  } catch {
    return null;
  }
}

/** A JSON value kept under `key` in `sessionStorage` (this tab) or `localStorage` (this browser), or null. */
export function recall(area, key) {
  return reach(area, (store) => JSON.parse(store.getItem(key)));
}

/** Keep a JSON value; null forgets it. */
export function remember(area, key, value) {
  reach(area, (store) => (value === null ? store.removeItem(key) : store.setItem(key, JSON.stringify(value))));
}
