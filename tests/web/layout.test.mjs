import assert from "node:assert/strict";
import { test } from "node:test";
import { fit_grid, order_tiles, picture_height } from "../../web/room/layout.js";

const GAP = 10;

test("all tiles fit, whatever the stage and their number", () => {
  for (const [width, height] of [[1380, 760], [1040, 760], [390, 700], [844, 300], [320, 200]]) {
    for (let count = 1; count <= 49; count++) {
      const { columns, width: w, height: h } = fit_grid(count, width, height, GAP);
      const rows = Math.ceil(count / columns);
      assert.ok(columns * w + (columns - 1) * GAP <= width && rows * h + (rows - 1) * GAP <= height, `${count} in ${width}x${height}`);
      assert.ok(w > 0 && h > 0 && w / h <= 16 / 9 + 0.1);
    }
  }
});

test("one person gets a wide picture, two stand side by side or one above the other", () => {
  assert.equal(fit_grid(1, 1600, 900, GAP).columns, 1);
  assert.equal(fit_grid(2, 1600, 700, GAP).columns, 2);
  assert.equal(fit_grid(2, 390, 700, GAP).columns, 1);
});

test("a stage without room gives tiles without size", () => {
  assert.deepEqual(fit_grid(3, 0, 0, GAP), { columns: 1, width: 0, height: 0 });
});

test("when not all fit, those who spoke last are shown, in their old order", () => {
  const spoke_at = new Map([["d", 5], ["b", 9]]);
  assert.deepEqual(order_tiles(["a", "b", "c", "d"], { spoke_at, fitting: 2 }).slice(0, 2), ["b", "d"]);
  assert.deepEqual(order_tiles(["a", "b"], { spoke_at, fitting: 2 }), ["a", "b"]);
});

test("a picture is asked for in few steps, and no smaller than it is shown", () => {
  assert.equal(picture_height(100), 180);
  assert.equal(picture_height(360), 360);
  assert.equal(picture_height(361), 540);
  assert.equal(picture_height(200, 2), 540);
  assert.equal(picture_height(9000, 3), 2160);
  assert.equal(picture_height(0), null);
  assert.equal(picture_height(undefined), null);
});
