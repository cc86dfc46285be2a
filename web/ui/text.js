// PURE: words for people, and links out of plain text.

const URL_PATTERN = /\bhttps?:\/\/[^\s<>"']+/gi;
const TRAILING = /[.,;:!?)\]}]+$/;

/** Split plain text into [{text, href or null}]; only http and https addresses become links. */
export function split_links(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(URL_PATTERN)) {
    const address = match[0].replace(TRAILING, "");
    if (!URL.canParse(address)) continue;
    if (match.index > from) parts.push({ text: text.slice(from, match.index), href: null });
    parts.push({ text: address, href: new URL(address).href });
    from = match.index + address.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from), href: null });
  return parts;
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}

/** A hue (degrees) that stays the same for the same identity. */
export function hue_of(identity) {
  let hash = 7;
  for (const char of identity) hash = (hash * 31 + char.codePointAt(0)) % 1_000_003;
  // Steps of the golden angle keep identities that differ in one letter apart.
  return Math.round(hash * 137.5) % 360;
}

/** "Ada", "Ada and Bo", "Ada, Bo and Cy". */
export function list_words(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Hours and minutes of an instant, in the reader's own way. */
export function clock_time(at_ms) {
  return new Date(at_ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** "0:07", "12:40", "1:02:03". */
export function duration(span_ms) {
  const seconds = Math.max(0, Math.floor(span_ms / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : String(part))).join(":");
}

const USE_WORDS = {
  live: { title: "Live on other sites", doing: "live", noun: "live broadcast" },
  record: { title: "Recording", doing: "recorded", noun: "recording" },
  replay: { title: "Showing a recording later", doing: "replayed", noun: "replay" },
};

/** Words for a use; terms documents may name uses that this page does not know, then `title` is theirs. */
export function use_words(use, terms = null) {
  const titled = terms?.uses?.find((one) => one.use === use);
  const known = USE_WORDS[use] ?? { title: use, doing: use, noun: use };
  return { ...known, title: titled?.title ?? known.title, media: titled?.media ?? ["audio", "video", "chat"], text: titled?.text ?? "" };
}

/** The names of an activity's or notice's sites with their addresses, within a sentence. */
export function site_names(sites) {
  return list_words(sites.map(({ name, site, url }) => {
    if (site === "here") return "this server";
    return url && URL.canParse(url) ? `${name} (${new URL(url).host})` : name;
  }));
}

/** The same as a label of its own. */
export function site_label(sites) {
  return list_words(sites.map(({ name }) => name));
}

/** Which of these sites take nothing just now; empty when all do. */
export function unreached_words(sites) {
  const unreached = sites.filter(({ is_reached }) => is_reached === false);
  if (!unreached.length) return "";
  return unreached.length === sites.length ? "not reached just now" : `${list_words(unreached.map(({ name }) => name))} not reached just now`;
}
