import assert from "node:assert/strict";
import { test } from "node:test";
import { seal, unseal } from "../../web/sdk/envelope.js";

const bytes = (...values) => new Uint8Array(values);
const framed = (head, payload) => {
  const text = new TextEncoder().encode(head);
  return new Uint8Array([text.length >> 8, text.length & 255, ...text, ...payload]).buffer;
};

test("a message is its head's length, its head and its bytes", () => {
  assert.deepEqual(seal(bytes(7, 8), { topic: "", to: null }), bytes(0, 2, 0x7b, 0x7d, 7, 8));
  const message = seal(bytes(9), { topic: "größe", to: ["ada"] });
  const length = message[0] * 256 + message[1];
  assert.deepEqual(JSON.parse(new TextDecoder().decode(message.slice(2, 2 + length))), { topic: "größe", to: ["ada"] });
  assert.deepEqual(message.slice(2 + length), bytes(9));
});

test("parts of a buffer and whole buffers are taken", () => {
  const whole = bytes(1, 2, 3, 4);
  assert.deepEqual(seal(whole.subarray(1, 3), { topic: "", to: null }).slice(4), bytes(2, 3));
  assert.deepEqual(seal(whole.buffer, { topic: "", to: null }).slice(4), whole);
  assert.deepEqual(seal(new DataView(whole.buffer, 3), { topic: "", to: null }).slice(4), bytes(4));
});

test("who sent a message is what the server wrote", () => {
  const head = JSON.stringify({ from: "p_1", identity: "ada", topic: "t", private: true });
  assert.deepEqual(unseal(framed(head, [5])), { participant: "p_1", identity: "ada", topic: "t", private: true, bytes: bytes(5) });
  assert.equal(unseal(framed('{"from":"p_1","identity":"ada"}', [])).private, false);
});

test("what is not in its frame throws", () => {
  for (const bad of [new ArrayBuffer(0), bytes(0, 9, 1).buffer, framed("{", []), framed("\u0000", [])]) assert.throws(() => unseal(bad));
});
