import assert from "node:assert/strict";
import { test } from "node:test";
import { add_readings, grade, read_stats, repair_wait_ms } from "../../web/sdk/quality.js";

const reading = (properties) => ({ received: 0, lost: 0, far_loss: 0, round_trip_s: 0, outgoing_bps: 0, ...properties });

test("loss is measured between two readings", () => {
  const result = grade(reading({ received: 1000, lost: 500 }), reading({ received: 1900, lost: 600 }));
  assert.equal(result.down_loss, 0.1);
  assert.equal(result.grade, "poor");
});

test("a silent connection is a good one", () => {
  assert.equal(grade(reading({}), reading({})).grade, "good");
});

test("the worse of loss and delay decides", () => {
  assert.equal(grade(reading({}), reading({ round_trip_s: 0.3 })).grade, "fair");
  assert.equal(grade(reading({}), reading({ far_loss: 0.05 })).grade, "fair");
  assert.equal(grade(reading({}), reading({ far_loss: 0.05, round_trip_s: 0.7 })).grade, "poor");
});

test("lost packets that were found again do not count against the next reading", () => {
  assert.equal(grade(reading({ received: 10, lost: 8 }), reading({ received: 30, lost: 2 })).down_loss, 0);
});

test("statistics of both connections add up", () => {
  const up = read_stats([{ type: "remote-inbound-rtp", fractionLost: 0.25, roundTripTime: 0.05 }, { type: "codec" }]);
  const down = read_stats([{ type: "inbound-rtp", packetsReceived: 90, packetsLost: -3 }, { type: "inbound-rtp", packetsReceived: 10, packetsLost: 4 }, { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.2, availableOutgoingBitrate: 9 }]);
  assert.deepEqual(add_readings([up, down]), { received: 100, lost: 4, far_loss: 0.25, round_trip_s: 0.2, outgoing_bps: 9 });
});

test("pictures wait for two repairs where packets get lost, and never for long", () => {
  assert.equal(repair_wait_ms({ down_loss: 0, round_trip_ms: 100 }), null);
  assert.equal(repair_wait_ms({ down_loss: 0.05, round_trip_ms: 100 }), 320);
  assert.equal(repair_wait_ms({ down_loss: 0.05, round_trip_ms: 900 }), 400);
  assert.equal(repair_wait_ms({ down_loss: 0.007, round_trip_ms: 100 }), null);
  assert.equal(repair_wait_ms({ down_loss: 0.007, round_trip_ms: 100 }, true), 320);
  assert.equal(repair_wait_ms({ down_loss: 0.004, round_trip_ms: 100 }, true), null);
});
