import assert from "node:assert/strict";
import { test } from "node:test";
import { delay_ms, should_rejoin } from "../../web/sdk/backoff.js";

test("waits double from half a second to ten seconds", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 60].map((attempt) => delay_ms(attempt, 0.999999)), [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test("jitter takes away at most half", () => {
  for (let attempt = 0; attempt < 20; attempt++) assert.ok(delay_ms(attempt, 0) * 2 >= delay_ms(attempt, 0.999999) - 1);
});

test("a lost connection is rejoined, a refusal is not", () => {
  assert.deepEqual([1000, 1001, 1006, 1011, 4430, 4999].map(should_rejoin), Array(6).fill(true));
  assert.deepEqual([1003, 1007, 4401, 4403, 4408, 4409, 4410, 4429].map(should_rejoin), Array(8).fill(false));
});
