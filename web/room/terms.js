import { el, fill } from "../ui/dom.js";
import { fetch_terms } from "../ui/api.js";
import { open_dialog } from "../ui/dialog.js";
import { toast } from "../ui/toast.js";

/** Ask a person in the room to accept the terms in force; `on_accepted` runs when they did. */
export async function ask_terms(room, on_accepted) {
  const { version } = room.terms;
  const age = el("input", { type: "checkbox" });
  const accepted = el("input", { type: "checkbox" });
  const age_words = el("span", {}, "I am 18 or older.");
  const accept = el("button", { class: "button button-primary", type: "button", disabled: true }, "Accept");
  for (const box of [age, accepted]) box.addEventListener("change", () => { accept.disabled = !(age.checked && accepted.checked); });
  const text = el("div", { class: "scroll-text scroll-text-open", tabIndex: 0, role: "region", aria_label: "Terms of broadcast" }, el("p", { class: "pulse" }, "Loading"));
  accept.addEventListener("click", async () => {
    try {
      await room.accept_terms(version, true);
      dialog.close();
      on_accepted();
    } catch (error) {
      toast(error.reason ?? error.message, { kind: "error" });
    }
  });
  const dialog = open_dialog({
    title: `Terms of broadcast (${version})`,
    body: el("div", { class: "settings" }, text,
      el("label", { class: "tick" }, age, age_words),
      el("label", { class: "tick" }, accepted, el("span", {}, "I have read the terms and accept them."))),
    actions: [accept],
  });
  try {
    const terms = await fetch_terms(version);
    if (terms.age_statement) age_words.textContent = terms.age_statement;
    fill(text, terms.text.split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph)));
  } catch (error) {
    fill(text, el("p", { class: "problem" }, error.reason ?? error.message));
  }
}
