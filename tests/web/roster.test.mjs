import assert from "node:assert/strict";
import { test } from "node:test";
import { Roster } from "../../web/sdk/roster.js";

const track = (number, properties = {}) => ({ track: number, kind: "audio", source: "mic", muted: false, enforced: false, ...properties });
const person = (id, tracks = [], properties = {}) => ({ id, identity: id, name: id, permissions: [], state: "active", tracks, consent: {}, ...properties });
const names = (events) => events.map(([name]) => name);

test("a join result fills the roster", () => {
  const roster = new Roster();
  assert.deepEqual(names(roster.replace([person("a", [track(1)]), person("b")])), ["participant_joined", "participant_joined"]);
  assert.equal(roster.get("a").tracks.get(1).source, "mic");
});

test("a resumed join tells what was missed and nothing else", () => {
  const roster = new Roster();
  roster.replace([person("a", [track(1), track(2)]), person("gone")]);
  const events = roster.replace([person("a", [track(2, { muted: true }), track(3)]), person("new")]);
  assert.deepEqual(names(events), [
    "participant_left", "participant_updated", "track_unpublished", "track_muted", "track_published", "participant_joined",
  ]);
  assert.equal(events.find(([name]) => name === "participant_left")[1].reason, "lost");
  assert.deepEqual([...roster.get("a").tracks.keys()], [2, 3]);
});

test("tracks come, are muted and go", () => {
  const roster = new Roster();
  roster.replace([person("a")]);
  assert.deepEqual(names(roster.apply("track_published", { participant: "a", track: track(7) })), ["track_published"]);
  assert.deepEqual(names(roster.apply("track_muted", { participant: "a", track: 7, muted: true, enforced: true })), ["track_muted"]);
  assert.equal(roster.get("a").tracks.get(7).enforced, true);
  assert.deepEqual(names(roster.apply("track_unpublished", { participant: "a", track: 7 })), ["track_unpublished"]);
});

test("the same mute twice is one event", () => {
  const roster = new Roster();
  roster.replace([person("a", [track(1)])]);
  const muted = { participant: "a", track: 1, muted: true, enforced: false };
  assert.equal(roster.apply("track_muted", muted).length, 1);
  assert.equal(roster.apply("track_muted", muted).length, 0);
});

test("notifications about the unknown change nothing", () => {
  const roster = new Roster();
  for (const [method, params] of [
    ["participant_updated", { participant: person("x") }], ["participant_left", { participant: "x", reason: "left" }],
    ["track_published", { participant: "x", track: track(1) }], ["track_unpublished", { participant: "x", track: 1 }],
    ["track_muted", { participant: "x", track: 1, muted: true, enforced: false }], ["made_up", {}],
  ]) assert.deepEqual(roster.apply(method, params), []);
  assert.equal(roster.participants.size, 0);
});

test("an update without tracks keeps the tracks", () => {
  const roster = new Roster();
  roster.replace([person("a", [track(1)])]);
  roster.apply("participant_updated", { participant: { id: "a", identity: "a", name: "Ada", state: "suspended", tracks: [] } });
  assert.equal(roster.get("a").name, "Ada");
  assert.equal(roster.get("a").state, "suspended");
});
