import assert from "node:assert/strict";
import { test } from "node:test";
import { ConsentState } from "../../web/sdk/consent_state.js";

const RECORDING = { id: "rec_1", kind: "record", sites: [], since_ms: 0, started_by: null };
const NOTICE = { notice: "n_1", uses: ["record"], sites: [], activity: "rec_1" };

function entered(properties = {}) {
  const state = new ConsentState();
  state.enter({ mode: "explicit", terms: { version: "1", accepted: true }, activities: [], notice: null, consent: { record: "granted", live: "refused" }, ...properties });
  return state;
}

test("somebody who agreed is in a recording only once its notice is answered", () => {
  const state = entered();
  state.apply("activities", { activities: [RECORDING] });
  assert.deepEqual(state.apply("notice", NOTICE), [["notice", NOTICE]]);
  assert.equal(state.is_in(RECORDING), false);
  assert.deepEqual(state.answered("n_1"), [["consent", { consent: state.own, reason: null }]]);
  assert.equal(state.is_in(RECORDING), true);
  state.set({ record: "refused" });
  assert.equal(state.is_in(RECORDING), false);
});

test("a notice that comes twice waits once, and is over with its activity", () => {
  const state = entered({ activities: [RECORDING], notice: NOTICE });
  state.apply("notice", NOTICE);
  assert.equal(state.notices.length, 1);
  state.apply("activities", { activities: [] });
  assert.deepEqual(state.notices, []);
});

test("only refusals are repeated at another join", () => {
  assert.deepEqual(entered({ consent: { record: "granted", live: "refused", replay: "asked" } }).refusals(), { live: false });
});

test("acceptance counts for the version it names", () => {
  const state = entered({ terms: { version: "2", accepted: false } });
  state.accepted("1", {});
  assert.equal(state.terms.accepted, false);
  state.accepted("2", {});
  assert.equal(state.terms.accepted, true);
});

test("what the server changed comes with its reason", () => {
  const state = entered();
  assert.deepEqual(state.apply("consent", { consent: { record: "asked" }, reason: "terms_changed" }), [["consent", { consent: { record: "asked" }, reason: "terms_changed" }]]);
  assert.deepEqual(state.apply("chat", {}), []);
});
