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

/**
 * renew gives an element other children. What is as it was stays, so that nobody who reads there, or has something selected, is
 * disturbed; and the focus stays with what it was on, by the ID or text of that, wherever it is now.
 */
export function renew(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const called = focused && nameIn(focused);
  patchChildren(element, html("div", {}, ...children));
  if (!focused || focused === element || (document.activeElement === focused && nameIn(focused) === called)) return;
  const again = [...element.querySelectorAll(focused.tagName)].find((e) => nameIn(e) === called);
  focused.blur(); // it may be another one now
  (again || element).focus({ preventScroll: true });
}

const nameIn = (element) => element.dataset.id || element.textContent;

/** patch makes an element look and act as another one of its kind. */
export function patch(element, like) {
  for (const { name } of [...element.attributes]) if (!like.hasAttribute(name)) element.removeAttribute(name);
  for (const { name, value } of like.attributes) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  element.onclick = like.onclick;
  patchChildren(element, like);
}

/** patchChildren finds children with an ID by that, wherever they are now, and the others by their order. */
function patchChildren(element, like) {
  const wantedIDs = new Set([...like.children].map((c) => c.dataset.id));
  for (const c of [...element.children]) if (c.dataset.id && !wantedIDs.has(c.dataset.id)) c.remove(); // so that none of the others is moved
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
