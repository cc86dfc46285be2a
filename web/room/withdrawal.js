import { withdraw_from_recordings } from "../ui/api.js";
import { open_dialog } from "../ui/dialog.js";
import { el } from "../ui/dom.js";
import { toast } from "../ui/toast.js";

/** Ask whether one really wants to be removed from this room's recordings, and have it done; `on_done(words)` tells what follows. */
export function ask_withdrawal(token, on_done) {
  const dialog = open_dialog({
    title: "Remove you from this room's recordings?",
    kind: "withdrawal-dialog",
    body: el("div", { class: "settings" },
      el("p", {}, "Your picture, voice, chat lines and name are taken out of what was recorded here and is kept by this server. A recording that runs goes on without you."),
      el("p", { class: "soft" }, "It cannot be undone. Copies that others have fetched, and what went live, are out of reach.")),
    actions: [
      el("button", { class: "button", type: "button", id: "withdraw-no", on_click: () => dialog.close() }, "Keep me in"),
      el("button", { class: "button button-alarm", type: "button", id: "withdraw-yes", on_click: ({ currentTarget }) => withdraw(currentTarget) }, "Remove me"),
    ],
  });

  async function withdraw(button) {
    button.disabled = true;
    try {
      const { recordings } = await withdraw_from_recordings(token);
      on_done(outcome(recordings.length));
    } catch (error) {
      // Nobody who never agreed to anything is in a recording.
      if (error.code === "not_found") on_done(outcome(0));
      else toast(error.reason ?? error.message, { kind: "error" });
    }
    dialog.close();
  }
}

function outcome(count) {
  if (count === 0) return "Nothing of you is in this room's recordings.";
  return `You are being removed from ${count === 1 ? "one recording" : `${count} recordings`}.`;
}
