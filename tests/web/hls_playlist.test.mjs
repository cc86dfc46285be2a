import assert from "node:assert/strict";
import test from "node:test";

import { parse_playlist } from "../../web/embed/hls_source.js";

const TEXT = `#EXTM3U
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init-0.mp4?sig=1"
#EXTINF:2.00000,
seg-7.m4s?sig=1
#EXT-X-PART:DURATION=1.00000,URI="seg-8-0.m4s?sig=1",INDEPENDENT=YES
#EXT-X-PART:DURATION=1.00000,URI="seg-8-1.m4s?sig=1"
#EXTINF:2.00000,
seg-8.m4s?sig=1
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-1.mp4?sig=1"
#EXT-X-PART:DURATION=1.00000,URI="seg-9-0.m4s?sig=1",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="seg-9-1.m4s?sig=1"
`;

test("parts are listed in order, each with its segment and initialisation segment", () => {
  const parts = parse_playlist(TEXT);
  assert.deepEqual(parts.map(({ segment, part, init }) => [segment, part, init]), [
    [8, 0, "init-0.mp4?sig=1"],
    [8, 1, "init-0.mp4?sig=1"],
    [9, 0, "init-1.mp4?sig=1"],
  ]);
  assert.deepEqual(parts.map(({ is_independent }) => is_independent), [true, false, true]);
  assert.deepEqual(parts.map(({ ends_segment }) => ends_segment), [false, true, false]);
});

test("a playlist without parts has none", () => {
  assert.deepEqual(parse_playlist("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n"), []);
});
