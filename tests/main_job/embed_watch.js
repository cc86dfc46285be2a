// Notes what the embed's <video> presents and plays: each new picture's mean colour, the level of each tone about every 20 ms, and all texts.
(tones) => {
  const KEPT = 8000, WINDOW = 1024;
  globalThis.sightings = [];   // [ms, red, green, blue]
  globalThis.hearings = [];    // [ms, level of each tone]
  globalThis.texts = new Set();
  const note = (log, entry) => {
    log.push([Date.now(), ...entry]);
    if (log.length > KEPT) log.shift();
  };

  const read = () => globalThis.texts.add(document.body.innerText);
  new MutationObserver(read).observe(document.body, { childList: true, subtree: true, characterData: true });
  read();

  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  // Each newly presented frame, not what stands frozen on the element after the last one.
  const look = () => {
    video.requestVideoFrameCallback(look);
    pen.drawImage(video, 0, 0, 8, 8);
    const { data } = pen.getImageData(0, 0, 8, 8);
    const sum = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++) sum[c] += data[i + c] / 64;
    note(globalThis.sightings, sum.map(Math.round));
  };
  video.requestVideoFrameCallback(look);

  const hann = Float32Array.from({ length: WINDOW }, (_, i) => (1 - Math.cos((2 * Math.PI * i) / WINDOW)) / WINDOW);
  const level = (samples, hz, rate) => {
    let real = 0, imaginary = 0;
    for (let i = 0; i < WINDOW; i++) {
      const weighted = 2 * hann[i] * samples[i], angle = (2 * Math.PI * hz * i) / rate;
      real += weighted * Math.cos(angle);
      imaginary += weighted * Math.sin(angle);
    }
    return Math.hypot(real, imaginary);
  };
  const listen = async (track) => {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const samples = new Float32Array(WINDOW);
    let filled = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const part = new Float32Array(next.value.numberOfFrames), rate = next.value.sampleRate;
      next.value.copyTo(part, { planeIndex: 0, format: "f32-planar" });
      next.value.close();
      for (const sample of part) {
        samples[filled++] = sample;
        if (filled < WINDOW) continue;
        filled = 0;
        note(globalThis.hearings, tones.map((hz) => level(samples, hz, rate)));
      }
    }
  };
  let heard = null;
  setInterval(() => {
    const track = video.srcObject?.getAudioTracks()[0] ?? null;
    if (track && track !== heard) listen(track);
    heard = track;
  }, 50);
}
