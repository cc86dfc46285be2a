// The documented capture hook of the browser tests: runs before the page's own scripts and puts a camera of one colour,
// a microphone of one tone and a screen of one colour in the place of the browser's devices. The page is unchanged.
//
// installCapture({ cameras: [{ label, colour: [r, g, b] }], microphones: [{ label, tone_hz }], screen: [r, g, b] })
// A microphone without tone_hz is the browser's own fake one (Firefox runs no AudioContext on a machine without a sound card).
// Speakers are the browser's own, which it names once the page may use a microphone of it.
// The screen "tab" is Firefox's own capture of a tab, which needs no display.
"use strict";
globalThis.installCapture = (spec) => {
  const width = 320, height = 180, fps = 15;
  const camera_id = (index) => `test-camera-${index}`;
  const microphone_id = (index) => `test-microphone-${index}`;
  let context = null;
  let screen_track = null;

  function picture([red, green, blue], w = width, h = height) {
    const canvas = document.createElement("canvas");
    canvas.width = w;
    canvas.height = h;
    const paint = canvas.getContext("2d");
    let step = 0;
    const draw = () => {
      paint.fillStyle = `rgb(${red}, ${green}, ${blue})`;
      paint.fillRect(0, 0, w, h);
      paint.fillStyle = "#fff";
      paint.fillRect((step++ * 9) % (w - 24), h - 30, 24, 24);
    };
    draw();
    const timer = setInterval(draw, 1000 / fps);
    const track = canvas.captureStream(fps).getVideoTracks()[0];
    const stop = track.stop.bind(track);
    track.stop = () => { clearInterval(timer); stop(); };
    return track;
  }

  function sound(tone_hz) {
    context ??= new AudioContext({ sampleRate: 48000 });
    context.resume();
    const oscillator = new OscillatorNode(context, { frequency: tone_hz });
    const gain = new GainNode(context, { gain: 0.4 });
    const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    oscillator.connect(gain).connect(out);
    oscillator.start();
    const track = out.stream.getAudioTracks()[0];
    const stop = track.stop.bind(track);
    track.stop = () => { oscillator.stop(); stop(); };
    return track;
  }

  function label(track, name, id, kind) {
    const settings = track.getSettings.bind(track);
    Object.defineProperty(track, "label", { value: name });
    track.getSettings = () => ({ ...settings(), deviceId: id, ...(kind === "video" ? { width, height, frameRate: fps } : {}) });
    return track;
  }

  function wanted(constraint, ids) {
    const id = constraint?.deviceId?.exact ?? constraint?.deviceId?.ideal ?? constraint?.deviceId ?? constraint;
    const index = ids.indexOf(id);
    if (constraint?.deviceId?.exact && index < 0) throw new DOMException("no such device", "OverconstrainedError");
    return Math.max(index, 0);
  }

  const cameras = spec.cameras ?? [];
  const microphones = spec.microphones ?? [];
  const devices = navigator.mediaDevices;
  if (!devices) return;                         // about:blank
  const own = devices.getUserMedia.bind(devices);
  const own_list = devices.enumerateDevices.bind(devices);
  devices.getUserMedia = async ({ audio, video }) => {
    const tracks = [];
    if (audio) {
      if (!microphones.length) throw new DOMException("no microphone", "NotFoundError");
      const index = wanted(audio, microphones.map((_, i) => microphone_id(i)));
      const { tone_hz } = microphones[index];
      const track = tone_hz ? sound(tone_hz) : (await own({ audio: true })).getAudioTracks()[0];
      tracks.push(label(track, microphones[index].label, microphone_id(index), "audio"));
    }
    if (video) {
      if (!cameras.length) throw new DOMException("no camera", "NotFoundError");
      const index = wanted(video, cameras.map((_, i) => camera_id(i)));
      tracks.push(label(picture(cameras[index].colour), cameras[index].label, camera_id(index), "video"));
    }
    return new MediaStream(tracks);
  };
  devices.getDisplayMedia = async () => {
    if (!spec.screen) throw new DOMException("denied", "NotAllowedError");
    screen_track = spec.screen === "tab"
      ? (await own({ video: { mediaSource: "browser" } })).getVideoTracks()[0]
      : picture(spec.screen, 640, 360);
    return new MediaStream([screen_track]);
  };
  globalThis.stopTestScreen = () => {          // what the browser's own "stop sharing" button does
    screen_track.stop();
    screen_track.dispatchEvent(new Event("ended"));
  };
  devices.enumerateDevices = async () => [
    ...cameras.map((camera, index) => ({ kind: "videoinput", deviceId: camera_id(index), groupId: "", label: camera.label })),
    ...microphones.map((microphone, index) => ({ kind: "audioinput", deviceId: microphone_id(index), groupId: "", label: microphone.label })),
    ...(await own_list()).filter(({ kind }) => kind === "audiooutput"),
  ];
};
