import assert from "node:assert/strict";
import { test } from "node:test";

import { ParleyError } from "../../web/sdk/errors.js";
import { Watch } from "../../web/sdk/watch.js";

/** A watch whose server answers pings as `ping` does, and what it emitted; `online()` is the browser's event. */
function watching(ping) {
  const network = new EventTarget();
  globalThis.addEventListener = network.addEventListener.bind(network);
  globalThis.removeEventListener = network.removeEventListener.bind(network);
  const watch = new Watch({ ping, stats: async () => [] });
  const emitted = [];
  for (const name of ["dead", "back"]) watch.on(name, () => emitted.push(name));
  watch.start();
  const online = async () => {
    network.dispatchEvent(new Event("online"));
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { watch, emitted, online };
}

test("a network that is back and a server that answers are told", async () => {
  const { watch, emitted, online } = watching(async () => {});
  await online();
  watch.stop();
  await online();
  assert.deepEqual(emitted, ["back"]);
});

test("a WebSocket that did not come through is told as dead, soon", async () => {
  const limits = [];
  const { watch, emitted, online } = watching(async (given) => {
    limits.push(given.timeout_ms);
    throw new ParleyError("timeout", "no answer");
  });
  await online();
  await watch.doubt();
  watch.stop();
  assert.deepEqual(emitted, ["dead", "dead"]);
  assert.ok(limits.every((timeout_ms) => timeout_ms <= 3000));
});

test("a WebSocket that is gone already is nothing new", async () => {
  const { watch, emitted } = watching(async () => {
    throw new ParleyError("disconnected", "lost");
  });
  await watch.doubt();
  watch.stop();
  assert.deepEqual(emitted, []);
});
