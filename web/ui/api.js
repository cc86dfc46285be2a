import { ParleyError } from "../sdk/parley.js";

async function request(path, { token = null, ...options } = {}) {
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization }, cache: "no-store" });
  if (!response.ok) throw await ParleyError.from_response(response);
  return response.json();
}

function get(path, token = null) {
  return request(path, { token });
}

function post(path, token, body = null) {
  const sent = body === null ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return request(path, { method: "POST", token, ...sent });
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

/** Have one's own media and chat removed from the room's recordings: {recordings, at_ms}. */
export function withdraw_from_recordings(token) {
  return post("/api/v1/consents/withdrawals", token, {});
}

/** The broadcasts of a token's room that run now: the look of each, and how its destinations do. */
export async function fetch_broadcasts(token) {
  const { items } = await get("/api/v1/broadcasts?limit=20", token);
  return items.filter(({ ended_ms }) => ended_ms === null);
}

/** The destinations that a token may send to. */
export async function fetch_destinations(token) {
  return (await get("/api/v1/destinations", token)).items;
}

/** Start a broadcast, of a room or of a recording again: the broadcast. */
export function start_broadcast(token, wish) {
  return post("/api/v1/broadcasts", token, wish);
}

/** End a broadcast, or let a planned one not begin: the broadcast. */
export function stop_broadcast(token, id) {
  return post(`/api/v1/broadcasts/${encodeURIComponent(id)}/stop`, token);
}

/** A token from a server in development mode: {token, identity}. */
export function fetch_dev_token(request) {
  return post("/api/v1/dev/tokens", null, request);
}

/** A guest's own token for an invitation: {token, identity, expires_at}. */
export function fetch_guest_token(room, invitation) {
  return post(`/api/v1/rooms/${encodeURIComponent(room)}/guests`, invitation);
}

/** A link that gives each who opens it an identity of their own, made by a moderator: {token, expires_at, join_url}. */
export function fetch_invitation(room, token) {
  return post(`/api/v1/rooms/${encodeURIComponent(room)}/invitations`, token, {});
}
