import { ParleyError } from "../sdk/parley.js";

async function get(path, token = null) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { headers, cache: "no-store" });
  if (!response.ok) throw await ParleyError.from_response(response);
  return response.json();
}

/** {name, development, support, privacy} of this server. */
export function fetch_site() {
  return get("/api/v1/site");
}

/** The terms in force, or a version of them. */
export function fetch_terms(version = null) {
  return get(version ? `/api/v1/terms/${encodeURIComponent(version)}` : "/api/v1/terms");
}

/** What the pre-join screen shows of a room. */
export function fetch_door(room, token) {
  return get(`/api/v1/rooms/${encodeURIComponent(room)}/door`, token);
}

/** A token from a server in development mode: {token, identity}. */
export async function fetch_dev_token(request) {
  const response = await fetch("/api/v1/dev/tokens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw await ParleyError.from_response(response);
  return response.json();
}
