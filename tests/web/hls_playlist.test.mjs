import assert from "node:assert/strict";
import test from "node:test";

import { coming, parse_index, parse_playlist } from "../../web/embed/hls_playlist.js";

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
  const { first, next, parts } = parse_playlist(TEXT);
  assert.deepEqual([first, next], [7, 9]);
  assert.deepEqual(parts.map(({ segment, part, init }) => [segment, part, init]), [
    [8, 0, "init-0.mp4?sig=1"],
    [8, 1, "init-0.mp4?sig=1"],
    [9, 0, "init-1.mp4?sig=1"],
  ]);
  assert.deepEqual(parts.map(({ is_independent }) => is_independent), [true, false, true]);
  assert.deepEqual(parts.map(({ ends_segment }) => ends_segment), [false, true, false]);
});

test("a playlist without parts tells which segment comes next", () => {
  assert.deepEqual(parse_playlist("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:12\n"), { first: 12, next: 12, parts: [] });
});

test("what comes next is played, and the newest keyframe when that is listed no more", () => {
  const list = parse_playlist(TEXT);
  const places = (next) => coming(list, next).map(({ segment, part }) => [segment, part]);
  assert.deepEqual(places(null), [[9, 0]]);
  assert.deepEqual(places([8, 1]), [[8, 1], [9, 0]]);
  assert.deepEqual(places([9, 0]), [[9, 0]]);
  assert.deepEqual(places([9, 1]), []);
  assert.deepEqual(places([5, 2]), [[9, 0]]);
});

test("the multivariant playlist names the first rendition, once it is described", () => {
  const chat = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="chat",NAME="Chat",DEFAULT=NO,AUTOSELECT=NO,URI="chat.m3u8?sig=1"';
  const stream = '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.42e01f,mp4a.40.2",SUBTITLES="chat"';
  const index = parse_index(`#EXTM3U\n${chat}\n${stream}\nvideo.m3u8?sig=1\n`);
  assert.deepEqual(index, { codecs: "avc1.42e01f,mp4a.40.2", media: "video.m3u8?sig=1", chat: null });
  assert.equal(parse_index(chat.replaceAll("=NO", "=YES")).chat, "chat.m3u8?sig=1");
  assert.deepEqual(parse_index("#EXTM3U\n"), { codecs: null, media: null, chat: null });
});
