import { el } from "./dom.js";
import { icon } from "./icons.js";

const HELD_MS = 700;

let count = 0;

/**
 * Open a modal dialog with a title, a body and a row of buttons; returns {element, body, close}.
 *
 * `on_close` runs once when it closes in whatever way. A dialog that is not `dismissible` has no cross and ignores Escape. One that is
 * `unasked` opened by itself, perhaps while somebody types: its title has the focus, and for a moment it cannot be answered.
 */
export function open_dialog({ title, body, actions = [], on_close = () => {}, dismissible = true, unasked = false, kind = "" }) {
  const id = `dialog-${++count}`;
  const close = () => element.close();
  const head = el("div", { class: "dialog-head" }, el("h2", unasked ? { id, tabIndex: -1, autofocus: true } : { id }, title),
    dismissible && el("button", { class: "icon-button", type: "button", aria_label: "Close", on_click: close }, icon("close")));
  const content = el("div", { class: "dialog-content" }, body);
  const foot = actions.length ? el("div", { class: "dialog-foot" }, actions) : null;
  const element = el("dialog", { class: kind, data_kind: kind }, el("div", { class: "dialog-body" }, head, content, foot));
  element.setAttribute("aria-labelledby", id);
  element.addEventListener("cancel", (event) => dismissible || event.preventDefault());
  element.addEventListener("keydown", (event) => {
    // Browsers close a dialog at the second Escape even when the first was refused.
    if (event.key === "Escape" && !dismissible) event.preventDefault();
  });
  element.addEventListener("close", () => {
    element.remove();
    on_close();
  });
  if (unasked) hold_answers(element);
  document.body.append(element);
  element.showModal();
  return { element, body: content, close };
}

function hold_answers(element) {
  const buttons = element.querySelectorAll(".dialog-foot button");
  for (const button of buttons) button.disabled = true;
  setTimeout(() => {
    for (const button of buttons) button.disabled = false;
  }, HELD_MS);
}
