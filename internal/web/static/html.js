// HTML elements. Foreign text becomes text nodes, never markup.
//
// Why no library patches the DOM: morphdom appends keyed children again after a new sibling. That takes the focus and the text
// selection from them. It also needs keys that are unique in the whole tree. lit-html patches only what its own templates
// rendered.

/** html returns an element with properties and children; strings become text nodes. */
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

/** button returns a button that calls onclick. */
export const button = (text, onclick, properties = {}) => html("button", { type: "button", onclick, ...properties }, text);

/**
 * updateChildren replaces the children of an element and keeps the elements that stay the same: text selections survive. The focus
 * stays on its element, even if that moves.
 */
export function updateChildren(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && focusKey(focused, element);
  patchChildren(element, html("div", {}, ...children));
  if (!focused || focused === element || (document.activeElement === focused && focusKey(focused, element) === key)) return;
  const again = [...element.querySelectorAll(focused.tagName)].find((e) => focusKey(e, element) === key);
  focused.blur(); // it may stand for something else now
  (again || element).focus({ preventScroll: true });
}

/** focusKey identifies an element by its ID or text, and by the IDs of the elements around it in a container. */
function focusKey(element, container) {
  const path = [element.dataset.id || element.textContent];
  for (let e = element.parentElement; e && e !== container; e = e.parentElement) if (e.dataset.id) path.push(e.dataset.id);
  return JSON.stringify(path);
}

/** patch gives an element the attributes, click handler and children of another one with the same name. */
export function patch(element, like) {
  for (const { name } of [...element.attributes]) if (!like.hasAttribute(name)) element.removeAttribute(name);
  for (const { name, value } of like.attributes) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  element.onclick = like.onclick;
  patchChildren(element, like);
}

/** patchChildren matches children by data-id, and those without one by their order. */
function patchChildren(element, like) {
  const wantedIDs = new Set([...like.children].map((c) => c.dataset.id));
  for (const c of [...element.children]) if (c.dataset.id && !wantedIDs.has(c.dataset.id)) c.remove(); // first, so that no remaining child needs to move
  const withID = new Map([...element.children].filter((c) => c.dataset.id).map((c) => [c.dataset.id, c]));
  let at = element.firstChild;
  for (const wanted of [...like.childNodes]) {
    const id = wanted.dataset?.id, found = id ? withID.get(id) : at?.dataset?.id ? null : at;
    if (found?.nodeName !== wanted.nodeName) {
      element.insertBefore(wanted, at);
      continue;
    }
    withID.delete(id);
    if (found === at) at = at.nextSibling;
    else element.insertBefore(found, at);
    if (found.nodeType !== Node.TEXT_NODE) patch(found, wanted);
    else if (found.data !== wanted.data) found.data = wanted.data;
  }
  while (at) {
    const { nextSibling } = at;
    at.remove();
    at = nextSibling;
  }
}

/** setText changes the text of an element only if it differs: screen readers announce each change. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** copy puts a text on the clipboard, without HTTPS too, and reports success. */
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
