import assert from "node:assert/strict";
import { test } from "node:test";
import { captions_of, last_begun, moments_of, neighbour_ms, parse_stills, share_of } from "../../web/recordings/timeline.js";

const DURATION_MS = 60_000;
const span = (from_ms, to_ms) => ({ from_ms, to_ms });
const person = (name, spans, screens = []) => ({ name, spans, screens });

test("who is there from first to last has no moment, others come and go", () => {
  const people = [person("Ada", [span(0, DURATION_MS)]), person("Bo", [span(10_000, 20_000), span(30_000, 59_500)])];
  const found = moments_of({ people, pauses: [], duration_ms: DURATION_MS });
  assert.deepEqual(found.map(({ at_ms, kind, text }) => [at_ms, kind, text]), [
    [10_000, "joined", "Bo comes in"], [20_000, "left", "Bo is out"], [30_000, "joined", "Bo comes in"],
  ]);
});

test("screens and pauses are moments, by time, and what happens twice at once is one", () => {
  const people = [person("Ada", [span(0, DURATION_MS)], [span(5000, 9000), span(5200, 9000)])];
  const found = moments_of({ people, pauses: [span(3000, 4000)], duration_ms: DURATION_MS });
  assert.deepEqual(found.map(({ kind }) => kind), ["paused", "resumed", "screen"]);
});

test("a place on a bar is between its ends", () => {
  assert.equal(share_of(15_000, DURATION_MS), 0.25);
  assert.equal(share_of(-5, DURATION_MS), 0);
  assert.equal(share_of(2 * DURATION_MS, DURATION_MS), 1);
  assert.equal(share_of(5, 0), 0);
});

test("the last item that has begun is found at, before and behind every edge", () => {
  const items = [1000, 2000, 2000, 5000].map((at_ms) => ({ at_ms }));
  for (const [at_ms, index] of [[0, -1], [999, -1], [1000, 0], [1999, 0], [2000, 2], [4999, 2], [5000, 3], [9e9, 3]]) {
    assert.equal(last_begun(items, at_ms), index, String(at_ms));
  }
  assert.equal(last_begun([], 5), -1);
});

test("one goes from moment to moment, and to the ends behind them", () => {
  const moments = [10_000, 20_000].map((at_ms) => ({ at_ms }));
  assert.equal(neighbour_ms(moments, 0, 1, DURATION_MS), 10_000);
  assert.equal(neighbour_ms(moments, 10_000, 1, DURATION_MS), 20_000);
  assert.equal(neighbour_ms(moments, 20_000, 1, DURATION_MS), DURATION_MS);
  assert.equal(neighbour_ms(moments, 20_400, -1, DURATION_MS), 10_000);
  assert.equal(neighbour_ms(moments, 25_000, -1, DURATION_MS), 20_000);
  assert.equal(neighbour_ms(moments, 3000, -1, DURATION_MS), 0);
});

test("stills are read with the parameters of their links, and nonsense is left out", () => {
  const text = "WEBVTT\n\n00:00:00.000 --> 00:00:04.000\nstills-000.jpg?sig=ab#xywh=0,0,160,90\n\nNOTE nothing\n\n"
    + "01:02:03.500 --> 01:02:05.000\nstills-001.jpg?sig=ab#xywh=160,90,160,90\n\n00:00:09.000 --> 00:00:10.000\nno-place.jpg\n";
  assert.deepEqual(parse_stills(text, "http://x/recordings/r/media/f/stills.vtt?sig=ab"), [
    { at_ms: 0, url: "http://x/recordings/r/media/f/stills-000.jpg?sig=ab", x: 0, y: 0, width: 160, height: 90 },
    { at_ms: 3_723_500, url: "http://x/recordings/r/media/f/stills-001.jpg?sig=ab", x: 160, y: 90, width: 160, height: 90 },
  ]);
  assert.deepEqual(parse_stills("", "http://x/"), []);
});

test("a chat line stands for some seconds, by time, the newest three at once", () => {
  const lines = [1000, 2000, 2500, 3000, 3100, 60_000].map((at_ms) => ({ at_ms }));
  const found = captions_of(lines).map(({ from_ms, to_ms, lines: shown }) => [from_ms, to_ms, shown.map((line) => lines.indexOf(line))]);
  assert.deepEqual(found, [
    [1000, 2000, [0]], [2000, 2500, [0, 1]], [2500, 3000, [0, 1, 2]], [3000, 3100, [1, 2, 3]], [3100, 9500, [2, 3, 4]],
    [9500, 10_000, [3, 4]], [10_000, 10_100, [4]], [60_000, 67_000, [5]],
  ]);
  const at_once = [5, 5, 5, 5].map((at_ms, number) => ({ at_ms, number }));
  assert.deepEqual(captions_of(at_once).map(({ from_ms, to_ms, lines: shown }) => [from_ms, to_ms, shown.map(({ number }) => number)]), [[5, 7005, [1, 2, 3]]]);
  assert.deepEqual(captions_of([]), []);
});
