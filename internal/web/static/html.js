// HTML elements. Foreign text gets into them as text alone.

/** html returns an element with properties and children; a text becomes a text node. */
export function html(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "dataset") Object.assign(element.dataset, value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((c) => c || c === 0));
  return element;
}

/** button returns one that does something. */
export const button = (text, onclick, properties = {}) => html("button", { type: "button", onclick, ...properties }, text);

/** renew gives an element other children if they look different; the button that has the focus keeps it. */
export function renew(element, ...children) {
  const holder = html("div", {}, ...children);
  if (holder.innerHTML === element.innerHTML) return;
  const buttons = () => [...element.querySelectorAll("button")];
  const focused = buttons().indexOf(document.activeElement);
  element.replaceChildren(...holder.childNodes);
  buttons()[focused]?.focus({ preventScroll: true });
}

/** write gives an element another text, if it is another one: those who have it read out are told only then. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** copy puts a text on the clipboard, also where the page did not come by HTTPS, and reports whether that worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const area = html("textarea", { value: text, className: "visually-hidden" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}
