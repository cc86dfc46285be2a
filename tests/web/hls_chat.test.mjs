import assert from "node:assert/strict";
import test from "node:test";

import { HlsChat, parse_cues } from "../../web/embed/hls_chat.js";

const HEAD = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n";

function vtt(...cues) {
  return HEAD + cues.map(([from, to, line]) => `00:00:${from} --> 00:00:${to}\n${said(line)}\n\n`).join("");
}

function said([name, text]) {
  return `<v ${name}><b>${name}</b> ${text}`;
}

function listen() {
  const chat = new HlsChat(), seen = [];
  chat.on("chat", ({ id, name, text }) => seen.push([id, name, text]));
  chat.on("chat_deleted", ({ id }) => seen.push([id]));
  return { chat, seen };
}

test("cues have their times, the name and plain text", () => {
  const file = `${HEAD}01:02:03.250 --> 01:02:18.250\n${said(["Q: &lt;Ada&gt;", "1 &amp;lt; 2: so"])}\n`;
  const [{ at_s, until_s, name, text }] = parse_cues(file);
  assert.deepEqual([at_s, until_s, name, text], [3723.25, 3738.25, "Q: <Ada>", "1 &lt; 2: so"]);
  assert.deepEqual(parse_cues(HEAD), []);
});

test("a line comes with its picture, once, and goes when its time is over", () => {
  const { chat, seen } = listen();
  chat.take(vtt(["05.000", "20.000", ["Ada", "hello"]]));
  chat.show(4.9);
  assert.deepEqual(seen, []);
  chat.show(5.0);
  chat.take(vtt(["05.000", "20.000", ["Ada", "hello"]], ["06.000", "21.000", ["Bob", "later"]]));
  chat.show(5.1);
  assert.deepEqual(seen, [["hls-0", "Ada", "hello"]]);
  chat.show(20.0);
  assert.deepEqual(seen.slice(1), [["hls-0"], ["hls-1", "Bob", "later"]]);
});

test("a line that the newest file has no more is taken back, and all are when it is cleared", () => {
  const { chat, seen } = listen();
  chat.take(vtt(["05.000", "20.000", ["Ada", "one"]], ["05.000", "20.000", ["Bob", "two"]]));
  chat.show(6);
  chat.take(vtt(["05.000", "20.000", ["Bob", "two"]]));
  assert.deepEqual(seen.slice(2), [["hls-0"]], "without waiting for a picture");
  chat.show(7);
  assert.deepEqual(seen.slice(3), []);
  chat.clear();
  chat.show(8);
  assert.deepEqual(seen.slice(3), [["hls-1"]]);
});
