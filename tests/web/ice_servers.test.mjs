import assert from "node:assert/strict";
import test from "node:test";

import { ice_servers } from "../../web/sdk/whep.js";

test("Link headers become ICE servers, each with its login", () => {
  const login = 'username="1767229200:p_1"; credential="c2VjcmV0="; credential-type="password"';
  const link = `<turn:turn.example:3478?transport=udp>; rel="ice-server"; ${login}, <stun:stun.example>; rel="ice-server"`;
  assert.deepEqual(ice_servers(link), [
    { urls: "turn:turn.example:3478?transport=udp", username: "1767229200:p_1", credential: "c2VjcmV0=" },
    { urls: "stun:stun.example" },
  ]);
});

test("other links, and none, are no ICE servers", () => {
  assert.deepEqual(ice_servers('<https://example.org>; rel="help"'), []);
  assert.deepEqual(ice_servers(null), []);
});
