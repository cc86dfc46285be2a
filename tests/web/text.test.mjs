import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, hue_of, initials, list_words, site_names, split_links, unreached_words } from "../../web/ui/text.js";

test("only http and https addresses become links", () => {
  const hrefs = (text) => split_links(text).map(({ href }) => href).filter(Boolean);
  assert.deepEqual(hrefs("see https://a.example/x?y=1, and http://b.example."), ["https://a.example/x?y=1", "http://b.example/"]);
  assert.deepEqual(hrefs("javascript:alert(1) data:text/html,x ftp://c.example //d.example JAVASCRIPT:https"), []);
  assert.deepEqual(hrefs('<img src="https://e.example/x" onerror=alert(1)>'), ["https://e.example/x"]);
});

test("the parts joined are the text", () => {
  for (const text of ["", "plain", "https://a.example", "x https://a.example, y http://b.example/(c) z", "https:// http://[", "🦉 https://ä.example/ü"]) {
    assert.equal(split_links(text).map((part) => part.text).join(""), text);
  }
});

test("initials are the first and the last word's", () => {
  assert.deepEqual(["Ada Lovelace", "bo", "  Jean van der Berg ", "🦉 owl", ""].map(initials), ["AL", "B", "JB", "🦉O", "?"]);
});

test("the same identity has the same hue, within the circle", () => {
  for (const identity of ["a", "b", "guest-0011aabb", "ß".repeat(128)]) {
    assert.equal(hue_of(identity), hue_of(identity));
    assert.ok(hue_of(identity) >= 0 && hue_of(identity) < 360);
  }
});

test("words make a list, time makes a clock, this server is named plainly", () => {
  assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(list_words), ["", "a", "a and b", "a, b and c"]);
  assert.deepEqual([-5, 0, 7000, 760_000, 3_723_000].map(duration), ["0:00", "0:00", "0:07", "12:40", "1:02:03"]);
  assert.equal(site_names([{ site: "here", name: "This server", url: "" }, { site: "pt_1", name: "TV", url: "https://tv.example" }, { site: "embed", name: "embedded player", url: "" }]), "this server, TV (tv.example) and embedded player");
});

test("sites that take nothing just now are named, and not when all are meant", () => {
  const site = (name, is_reached) => ({ name, is_reached });
  assert.equal(unreached_words([site("TV", true), { name: "Radio" }]), "");
  assert.equal(unreached_words([site("TV", false), site("Radio", true)]), "TV not reached just now");
  assert.equal(unreached_words([site("TV", false)]), "not reached just now");
});
