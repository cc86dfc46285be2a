import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../../web/sdk/emitter.js";
import { Serial } from "../../web/sdk/serial.js";

test("a step begins when the one before has ended, also when it failed", async () => {
  const steps = new Serial();
  const log = [];
  const slow = steps.run(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    log.push("first");
    throw new Error("no");
  });
  const next = steps.run(async () => log.push("second"));
  await assert.rejects(slow, /no/);
  await next;
  assert.deepEqual(log, ["first", "second"]);
});

test("listeners are called in order and can be taken away", () => {
  const emitter = new Emitter();
  const log = [];
  const stop = emitter.on("x", (payload) => log.push(["a", payload]));
  emitter.on("x", (payload) => log.push(["b", payload]));
  emitter.emit("x", 1);
  stop();
  emitter.emit("x", 2);
  emitter.emit("y", 3);
  assert.deepEqual(log, [["a", 1], ["b", 1], ["b", 2]]);
});

test("a listener that throws does not stop the others", () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const emitter = new Emitter();
  const log = [];
  emitter.on("x", () => { throw new Error("broken"); });
  emitter.on("x", () => log.push("still"));
  emitter.emit("x");
  delete globalThis.reportError;
  assert.deepEqual([reported, log], [["broken"], ["still"]]);
});
