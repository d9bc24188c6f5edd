/**
 * Puts the server's documents into the page. A document knows its container and its place there; what is on the page is changed
 * in place, so that focus, scroll and half-typed text stay.
 */
import { Idiomorph } from "../vendor/idiomorph.js";

/**
 * @typedef {{channel: string, reset: boolean, put: {key: string, html: string}[], gone: string[]}} Docs
 * @typedef {{element: HTMLElement, old: HTMLElement | null, channel: string}} Put
 */

/** New items that wait until the reader asks for them, by container. A list never moves under the reader. */
const held = /** @type {Map<HTMLElement, Map<string, HTMLElement>>} */ (new Map());

/** Set by scripts in the browser, not by the server. */
const OURS = new Set(["aria-pressed", "aria-current", "aria-disabled", "data-on", "data-working", "data-saving"]);

/** @param {Docs} docs */
export function apply(docs) {
  const parsed = new DOMParser().parseFromString(docs.put.map((put) => put.html).join(""), "text/html").body;
  const elements = /** @type {HTMLElement[]} */ ([...parsed.children]).map((element) => document.adoptNode(element));
  if (docs.reset) dropOthers(docs.channel, new Set(elements.map((element) => element.id)));
  for (const element of elements) put(element, docs.channel);
  for (const key of docs.gone) remove(idOf(key, docs.channel));
  document.dispatchEvent(new CustomEvent("plenum:applied", { detail: { channel: docs.channel } }));
}

/** @param {Record<string, Record<string, number>>} counts */
export function count(counts) {
  const roots = [document, ...[...held.values()].flatMap((items) => [...items.values()])];
  for (const [key, numbers] of Object.entries(counts))
    for (const root of roots)
      for (const item of found(root, `[data-key="${CSS.escape(key)}"]`))
        for (const [name, number] of Object.entries(numbers))
          for (const place of item.querySelectorAll(`[data-count="${CSS.escape(name)}"]`))
            if (place.textContent !== String(number)) place.textContent = String(number);
  document.dispatchEvent(new CustomEvent("plenum:counted", { detail: counts }));
}

/** @param {HTMLElement} container */
export function waitingIn(container) {
  return held.get(container)?.size ?? 0;
}

/**
 * Shows what has waited; returns it in the order of the list.
 * @param {HTMLElement} container
 */
export function release(container) {
  const items = [...(held.get(container)?.values() ?? [])];
  held.delete(container);
  for (const item of items) insert(item, container);
  return items.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
}

/**
 * Brings the items into the order that the container's `data-by` and `data-sort` say.
 * @param {HTMLElement} container
 */
export function sort(container) {
  const sorted = /** @type {HTMLElement[]} */ ([...container.children]).sort((a, b) => compare(a, b, container));
  if (sorted.some((item, index) => item !== container.children[index])) container.append(...sorted);
}

/**
 * @param {HTMLElement} element
 * @param {string} channel
 */
function put(element, channel) {
  const container = document.getElementById(element.dataset.in ?? "");
  const old = document.getElementById(element.id);
  if (!container?.hasAttribute("data-container")) return;
  const event = new CustomEvent("plenum:put", { cancelable: true, detail: { element, old, channel } });
  if (!document.dispatchEvent(event)) return;
  if (old && old.parentElement === container) {
    const moves = old.dataset.order !== element.dataset.order;
    morph(old, element);
    if (moves) move(old, container);
  } else if (old) {
    insert(element, container);
    carryOver(old, element);
    leave(old);
    old.remove();
  } else if (holds(container, element)) hold(container).set(element.id, element);
  else if (!beyond(container, element)) insert(element, container);
}

/**
 * @param {HTMLElement} container
 * @param {HTMLElement} element
 */
function holds(container, element) {
  return container.hasAttribute("data-hold") && container.childElementCount > 0 && !beyond(container, element);
}

/**
 * Whether the item belongs on a later page of a long list.
 * @param {HTMLElement} container
 * @param {HTMLElement} element
 */
function beyond(container, element) {
  const last = /** @type {HTMLElement | null} */ (container.lastElementChild);
  const more = container.parentElement?.querySelector('a[rel="next"]');
  return Boolean(more && last && compare(element, last, container) > 0);
}

/** @param {HTMLElement} container */
function hold(container) {
  let items = held.get(container);
  if (!items) held.set(container, (items = new Map()));
  return items;
}

/**
 * @param {HTMLElement} old
 * @param {HTMLElement} element
 */
