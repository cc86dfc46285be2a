/** Building and finding elements. Text only ever becomes text nodes; nothing here parses markup. */

/** The element with this id; a missing one is a fault of the page. */
export function by_id(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * Make an element. In `properties`, `class`, `aria_*`, `data_*`, `role` and `for` become attributes, `on_<event>` a listener,
 * everything else a property. Children are elements or text; null and false are left out.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  set(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Apply `properties` as `el` does. */
export function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on_")) element.addEventListener(name.slice(3), value);
    else if (name === "class" || name === "role" || name === "for") element.setAttribute(name, value);
    else if (name.startsWith("aria_") || name.startsWith("data_")) element.setAttribute(name.replace("_", "-"), value);
    else element[name] = value;
  }
}

/** Replace an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Tell screen readers something without moving the focus; `assertive` interrupts. */
export function announce(text, { assertive = false } = {}) {
  let region = document.getElementById(assertive ? "alerts" : "announcements");
  if (!region) {
    region = el("div", { id: assertive ? "alerts" : "announcements", class: "visually-hidden", role: assertive ? "alert" : "status" });
    document.body.append(region);
  }
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}
