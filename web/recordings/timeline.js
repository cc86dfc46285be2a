// PURE: what happens when in a recording, and where on a bar.

const END_MS = 1000;
const SAME_MS = 500;
const CAPTION_MS = 7000;
const AT_ONCE = 3;

/**
 * What happens, by time: [{at_ms, kind, text}] with kind `joined`, `left`, `screen`, `paused` or `resumed`.
 *
 * Who is there from the first moment to the last has no moment of their own.
 */
export function moments_of({ people, pauses, duration_ms }) {
  const found = [];
  const add = (at_ms, kind, text) => at_ms > END_MS && at_ms < duration_ms - END_MS && found.push({ at_ms, kind, text });
  for (const { name, spans, screens } of people) {
    for (const { from_ms, to_ms } of spans) {
      add(from_ms, "joined", `${name} comes in`);
      add(to_ms, "left", `${name} is out`);
    }
    for (const { from_ms } of screens) add(from_ms, "screen", `${name} shares a screen`);
  }
  for (const { from_ms, to_ms } of pauses) {
    add(from_ms, "paused", "The recording is paused");
    add(to_ms, "resumed", "The recording goes on");
  }
  found.sort((one, other) => one.at_ms - other.at_ms);
  return found.filter(({ at_ms, text }, at) => !found.slice(0, at).some((one) => one.text === text && at_ms - one.at_ms < SAME_MS));
}

/** The place of a time on a bar, 0 to 1. */
export function share_of(at_ms, duration_ms) {
  return duration_ms > 0 ? Math.min(1, Math.max(0, at_ms / duration_ms)) : 0;
}

/** The index of the last item that has begun at a time, or -1; items are by `at_ms`. */
export function last_begun(items, at_ms) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].at_ms <= at_ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The time to which a jump over moments goes: the next one, or the one before (a second's grace), within the recording. */
export function neighbour_ms(moments, at_ms, direction, duration_ms) {
  if (direction > 0) return moments.find((one) => one.at_ms > at_ms + SAME_MS)?.at_ms ?? duration_ms;
  return moments.findLast((one) => one.at_ms < at_ms - END_MS)?.at_ms ?? 0;
}

/** What stands over the picture when: [{from_ms, to_ms, lines}], by time; each chat line for some seconds, the newest few at once. */
export function captions_of(lines) {
  const spans = lines.map((line, at) => ({ from_ms: line.at_ms, to_ms: Math.min(line.at_ms + CAPTION_MS, lines[at + AT_ONCE]?.at_ms ?? Infinity), line }));
  const edges = [...new Set(spans.flatMap(({ from_ms, to_ms }) => [from_ms, to_ms]))].sort((one, other) => one - other);
  const found = [];
  let first = 0;
  for (const [at, from_ms] of edges.entries()) {
    while (first < spans.length && spans[first].to_ms <= from_ms) first++;
    const shown = [];
    for (let next = first; next < spans.length && spans[next].from_ms <= from_ms; next++) shown.push(spans[next].line);
    if (shown.length) found.push({ from_ms, to_ms: edges[at + 1], lines: shown });
  }
  return found;
}

/** Stills out of their index: [{at_ms, url, x, y, width, height}], by time; lines that are none are left out. */
export function parse_stills(text, base) {
  const found = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const [, hours, minutes, seconds, place] = /^(\d+):(\d\d):(\d\d\.\d{3}) --> \S+\r?\n(\S+)/.exec(block.trim()) ?? [];
    const area = /#xywh=(\d+),(\d+),(\d+),(\d+)$/.exec(place ?? "");
    if (!area) continue;
    const [x, y, width, height] = area.slice(1).map(Number);
    const at_ms = Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000);
    found.push({ at_ms, url: new URL(place.slice(0, area.index), base).href, x, y, width, height });
  }
  return found;
}
