import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";

const CALL_TIMEOUT_MS = 15_000;
const OPEN_TIMEOUT_MS = 10_000;

/**
 * JSON-RPC 2.0 over one WebSocket: calls with answers, notifications in order.
 *
 * Events: `notification` {method, params}, `close` {code, reason} (once).
 */
export class RpcConnection extends Emitter {
  #socket;
  #waiting = new Map();
  #number = 0;
  #closed = false;

  /** Connect to `url` (ws: or wss:). Throws ParleyError `unreachable`. */
  static async open(url) {
    const socket = new WebSocket(url, ["parley.v1.json"]);
    await new Promise((resolve, reject) => {
      const fail = () => {
        socket.close();
        reject(new ParleyError("unreachable", "The server cannot be reached. Check your connection and try again."));
      };
      const timer = setTimeout(fail, OPEN_TIMEOUT_MS);
      socket.onopen = () => resolve(clearTimeout(timer));
      socket.onclose = () => fail(clearTimeout(timer));
    });
    return new RpcConnection(socket);
  }

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
  }

  /** Call `method`; its result. Throws ParleyError: the server's refusal, `timeout`, or `disconnected`. */
  call(method, params = {}, { timeout_ms = CALL_TIMEOUT_MS } = {}) {
    if (this.#closed) return Promise.reject(new ParleyError("disconnected", "The connection to the server is lost."));
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ParleyError("timeout", `The server did not answer ${method} in time.`));
      }, timeout_ms);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Close the WebSocket; `close` follows with `code` at once, without waiting for a server that may be gone. */
  close(code = 1000, reason = "") {
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close(code === 1000 ? 1000 : undefined);
    this.#end(code, reason);
  }

  #receive(text) {
    const message = JSON.parse(text);
    if (message.method) {
      this.emit("notification", { method: message.method, params: message.params ?? {} });
      return;
    }
    const call = this.#waiting.get(message.id);
    if (!call) return;
    this.#waiting.delete(message.id);
    clearTimeout(call.timer);
    if (message.error) call.reject(ParleyError.from_rpc(message.error));
    else call.resolve(message.result);
  }

  #end(code, reason) {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new ParleyError("disconnected", "The connection to the server was lost."));
    }
    this.#waiting.clear();
    this.emit("close", { code, reason });
  }
}
