// What a test sees and hears: the colour of a playing <video>, the pitch of a playing audio track. Runs before the page's scripts.
"use strict";
globalThis.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
globalThis.dialogs = [];
for (const name of ["alert", "confirm", "prompt"]) globalThis[name] = (text) => { dialogs.push(`${name}: ${text}`); };

globalThis.probe = {
  // [r, g, b]: the median of each channel over a grid of the picture, or null while nothing is shown.
  colour(video) {
    if (!video || video.readyState < 2 || !video.videoWidth) return null;
    const canvas = document.createElement("canvas");
    canvas.width = 32;
    canvas.height = 18;
    const paint = canvas.getContext("2d", { willReadFrequently: true });
    paint.drawImage(video, 0, 0, 32, 18);
    const { data } = paint.getImageData(0, 0, 32, 18);
    return [0, 1, 2].map((channel) => {
      const values = [];
      for (let i = channel; i < data.length; i += 4) values.push(data[i]);
      return values.sort((a, b) => a - b)[values.length >> 1];
    });
  },

  // True when three more frames come within two seconds: the picture moves.
  moves(video) {
    return new Promise((resolve) => {
      let left = 3;
      setTimeout(() => resolve(false), 2000);
      const count = () => (--left ? video.requestVideoFrameCallback(count) : resolve(true));
      video.requestVideoFrameCallback(count);
    });
  },

  // {hz, level}: the loudest pitch of the live tracks that an <audio> or <video> plays; level is its amplitude, 0..1. Null without a track.
  async tone(element) {
    const tracks = element?.srcObject?.getAudioTracks().filter((track) => track.readyState === "live") ?? [];
    if (!tracks.length) return null;
    const samples = await this.record(new MediaStream(tracks), 600);
    return this.loudest(samples, 48000);
  },

  // A recording rather than an AnalyserNode: Firefox runs no AudioContext on a machine without a sound card.
  async record(stream, span_ms) {
    const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 128000 });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
    recorder.start();
    setTimeout(() => recorder.state === "recording" && recorder.stop(), span_ms);
    // A recorder that never ends heard nothing: whoever asked asks again.
    await Promise.race([stopped, new Promise((give_up) => { setTimeout(give_up, span_ms + 3000); })]);
    const blob = new Blob(parts);
    if (!blob.size) return new Float32Array();
    const decoder = new OfflineAudioContext(1, 48000, 48000);
    try {
      return (await decoder.decodeAudioData(await blob.arrayBuffer())).getChannelData(0);
    } catch {
      return new Float32Array();
    }
  },

  // The pitch between 100 and 3000 Hz with the largest amplitude (Goertzel, 10 Hz steps, then 1 Hz around the best).
  loudest(all_samples, rate) {
    const samples = all_samples.slice(-16384);
    const amplitude = (hz) => {
      const coefficient = 2 * Math.cos(2 * Math.PI * hz / rate);
      let before = 0, now = 0;
      for (const sample of samples) [before, now] = [now, sample + coefficient * now - before];
      return 2 * Math.sqrt(Math.max(0, before * before + now * now - coefficient * before * now)) / samples.length;
    };
    const best = (from, to, step) => {
      let found = { hz: 0, level: 0 };
      for (let hz = from; hz <= to; hz += step) {
        const level = amplitude(hz);
        if (level > found.level) found = { hz, level };
      }
      return found;
    };
    if (samples.length < rate / 10) return { hz: 0, level: 0 };
    const rough = best(100, 3000, 2);
    return best(rough.hz - 2, rough.hz + 2, 0.5);
  },
};

// Every WebSocket and RTCPeerConnection that the page makes, so that a test can cut the one and count the other.
globalThis.sockets = [];
globalThis.WebSocket = class extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    sockets.push(this);
  }
};
globalThis.connections = [];
if (globalThis.RTCPeerConnection) {
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...parameters) {
      super(...parameters);
      connections.push(this);
    }
  };
}
