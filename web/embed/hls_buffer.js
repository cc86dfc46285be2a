import { Emitter } from "../sdk/emitter.js";
import { ParleyError } from "../sdk/errors.js";

const BEHIND_MOST_S = 4;
const KEPT_S = 20;
const SAME_S = 0.01;

/**
 * What an HlsSource has handed to the browser, and where in it the video plays.
 *
 * Event: `dark` boolean: what was to be seen was withdrawn, nothing of it may stand there any longer; or (false) the picture behind it is there.
 */
export class HlsBuffer extends Emitter {
  #video;
  #buffer;
  #begins = []; // {segment, at_s}: where each segment begins
  #is_dark = false;
  #awaited = [0, 0]; // between these times is the picture that ends the dark

  /** `media`: an open MediaSource that `video` plays. Throws when the browser cannot play `type`. */
  constructor(video, media, type) {
    super();
    this.#video = video;
    this.#buffer = media.addSourceBuffer(type);
  }

  /** Take an initialisation segment: what was there before it is let go. */
  async begin(init) {
    await this.let_go(Infinity);
    await this.#change(() => this.#buffer.appendBuffer(init));
  }

  /** Take the next part, of that segment. */
  async append(data, segment) {
    const { buffered } = this.#buffer;
    const end = buffered.length ? buffered.end(buffered.length - 1) : null;
    await this.#change(() => this.#buffer.appendBuffer(data));
    if (segment === this.#begins.at(-1)?.segment || !this.#buffer.buffered.length) return;
    this.#begins.push({ segment, at_s: end ?? this.#buffer.buffered.start(0) });
  }

  /** Let go of what stands before a segment, and of what was played long ago. What was still to be seen of it is seen no more. */
  async let_go(segment) {
    this.#begins = this.#begins.filter((one) => one.segment >= segment);
    if (!this.#buffer.buffered.length) return;
    const from = this.#begins[0]?.at_s ?? Infinity;
    const at = this.#video.currentTime;
    if (at < from) {
      this.#video.pause();
      this.#set_dark(true);
    }
    const until = Math.max(from, at - KEPT_S);
    if (until > this.#buffer.buffered.start(0)) await this.#change(() => this.#buffer.remove(0, until));
  }

  /** Play where the room is: behind it after a stall is caught up. */
  keep_up() {
    const { buffered } = this.#buffer;
    if (!buffered.length) return;
    const end = buffered.end(buffered.length - 1);
    const begin = buffered.start(buffered.length - 1);
    const at = this.#video.currentTime;
    if (this.#is_dark || at < begin || end - at > BEHIND_MOST_S) this.#video.currentTime = Math.max(begin, end - 1);
    if (this.#is_dark) {
      this.#awaited = [begin, end];
      this.#video.requestVideoFrameCallback(this.#presented);
    }
    if (this.#video.paused) this.#video.play().catch(() => {});
  }

  // A picture of before the withdrawal may come once more.
  #presented = (_now, { mediaTime }) => {
    const [begin, end] = this.#awaited;
    if (mediaTime > begin - SAME_S && mediaTime <= end) this.#set_dark(false);
    else if (this.#is_dark) this.#video.requestVideoFrameCallback(this.#presented);
  };

  #set_dark(is_dark) {
    if (is_dark === this.#is_dark) return;
    this.#is_dark = is_dark;
    this.emit("dark", is_dark);
  }

  #change(begin) {
    return new Promise((resolve, reject) => {
      this.#buffer.onupdateend = resolve;
      this.#buffer.onerror = () => reject(new ParleyError("unsupported", "this browser cannot play it"));
      begin();
    });
  }
}
