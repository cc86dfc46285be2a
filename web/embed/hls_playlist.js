/**
 * What a multivariant playlist tells of its first rendition: {codecs, media, chat}, null each when there is none yet. `chat`: the playlist of
 * the chat that players show by themselves; null when it is in the picture.
 */
export function parse_index(text) {
  const codecs = /CODECS="([^"]+)"/.exec(text)?.[1] ?? null;
  const media = text.split("\n").find((line) => line && !line.startsWith("#")) ?? null;
  const chat = /^#EXT-X-MEDIA:TYPE=SUBTITLES,.*DEFAULT=YES.*URI="([^"]+)"/m.exec(text)?.[1] ?? null;
  return { codecs, media, chat };
}

/**
 * A media playlist: {first, next, parts}. `first`: number of the oldest segment that it lists, `next`: of the one that is open or comes next;
 * `parts`, in order: {segment, part, url, init, is_independent, ends_segment}.
 */
export function parse_playlist(text) {
  const parts = [];
  let first = 0, init = null, segment = 0, part = 0;
  for (const line of text.split("\n")) {
    const uri = /URI="([^"]+)"/.exec(line)?.[1];
    if (line.startsWith("#EXT-X-MEDIA-SEQUENCE:")) first = segment = Number(line.slice(22));
    else if (line.startsWith("#EXT-X-MAP:")) init = uri;
    else if (line.startsWith("#EXT-X-PART:")) parts.push({ segment, part: part++, url: uri, init, is_independent: line.includes("INDEPENDENT=YES"), ends_segment: false });
    else if (line && !line.startsWith("#")) {
      if (part) parts.at(-1).ends_segment = true;
      segment++;
      part = 0;
    }
  }
  return { first, next: segment, parts };
}

/**
 * What to play of a playlist when `next` ([segment, part], or null) comes next: from there on; from the newest part that begins with a
 * keyframe when it is not listed any more.
 */
export function coming({ parts }, next) {
  let from = next ? parts.findIndex(({ segment, part }) => segment > next[0] || (segment === next[0] && part >= next[1])) : -1;
  if (from >= 0 && !follows(next, parts[from])) from = -1;
  if (from < 0) from = parts.findLastIndex((part) => part.is_independent && (!next || part.segment > next[0]));
  return from < 0 ? [] : parts.slice(from);
}

function follows([segment, part], found) {
  return found.segment === segment ? found.part === part : found.segment === segment + 1 && found.part === 0;
}
