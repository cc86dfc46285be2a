// PURE: how tiles share the stage.

const WIDEST = 16 / 9;
const NARROWEST = 5 / 4;
const NARROWEST_UPRIGHT = 4 / 5;

/**
 * The number of columns and the tile size (px) that give `count` tiles in `width` x `height` the largest area.
 *
 * A tile is at most 16:9 wide and at least 5:4 narrow, 4:5 on an upright stage; a picture is cropped to it, never stretched.
 */
export function fit_grid(count, width, height, gap) {
  const narrowest = height > width ? NARROWEST_UPRIGHT : NARROWEST;
  let best = { columns: 1, width: 0, height: 0, area: -1 };
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const room_width = (width - gap * (columns - 1)) / columns;
    const room_height = (height - gap * (rows - 1)) / rows;
    if (room_width <= 0 || room_height <= 0) continue;
    const tile_width = Math.min(room_width, room_height * WIDEST);
    const tile_height = Math.min(room_height, tile_width / narrowest);
    const area = tile_width * tile_height;
    if (area > best.area) best = { columns, width: Math.floor(tile_width), height: Math.floor(tile_height), area };
  }
  return { columns: best.columns, width: Math.max(0, best.width), height: Math.max(0, best.height) };
}

/** Identifiers in the order in which tiles are shown: those who speak or spoke last come before the rest only when not all fit. */
export function order_tiles(ids, { spoke_at, fitting }) {
  if (ids.length <= fitting) return ids;
  const shown = [...ids].sort((a, b) => (spoke_at.get(b) ?? 0) - (spoke_at.get(a) ?? 0)).slice(0, fitting);
  const visible = new Set(shown);
  return [...ids.filter((id) => visible.has(id)), ...ids.filter((id) => !visible.has(id))];
}

const HEIGHTS = [90, 180, 360, 540, 720, 1080, 2160];

/** The pixels that a picture shown at `css_height` needs, in few steps so that small changes of a page ask for nothing; null when it is not laid out. */
export function picture_height(css_height, pixel_ratio = 1) {
  if (!css_height) return null;
  const needed = css_height * Math.min(pixel_ratio, 2);
  return HEIGHTS.find((height) => height >= needed) ?? HEIGHTS.at(-1);
}
