/** A refusal or failure with a stable `code` (docs/protocol.md section 6) and a `reason` that says how to mend it. */
export class ParleyError extends Error {
  constructor(code, reason, data = {}) {
    super(reason);
    this.name = "ParleyError";
    this.code = code;
    this.reason = reason;
    this.retry_after_s = data.retry_after_s ?? null;
    this.data = data;
  }

  /** Whatever was thrown, as a ParleyError; `code` names what is none yet. */
  static from_any(error, code) {
    return error instanceof ParleyError ? error : new ParleyError(code, error?.message || String(error));
  }

  /** From the `error` member of a JSON-RPC answer. */
  static from_rpc({ code, message, data }) {
    if (code === -32000 && data?.code) return new ParleyError(data.code, data.reason ?? message, data);
    return new ParleyError(code === -32603 ? "internal" : "protocol", data?.reference ? `${message} (${data.reference})` : message, data ?? {});
  }

  /** From an `application/problem+json` HTTP answer; a body of another type is not read. */
  static async from_response(response) {
    const is_problem = response.headers.get("content-type")?.startsWith("application/problem+json");
    const problem = is_problem ? await response.json().catch(() => ({})) : {};
    const retry_after_s = Number(response.headers.get("retry-after")) || null;
    return new ParleyError(problem.code ?? `http_${response.status}`, problem.detail ?? problem.title ?? `The server answered ${response.status}`, {
      ...problem,
      retry_after_s,
    });
  }
}
