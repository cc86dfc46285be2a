import assert from "node:assert/strict";
import { test } from "node:test";
import { encodings_of, lowered } from "../../web/sdk/encodings.js";

const [full] = encodings_of({ source: "camera", options: { scalability_mode: "L3T3_KEY" } }, "video");

test("a camera of which the lowest layer is wanted is a quarter as high and one layer", () => {
  assert.deepEqual(lowered(full, 0), { scalabilityMode: "L1T3", scaleResolutionDownBy: 4, maxBitrate: 150_000 });
});

test("one of which the middle layer is wanted is half as high and keeps its keyframes apart", () => {
  assert.deepEqual(lowered(full, 1), { scalabilityMode: "L2T3_KEY", scaleResolutionDownBy: 2, maxBitrate: 500_000 });
});

test("one of which all is wanted is what was published", () => {
  assert.deepEqual(lowered(full, null), { ...full, scaleResolutionDownBy: 1 });
  assert.deepEqual(lowered(full, 2), { ...full, scaleResolutionDownBy: 1 });
});

test("two layers, and others than halves", () => {
  assert.equal(lowered({ ...full, scalabilityMode: "L2T1" }, 0).scalabilityMode, "L1T1");
  for (const scalabilityMode of ["L1T3", "L3T3h", "S3T3", undefined]) {
    assert.equal(lowered({ ...full, scalabilityMode }, 0).scalabilityMode, scalabilityMode);
  }
});
