/** The frame of a data message (docs/protocol.md section 14): u16 length, that many bytes of JSON, payload. */

const LENGTH_BYTES = 2;

/** A message to send: bytes (ArrayBuffer or view) about a topic, to some identities or (null) to everyone. */
export function seal(bytes, { topic, to }) {
  const head = new TextEncoder().encode(JSON.stringify({ ...(topic ? { topic } : {}), ...(to ? { to } : {}) }));
  const payload = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
  const message = new Uint8Array(LENGTH_BYTES + head.length + payload.length);
  new DataView(message.buffer).setUint16(0, head.length);
  message.set(head, LENGTH_BYTES);
  message.set(payload, LENGTH_BYTES + head.length);
  return message;
}

/** What a received message (ArrayBuffer) says: {participant, identity, topic, private, bytes}. Throws when it is none. */
export function unseal(message) {
  const length = new DataView(message).getUint16(0);
  const head = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(message, LENGTH_BYTES, length)));
  return {
    participant: head.from,
    identity: head.identity,
    topic: head.topic ?? "",
    private: head.private ?? false,
    bytes: new Uint8Array(message, LENGTH_BYTES + length),
  };
}
