import { ParleyError } from "./errors.js";

const REASONS = {
  NotAllowedError: ["denied", "The browser does not allow it. Allow camera and microphone for this site in the address bar, then try again."],
  NotFoundError: ["no_device", "No such device is connected."],
  NotReadableError: ["busy", "The device is in use by another program, or the system does not hand it out."],
  OverconstrainedError: ["no_device", "That device is no longer connected. Choose another one."],
  AbortError: ["failed", "The device could not be started. Try again or choose another one."],
};

function explain(error) {
  const [code, reason] = REASONS[error.name] ?? ["failed", error.message];
  return new ParleyError(code, reason);
}

async function capture(constraints) {
  if (!navigator.mediaDevices) {
    throw new ParleyError("insecure", "Browsers give camera and microphone to secure pages only. Open this page over https.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw explain(error);
  }
}

/** A camera's MediaStreamTrack. Throws ParleyError: `denied`, `no_device`, `busy`, `insecure`, `failed`. */
export async function open_camera(device_id = null) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
  if (device_id) video.deviceId = { exact: device_id };
  return (await capture({ video })).getVideoTracks()[0];
}

/** A microphone's MediaStreamTrack; `music` leaves out echo and noise processing. Throws as open_camera. */
export async function open_microphone(device_id = null, { music = false } = {}) {
  const audio = { echoCancellation: !music, noiseSuppression: !music, autoGainControl: !music };
  if (device_id) audio.deviceId = { exact: device_id };
  return (await capture({ audio })).getAudioTracks()[0];
}

/** The screen's picture and, where the browser offers it, its sound: {video, audio or null}. Throws ParleyError, `denied` when the user cancels. */
export async function open_screen() {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new ParleyError("unsupported", "This browser cannot share its screen.");
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 30 } }, audio: true });
    const video = stream.getVideoTracks()[0];
    video.contentHint = "detail";
    return { video, audio: stream.getAudioTracks()[0] ?? null };
  } catch (error) {
    throw explain(error);
  }
}

/** {cameras, microphones, speakers}, each [{id, label}]; labels are empty until a device has been allowed. */
export async function list_devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId).map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { cameras: of("videoinput"), microphones: of("audioinput"), speakers: of("audiooutput") };
}

/** Measures the loudness of an audio track: `read()` is 0..1, `close()` ends it. Silent where the browser gives no audio processing. */
export class LevelMeter {
  static #context = null;
  #source;
  #analyser;
  #samples;

  constructor(track) {
    LevelMeter.#context ??= new AudioContext();
    const context = LevelMeter.#context;
    // Not awaited: without a sound card, or before a gesture, some browsers never start it.
    if (context.state === "suspended") context.resume().catch(() => {});
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#analyser = new AnalyserNode(context, { fftSize: 1024 });
    this.#source.connect(this.#analyser);
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.#samples.length + 1e-10);
    return Math.min(1, Math.max(0, (decibels + 60) / 50));
  }

  close() {
    this.#source.disconnect();
  }
}
