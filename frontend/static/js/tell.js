/** What the page says about itself: one polite live region, short messages, and texts from the server's templates. */

const PAUSE = 150;
const STAYS = 7_000;

/**
 * A copy of a `<template>`'s first element with its slots filled. Values only ever become text.
 * @param {string} id
 * @param {Record<string, string>} slots
 * @returns {HTMLElement}
 */
export function made(id, slots = {}) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  const element = /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
  fill(element, slots);
  return element;
}

/**
 * @param {ParentNode} parent
 * @param {Record<string, string>} slots
 */
export function fill(parent, slots) {
  for (const [name, value] of Object.entries(slots))
    for (const slot of parent.querySelectorAll(`[data-slot="${name}"]`)) if (slot.textContent !== value) slot.textContent = value;
}

/**
 * The text of `<template id="tell-…">`, or nothing if this page has none of that name.
 * @param {string} name
 * @param {Record<string, string>} slots
 */
export function text(name, slots = {}) {
  const template = document.getElementById(`tell-${name}`);
  if (!(template instanceof HTMLTemplateElement)) return "";
  const copy = document.importNode(template.content, true);
  fill(copy, slots);
  return (copy.textContent ?? "").trim();
}

/** @type {string[]} */
const waiting = [];
let speaking = false;

/**
 * Says it to people who listen; one after the other, the newest last.
 * @param {string} words
 */
export function say(words) {
  if (!words || waiting.at(-1) === words) return;
  waiting.push(words);
  if (!speaking) next();
}

function next() {
  const region = document.getElementById("say");
  const words = waiting.shift();
  speaking = words !== undefined;
  if (!region || words === undefined) return;
  // An emptied region makes the same words be read again.
  region.textContent = "";
  setTimeout(() => {
    region.textContent = words;
    setTimeout(next, 1_000);
  }, PAUSE);
}

/**
 * Shows and says it.
 * @param {string} words
 * @param {{stays?: boolean}} options
 */
export function tell(words, { stays = false } = {}) {
  const place = document.getElementById("toasts");
  if (!words || !place) return;
  say(words);
  const toast = made("toast", { text: words });
  toast.querySelector("button")?.addEventListener("click", () => toast.remove());
  while (place.childElementCount > 2) place.firstElementChild?.remove();
  place.append(toast);
  if (!stays) setTimeout(() => toast.matches(":hover, :focus-within") || toast.remove(), STAYS);
}

/**
 * How much waits, before the page's title: it is seen in the browser's tabs.
 * @param {number} waiting
 */
export function showNumber(waiting) {
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = waiting ? `(${waiting}) ${title}` : title;
}

/** Takes messages away that are no longer the last word. */
export function hush() {
  document.getElementById("toasts")?.replaceChildren();
}
