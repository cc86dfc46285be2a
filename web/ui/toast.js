import { announce, el } from "./dom.js";
import { icon } from "./icons.js";

const SHOWN_MS = 6000;
const MOST = 3;

/** Show a sentence for a few seconds at the edge of the page; `kind` is `info` or `error`. */
export function toast(text, { kind = "info" } = {}) {
  let shelf = document.getElementById("toasts");
  if (!shelf) {
    shelf = el("div", { id: "toasts", class: "toasts" });
    document.body.append(shelf);
  }
  if ([...shelf.children].some((one) => one.dataset.text === text)) return;
  const close = el("button", { class: "toast-close", type: "button", aria_label: "Dismiss" }, icon("close"));
  const note = el("div", { class: `toast toast-${kind}`, data_text: text }, kind === "error" && icon("warning"), el("p", {}, text), close);
  close.addEventListener("click", () => note.remove());
  while (shelf.children.length >= MOST) shelf.firstElementChild.remove();
  shelf.append(note);
  announce(text, { assertive: kind === "error" });
  setTimeout(() => note.remove(), SHOWN_MS);
}

/** Do something; when it fails, tell why. Resolves with whether it came off. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.reason ?? error.message, { kind: "error" });
    return false;
  }
}
