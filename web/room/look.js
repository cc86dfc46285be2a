import { el } from "../ui/dom.js";

const LAYOUTS = [["grid", "Everyone"], ["speaker", "Who speaks is large"], ["screen", "Screen and speaker"], ["single", "One person"]];
const LOUDEST = 2;

/**
 * The fields of how a program is arranged, beginning with `look`; `id` keeps several apart on a page.
 *
 * {element, value}: `value()` is what they say. `on_change(part)` gets each change: {layout}, {person}, {names} or {chat}.
 */
export function look_fields({ id, people, look, on_change = () => {} }) {
  const layout = select(`${id}-layout`, "Layout", LAYOUTS, look.layout, (value) => on_change({ layout: value }));
  const places = [["", "Whoever speaks"], ...people.map(({ identity, name }) => [identity, name])];
  const person = select(`${id}-person`, "The large place", places, look.person ?? "", (value) => on_change({ person: value }));
  const names = tick(`${id}-names`, "Names under the pictures", look.names, (value) => on_change({ names: value }));
  const chat = tick(`${id}-chat`, "Chat in the picture", look.chat, (value) => on_change({ chat: value }));
  const value = () => ({ layout: layout.field.value, person: person.field.value, names: names.field.checked, chat: chat.field.checked });
  return { element: el("div", { class: "look" }, layout.row, person.row, names.row, chat.row), value };
}

/** A slider for each person: 0 is silent, 1 as they are. `on_change({gains})` gets each change. */
export function volume_fields({ id, people, gains, on_change }) {
  return el("div", { class: "volumes" }, people.map(({ identity, name }, at) => {
    const field = el("input", { type: "range", id: `${id}-gain-${at}`, min: 0, max: LOUDEST, step: 0.1, value: gains[identity] ?? 1, data_identity: identity });
    field.addEventListener("change", () => on_change({ gains: { [identity]: Number(field.value) } }));
    return el("div", { class: "volume" }, el("label", { for: field.id }, name), field);
  }));
}

function select(id, text, choices, value, on_change) {
  const field = el("select", { id, on_change: () => on_change(field.value) }, choices.map(([choice, words]) => el("option", { value: choice }, words)));
  field.value = value;
  return { field, row: el("div", { class: "field" }, el("label", { for: id }, text), field) };
}

function tick(id, text, checked, on_change) {
  const field = el("input", { id, type: "checkbox", checked, on_change: () => on_change(field.checked) });
  return { field, row: el("label", { class: "tick" }, field, el("span", {}, text)) };
}
