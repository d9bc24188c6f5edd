/**
 * The overlay for OBS and vMix. It shows what is on air and never anything else: no connection, no change. What is already known
 * appears without animation: after a reload, a lost connection or a restart of the server the picture does not move.
 */
import { start } from "./sync.js";
import { fit, isCut } from "./fit.js";
import { made } from "./tell.js";

const SHOWN = `plenum/shown/${location.pathname}`;
const area = /** @type {HTMLElement} */ (document.getElementById("on-air"));
const asked = new URLSearchParams(location.search);

document.addEventListener("plenum:put", (event) => {
  const { element, old } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  event.preventDefault();
  change(element, old);
});
addEventListener("resize", fitAll);
void document.fonts.ready.then(fitAll);

background(asked.get("bg") ?? "");
if (asked.get("test") === "1") testCard();
else begin();

/** What the page came with: known from before this reload, or the state of things; animated only if it is news to this output. */
function begin() {
  void start();
  const now = area.firstElementChild;
  if (!(now instanceof HTMLElement)) return;
  const known = sessionStorage.getItem(SHOWN);
  if (known !== null && known !== identity(now)) animate(now, "coming");
  remember(now);
  fitAll();
}

/**
 * @param {HTMLElement} element
 * @param {HTMLElement | null} old
 */
function change(element, old) {
  if (old && identity(old) === identity(element)) {
    old.replaceChildren(...element.childNodes);
    old.dataset.since = element.dataset.since;
  } else {
    if (old) leave(old);
    area.append(element);
    animate(element, "coming");
    remember(element);
  }
  fitAll();
}

/** @param {HTMLElement} old */
function leave(old) {
  old.removeAttribute("id");
  for (const part of old.querySelectorAll("[id]")) part.removeAttribute("id");
  if (!old.firstElementChild) return old.remove();
  animate(old, "going", () => old.remove());
  // A hidden page may not animate; the old card must go nevertheless.
  setTimeout(() => old.remove(), 1_000);
}

/**
 * @param {HTMLElement} element
 * @param {"coming" | "going"} how
 * @param {() => void} then
 */
function animate(element, how, then = () => {}) {
  const card = element.firstElementChild;
  card?.classList.remove("coming");
  card?.classList.add(how);
  card?.addEventListener("animationend", () => (card.classList.remove(how), then()), { once: true });
}

/** @param {HTMLElement} element */
function identity(element) {
  return `${element.dataset.number}@${element.dataset.since}`;
}

/** @param {HTMLElement} element */
function remember(element) {
  sessionStorage.setItem(SHOWN, identity(element));
}

function fitAll() {
  for (const text of document.querySelectorAll("[data-fit]")) fit(/** @type {HTMLElement} */ (text), isCut, 0.62);
  for (const place of document.querySelectorAll("[data-slot=dimensions]")) place.textContent = `${innerWidth} × ${innerHeight}`;
}

/** @param {string} name */
function background(name) {
  if (/^[a-z]+$/.test(name)) document.body.dataset.bg = name;
  else if (/^[0-9a-f]{6}$/i.test(name)) document.body.style.setProperty("background", `#${name}`, "important");
}

function testCard() {
  area.replaceChildren(made("test"));
  fitAll();
}
