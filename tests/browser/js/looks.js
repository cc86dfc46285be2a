// What is wrong with how a page looks and is operated: overflow, names, sizes, and contrast (WCAG 2.2 AA). A function for `page.evaluate`.
() => {
  const faults = [...violations];

  function is_shown(element) {
    return element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  }

  function parse(text) {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return alpha ? [red, green, blue, alpha / 255] : [0, 0, 0, 0];
  }

  function over([red, green, blue, alpha], below) {
    return [red, green, blue].map((value, i) => value * alpha + below[i] * (1 - alpha));
  }

  function luminance(colour) {
    const [red, green, blue] = colour.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(one, other) {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  }

  // What may lie behind an element: one colour, or black and white where a moving picture does.
  function backdrops(element) {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) return [layers];
      const has_picture = [...at.children].some((child) => child.matches("video") && !child.contains(element) && is_shown(child));
      if (has_picture) return [[...layers, [0, 0, 0, 1]], [...layers, [255, 255, 255, 1]]];
      if (at.matches("dialog, .menu, .toast")) return [layers];
    }
    return [layers];
  }

  function worst(colour, element) {
    return Math.min(...backdrops(element).map((layers) => {
      const ground = layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255]);
      return contrast(over(colour, ground), ground);
    }));
  }

  function describe(element) {
    return `${element.tagName.toLowerCase()}.${element.className} "${element.textContent.trim().slice(0, 40)}"`;
  }

  function check_text(element) {
    const style = getComputedStyle(element);
    const size_px = parseFloat(style.fontSize);
    const is_large = size_px >= 24 || (size_px >= 18.66 && Number(style.fontWeight) >= 700);
    const found = worst(parse(style.color), element);
    if (found < (is_large ? 3 : 4.5)) faults.push(`contrast ${found.toFixed(2)}: ${describe(element)}`);
  }

  if (document.documentElement.scrollWidth > innerWidth) faults.push("the page is wider than its window");

  const dialog = document.querySelector("dialog[open]");
  const top = dialog ?? document.body;
  for (const control of top.querySelectorAll("button, a[href], input, select, textarea, summary")) {
    if (!is_shown(control)) continue;
    const labels = [...(control.labels ?? [])].map((label) => label.textContent).join("");
    const name = control.getAttribute("aria-label") || control.textContent.trim() || labels || control.title;
    if (!name) faults.push(`no name: ${control.outerHTML.slice(0, 120)}`);
    const held = (control.closest("label, .choice") ?? control).getBoundingClientRect();
    const is_small = Math.min(held.width, held.height) < 24;
    if (is_small && !control.matches("a, summary, .link-button")) faults.push(`too small: ${control.outerHTML.slice(0, 120)}`);
    if (!control.disabled && control.matches("input[type=text], select, textarea")) {
      const border = worst(parse(getComputedStyle(control).borderTopColor), control.parentElement);
      if (border < 3) faults.push(`border ${border.toFixed(2)}: ${control.outerHTML.slice(0, 80)}`);
      if (control.placeholder && worst(parse(getComputedStyle(control, "::placeholder").color), control) < 4.5) faults.push(`placeholder: ${control.placeholder}`);
    }
  }

  const texts = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element)) continue;
    seen.add(element);
    if (!is_shown(element) || element.closest(":disabled, .visually-hidden, [aria-hidden=true], option, .pulse")) continue;
    check_text(element);
    const box = element.getBoundingClientRect();
    const is_cut = element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === "hidden" && getComputedStyle(element).textOverflow !== "ellipsis";
    if (is_cut) faults.push(`cut off: ${describe(element)}`);
    if (box.right > innerWidth + 1 && !element.closest(".scroll-text, .grid, .chat-lines")) faults.push(`beyond the edge: ${describe(element)}`);
  }

  for (const icon of top.querySelectorAll("button .icon")) {
    const button = icon.closest("button");
    if (!is_shown(icon) || button.disabled) continue;
    const found = worst(parse(getComputedStyle(icon).color), button);
    if (found < 3) faults.push(`icon ${found.toFixed(2)}: ${button.getAttribute("aria-label")}`);
  }

  for (const image of document.querySelectorAll("img:not([alt])")) faults.push(`no alt: ${image.src}`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) faults.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-controls], [aria-describedby]")) {
    for (const name of ["aria-labelledby", "aria-controls", "aria-describedby"]) {
      for (const id of (element.getAttribute(name) ?? "").split(" ").filter(Boolean)) {
        if (!document.getElementById(id)) faults.push(`${name} of nothing: ${id}`);
      }
    }
  }
  if ([...document.querySelectorAll("main")].filter(is_shown).length !== 1) faults.push("not one main");
  return faults;
}
