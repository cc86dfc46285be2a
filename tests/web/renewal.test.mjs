import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Renewal } from "../../web/sdk/renewal.js";

const START_S = 1_000_000;
const token = (from_s, to_s) => `e30.${Buffer.from(JSON.stringify({ nbf: from_s, exp: to_s })).toString("base64url")}.sig`;
const FIRST = token(START_S, START_S + 100);
const SECOND = token(START_S + 80, START_S + 180);

// Time that only the test moves.
let now_ms = 0;
let timers = [];

beforeEach(() => {
  now_ms = START_S * 1000;
  timers = [];
  globalThis.setTimeout = (action, wait_ms) => timers.push({ action, at_ms: now_ms + wait_ms });
  globalThis.clearTimeout = (number) => { if (number) timers[number - 1] = null; };
  Date.now = () => now_ms;
});

async function pass(span_s) {
  for (let step = 0; step < span_s * 2; step++) {
    now_ms += 500;
    for (const [index, timer] of timers.entries()) {
      if (!timer || timer.at_ms > now_ms) continue;
      timers[index] = null;
      timer.action();
    }
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

function renewal(options) {
  const log = [];
  const made = new Renewal({
    token: FIRST,
    apply: async (next) => {
      log.push(next === SECOND ? "second" : next);
      made.take(next);
    },
    ...options,
  });
  made.on("expiring", ({ error }) => log.push(error ? `expiring: ${error.code}` : "expiring"));
  made.start();
  return { made, log };
}

test("the next token is fetched at 80 % of the life, and once", async () => {
  const { made, log } = renewal({ renew: async () => SECOND });
  await pass(79);
  assert.deepEqual(log, []);
  await pass(10);
  assert.deepEqual(log, ["second"]);
  assert.equal(await made.fresh(), SECOND);
});

test("a failure is told once and tried again until it works", async () => {
  let tries = 0;
  const { log } = renewal({ renew: async () => {
    if (++tries < 3) throw new Error("no network");
    return SECOND;
  } });
  await pass(90);
  assert.deepEqual(log, ["expiring: renewal_failed", "second"]);
  assert.equal(tries, 3);
});

test("nothing is tried after the token's end, or after a stop", async () => {
  let tries = 0;
  const { made } = renewal({ renew: async () => {
    tries++;
    throw new Error("gone");
  } });
  await pass(100);
  const until_the_end = tries;
  assert.ok(until_the_end > 2);
  await pass(60);
  assert.equal(tries, until_the_end);
  made.start();
  made.stop();
  await pass(60);
  assert.equal(tries, until_the_end);
});

test("the server's reminder renews at once, and only once at a time", async () => {
  let tries = 0;
  const { made, log } = renewal({ renew: async () => {
    tries++;
    return SECOND;
  } });
  made.remind();
  made.remind();
  await pass(1);
  assert.deepEqual([tries, log], [1, ["second"]]);
});

test("without anybody to ask, the reminder is passed on and nothing is planned", async () => {
  const { made, log } = renewal({ renew: null });
  await pass(90);
  assert.deepEqual(log, []);
  made.remind();
  assert.deepEqual(log, ["expiring"]);
});

test("a token that came while the connection is away serves the next join", async () => {
  const { made, log } = renewal({ renew: async () => SECOND, apply: async () => { throw Object.assign(new Error(), { code: "disconnected" }); } });
  await pass(82);
  assert.deepEqual(log, []);
  assert.equal(await made.fresh(), SECOND);
});

test("a join after a long absence takes a new token first, or the old one when there is none", async () => {
  const { made } = renewal({ renew: async () => SECOND });
  assert.equal(await made.fresh(), FIRST);
  made.stop();
  now_ms += 90_000;
  assert.equal(await made.fresh(), SECOND);
  const { made: other, log } = renewal({ token: FIRST, renew: async () => { throw new Error("down"); } });
  assert.equal(await other.fresh(), FIRST);
  assert.deepEqual(log, ["expiring: renewal_failed"]);
});

test("a URL is asked with the token in force", async () => {
  const asked = [];
  globalThis.fetch = async (url, { method, headers }) => {
    asked.push([url, method, headers.authorization]);
    return Response.json({ token: SECOND });
  };
  const { made } = renewal({ renew: "https://app.example/renew" });
  now_ms += 80_000;
  assert.equal(await made.fresh(), SECOND);
  assert.deepEqual(asked, [["https://app.example/renew", "POST", `Bearer ${FIRST}`]]);
});

test("an answer of a URL without a token is a failure", async () => {
  globalThis.fetch = async () => Response.json({ nothing: true });
  const { made, log } = renewal({ renew: "/renew" });
  now_ms += 80_000;
  assert.equal(await made.fresh(), FIRST);
  assert.deepEqual(log, ["expiring: renewal_failed"]);
});
