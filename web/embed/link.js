import { ParleyError } from "../sdk/errors.js";

/** Whether the page was opened by a partner's signed link: then its token is behind it. */
export function is_signed(search) {
  return new URLSearchParams(search).has("sig");
}

/** What the link is worth now: {token, expires_at, origins, hls_url}. Throws ParleyError when it serves no more. */
export async function embed_of(room, search) {
  const response = await fetch(`/embed/${encodeURIComponent(room)}/token${search}`, { method: "POST", cache: "no-store", referrerPolicy: "same-origin" });
  if (!response.ok) throw await ParleyError.from_response(response);
  return response.json();
}
