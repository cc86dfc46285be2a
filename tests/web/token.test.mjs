import assert from "node:assert/strict";
import { test } from "node:test";
import { claims_of, ends_in_ms, is_due, renew_in_ms } from "../../web/sdk/token.js";

const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;

test("claims are read whatever letters they hold", () => {
  assert.deepEqual(claims_of(token({ sub: "Zoë 🦉", room: "größe?>" })), { sub: "Zoë 🦉", room: "größe?>" });
});

test("what is not a token has no claims", () => {
  for (const bad of ["", "a", "a.b", "a.b.c", "a.!!!.c", token("text")]) assert.equal(claims_of(bad), null, bad);
});

test("renewal comes at 80 % of the life", () => {
  assert.equal(renew_in_ms(token({ nbf: 1000, exp: 2000 }), 1000_000), 800_000);
  assert.equal(renew_in_ms(token({ nbf: 1000, exp: 2000 }), 1_700_000), 100_000);
});

test("a token past that point is renewed soon, but never without a pause; one without times never", () => {
  assert.equal(renew_in_ms(token({ nbf: 1000, exp: 2000 }), 1_990_000), 50_000);
  assert.equal(renew_in_ms(token({ nbf: 1000, exp: 1004 }), 1_003_900), 1000);
  assert.equal(renew_in_ms(token({ exp: 2000 }), 0), null);
});

test("due and end are told of any token", () => {
  const one = token({ nbf: 1000, exp: 2000 });
  assert.deepEqual([1_799_999, 1_800_000].map((now_ms) => is_due(one, now_ms)), [false, true]);
  assert.equal(ends_in_ms(one, 1_900_000), 100_000);
  assert.equal(is_due("no token", 0), false);
  assert.equal(ends_in_ms("no token", 0), Infinity);
});
