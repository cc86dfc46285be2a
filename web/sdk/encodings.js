// What own media is encoded as. Pure.

// Without a mode Chromium takes several VP9 encodings for layers of one.
const scalabilityMode = "L1T3";
const LAYERS = [
  { rid: "l", scaleResolutionDownBy: 4, maxBitrate: 150_000, scalabilityMode },
  { rid: "m", scaleResolutionDownBy: 2, maxBitrate: 500_000, scalabilityMode },
  { rid: "h", maxBitrate: 1_700_000, scalabilityMode },
];
// Browsers send no third encoding of a picture smaller than this.
const THREE_LAYERS_HEIGHT = 540;
const BITRATE_BPS = { mic: 64_000, camera: 1_700_000, screen: 2_500_000, screen_audio: 128_000 };

/** How a source {source, media, options} is encoded: RTCRtpEncodingParameters, the lowest layer first. */
export function encodings_of({ source, media, options }, kind) {
  if (options.simulcast && kind === "video") {
    const layers = (media?.getSettings().height ?? 0) >= THREE_LAYERS_HEIGHT ? LAYERS : LAYERS.slice(1);
    return layers.map((layer) => ({ ...layer }));
  }
  const single = { maxBitrate: options.max_bitrate_bps ?? BITRATE_BPS[source] };
  if (options.scalability_mode) single.scalabilityMode = options.scalability_mode;
  return [single];
}

/**
 * What an SVC encoding becomes while nobody wants more than a spatial layer (0 the lowest): the same picture, smaller and in fewer layers.
 * As it was published for null, and for modes whose layers are not each half as high as the one above.
 */
export function lowered(full, spatial) {
  const [, layers, temporal, rest] = /^L([23])(T[123])(_KEY)?$/.exec(full.scalabilityMode ?? "") ?? [];
  const steps = layers - 1 - spatial;
  if (spatial === null || !(steps > 0)) return { ...full, scaleResolutionDownBy: 1 };
  const share = LAYERS[2 - steps].maxBitrate / LAYERS[2].maxBitrate;
  return {
    scalabilityMode: `L${spatial + 1}${temporal}${spatial ? (rest ?? "") : ""}`,
    scaleResolutionDownBy: 2 ** steps,
    maxBitrate: Math.round(full.maxBitrate * share),
  };
}