function morph(old, element) {
  Idiomorph.morph(old, element, {
    morphStyle: "outerHTML",
    // Idiomorph leaves the whole inside of the active element alone then: right for a field, wrong for a card that has the focus.
    ignoreActiveValue: document.activeElement?.matches("input, textarea, select") ?? false,
    callbacks: {
      beforeAttributeUpdated: (name, node, how) =>
        !OURS.has(name) && !(name === "open" && how === "remove") && !(["value", "checked"].includes(name) && typedIn(node)),
      beforeNodeRemoved: (node) => !(node instanceof HTMLElement && node.dataset.ours),
      // A count that the document does not know comes in frames of its own.
      beforeNodeMorphed: (node, to) => !(node.hasAttribute?.("data-count") && to.textContent === ""),
    },
  });
}

/**
 * What is being typed into an item that somebody else moves to another list goes with it.
 * @param {HTMLElement} old
 * @param {HTMLElement} element
 */
function carryOver(old, element) {
  for (const field of found(old, "textarea[id]")) {
    const place = element.querySelector(`#${CSS.escape(field.id)}`);
    if (!(field instanceof HTMLTextAreaElement) || !(place instanceof HTMLTextAreaElement) || !typedIn(field)) continue;
    place.value = field.value;
    const details = place.closest("details");
    if (details) details.open = true;
  }
}

/** @param {Element} node */
function typedIn(node) {
  if (node instanceof HTMLInputElement && node.type === "checkbox") return node.checked !== node.defaultChecked;
  return (node instanceof HTMLTextAreaElement || node instanceof HTMLInputElement) && node.value !== node.defaultValue;
}

/**
 * To its new place, with the focus that is in it.
 * @param {HTMLElement} item
 * @param {HTMLElement} container
 */
function move(item, container) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  insert(item, container);
  if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

/**
 * @param {HTMLElement} element
 * @param {HTMLElement} container
 */
function insert(element, container) {
  const items = /** @type {HTMLElement[]} */ ([...container.children]);
  const after = items.find((item) => item !== element && compare(element, item, container) < 0);
  container.insertBefore(element, after ?? null);
}

/**
 * @param {HTMLElement} a
 * @param {HTMLElement} b
 * @param {HTMLElement} container
 */
function compare(a, b, container) {
  const by = container.dataset.by === "support" ? supportOf(a) - supportOf(b) : 0;
  const order = by || Number(a.dataset.order) - Number(b.dataset.order);
  return container.dataset.sort === "desc" || by ? -order : order;
}

/** @param {HTMLElement} item */
function supportOf(item) {
  return Number(item.querySelector('[data-count="support"]')?.textContent ?? 0);
}

/** @param {string} id */
function remove(id) {
  for (const items of held.values()) items.delete(id);
  const old = document.getElementById(id);
  if (!old) return;
  leave(old);
  old.remove();
}

/**
 * @param {string} channel
 * @param {Set<string>} ids
 */
function dropOthers(channel, ids) {
  for (const container of found(document, `[data-container][data-channel="${CSS.escape(channel)}"]`)) {
    for (const id of [...hold(container).keys()]) if (!ids.has(id)) hold(container).delete(id);
    for (const item of [...container.children]) if (!ids.has(item.id) && item.hasAttribute("data-key")) remove(item.id);
  }
}

/**
 * Before an item goes: focus that was in it goes to the next one, or the one before, or the heading.
 * @param {HTMLElement} item
 */
function leave(item) {
  if (!item.contains(document.activeElement)) return;
  const target =
    seen(item, "nextElementSibling") ??
    seen(item, "previousElementSibling") ??
    item.closest("section")?.querySelector("h2") ??
    document.getElementById("main");
  const place = target instanceof HTMLDetailsElement ? target.querySelector("summary") : target;
  if (place instanceof HTMLElement) place.focus();
}

/**
 * @param {Element} item
 * @param {"nextElementSibling" | "previousElementSibling"} way
 */
function seen(item, way) {
  let other = item[way];
  while (other && !other.checkVisibility()) other = other[way];
  return other;
}

/**
 * @param {string} key
 * @param {string} channel
 */
export function idOf(key, channel) {
  return (channel === "me" ? "doc-me-" : "doc-") + key.replaceAll("/", "-");
}

/**
 * @param {ParentNode | HTMLElement} root
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
function found(root, selector) {
  const inside = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(selector)]);
  return root instanceof HTMLElement && root.matches(selector) ? [root, ...inside] : inside;
}
