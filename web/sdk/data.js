import { Emitter } from "./emitter.js";
import { seal, unseal } from "./envelope.js";
import { ParleyError } from "./errors.js";

// Past this much of its own that waits, the browser is asked to send before more is given to it.
const HIGH_WATER_BYTES = 65_536;
const LOW_WATER_BYTES = 16_384;
const OPENS_WITHIN_MS = 15_000;
const OPTIONS = { reliable: { ordered: true }, lossy: { ordered: false, maxRetransmits: 0 } };

/**
 * The two data channels of the publish connection: `reliable` (every message, in order) and `lossy` (unordered, sent once).
 *
 * They are made anew with each connection. Events: `data` {participant, identity, topic, private, reliable, bytes}, `state` {open}, `failed` ParleyError.
 */
export class Data extends Emitter {
  /** Whether channels are wanted at all. */
  is_on = false;
  /** What one message may hold, envelope included; the server says it at the join. */
  message_bytes = 0;

  #channels = { reliable: null, lossy: null };
  #was_open = false;

  /** Whether both channels are open: others' messages arrive. */
  get is_open() {
    return Object.values(this.#channels).every((channel) => channel?.readyState === "open");
  }

  /** Make the channels of a new connection, before its first offer. */
  attach(connection) {
    for (const [label, options] of Object.entries(OPTIONS)) {
      const channel = connection.createDataChannel(label, options);
      channel.binaryType = "arraybuffer";
      channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
      channel.addEventListener("message", ({ data }) => this.#receive(label, data));
      for (const name of ["open", "close"]) channel.addEventListener(name, () => this.#tell());
      this.#channels[label] = channel;
    }
  }

  /** Send bytes; resolves when the browser has taken them and has not too much left of earlier ones. Throws ParleyError. */
  async send(bytes, { topic = "", to = null, reliable = true } = {}) {
    const message = seal(bytes, { topic, to });
    if (message.byteLength > this.message_bytes) {
      throw new ParleyError("too_large", `A data message holds at most ${this.message_bytes} bytes, this one takes ${message.byteLength}`);
    }
    const channel = await this.#open(reliable ? "reliable" : "lossy");
    if (channel.bufferedAmount > HIGH_WATER_BYTES) {
      // What is late is of no use: a lossy message does not wait.
      if (!reliable) return;
      await drained(channel);
    }
    channel.send(message);
  }

  async #open(label) {
    const channel = this.#channels[label];
    if (channel?.readyState === "connecting") await opened(channel);
    if (channel?.readyState !== "open") throw new ParleyError("disconnected", "The data channel is not open");
    return channel;
  }

  #tell() {
    if (this.is_open === this.#was_open) return;
    this.#was_open = this.is_open;
    this.emit("state", { open: this.is_open });
  }

  #receive(label, data) {
    try {
      this.emit("data", { ...unseal(data), reliable: label === "reliable" });
    } catch (error) {
      this.emit("failed", ParleyError.from_any(error, "protocol"));
    }
  }
}

function opened(channel) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, OPENS_WITHIN_MS);
    for (const name of ["open", "close"]) {
      channel.addEventListener(name, () => (clearTimeout(timer), resolve()), { once: true });
    }
  });
}

function drained(channel) {
  return new Promise((resolve, reject) => {
    channel.addEventListener("bufferedamountlow", resolve, { once: true });
    channel.addEventListener("close", () => reject(new ParleyError("disconnected", "The data channel was closed")), { once: true });
  });
}
