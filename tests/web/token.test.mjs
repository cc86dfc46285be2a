import assert from "node:assert/strict";
import { test } from "node:test";
import { claims_of, renew_in_ms } from "../../web/sdk/token.js";

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

test("a token past that point is renewed in a second, one without times never", () => {
  assert.equal(renew_in_ms(token({ nbf: 1000, exp: 2000 }), 1_990_000), 1000);
  assert.equal(renew_in_ms(token({ exp: 2000 }), 0), null);
});
