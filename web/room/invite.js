import { fetch_invitation } from "../ui/api.js";
import { open_dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { toast } from "../ui/toast.js";

/**
 * Brings others into the room. On a development server its address does that; elsewhere a moderator makes an invitation, and nobody else can.
 *
 * `words` is the button's text, null when this person can invite nobody.
 */
export class Invite {
  #room;
  #pass;
  #is_open;

  constructor({ room, pass, site }) {
    this.#room = room;
    this.#pass = pass;
    this.#is_open = Boolean(site?.development);
  }

  get words() {
    if (this.#is_open) return "Copy the room's address";
    return this.#room.may("moderate") ? "Copy an invitation" : null;
  }

  /** Put the link into the clipboard; where the browser does not let it, show it. */
  async copy() {
    try {
      const link = this.#is_open ? `${location.origin}${location.pathname}` : (await fetch_invitation(this.#room.self.room, this.#pass.token)).join_url;
      await navigator.clipboard.writeText(link).then(() => toast("Copied. Whoever opens the link comes to this room."), () => show(link));
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  }
}

function show(link) {
  const field = el("input", { type: "text", readOnly: true, value: link, id: "invitation", on_focus: ({ target }) => target.select() });
  open_dialog({ title: "Invite others", body: el("div", { class: "field" }, el("label", { for: "invitation" }, "Send them this link"), field) });
  field.focus();
}
