import { el } from "./dom.js";
import { icon } from "./icons.js";

const GAP = 6;

/**
 * Open a menu of actions next to `anchor`; items are {icon, text, action, alarm, checked}. Arrow keys move, Escape and a click elsewhere close it.
 */
export function open_menu(anchor, label, items) {
  const menu = el("div", { class: "menu", role: "menu", aria_label: label, popover: "auto" });
  const close = () => menu.hidePopover();
  for (const { icon: name, text, action, alarm, checked } of items) {
    const role = checked === undefined ? "menuitem" : "menuitemcheckbox";
    const item = el("button", { class: `menu-item${alarm ? " menu-alarm" : ""}`, type: "button", role, tabIndex: -1 }, icon(name), el("span", {}, text));
    if (checked !== undefined) item.setAttribute("aria-checked", String(checked));
    item.addEventListener("click", () => {
      close();
      action();
    });
    menu.append(item);
  }
  menu.addEventListener("keydown", (event) => step(menu, event));
  menu.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (document.activeElement === document.body) anchor.focus();
    menu.remove();
  });
  document.body.append(menu);
  menu.showPopover();
  anchor.setAttribute("aria-expanded", "true");
  place(menu, anchor.getBoundingClientRect());
  menu.firstElementChild?.focus({ preventScroll: true });
}

function step(menu, event) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  items.at(to % items.length)?.focus();
}

function place(menu, box) {
  const { width, height } = menu.getBoundingClientRect();
  const above = box.top - height - GAP;
  const top = above > GAP ? above : Math.min(box.bottom + GAP, innerHeight - height - GAP);
  const left = Math.min(Math.max(GAP, box.right - width), innerWidth - width - GAP);
  menu.style.setProperty("top", `${top}px`);
  menu.style.setProperty("left", `${left}px`);
}
