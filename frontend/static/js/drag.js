/**
 * Dragging by mouse, pen and finger: one implementation for all pointers. A mouse drags as soon as it moves; a finger or pen has to
 * rest for a moment first, because moving at once scrolls the page. Escape lets go, and near its edges the page scrolls along.
 */

/**
 * @typedef {object} Dragging
 * @property {string} things selector of what can be dragged
 * @property {string} places selector of where it can be dropped
 * @property {(thing: HTMLElement) => string} take it has begun; returns what is shown at the pointer
 * @property {(place: HTMLElement) => void} drop
 * @property {() => void} letGo it has ended without a drop
 */

/** How far (px) a mouse moves before it drags, and a finger may tremble while it rests. */
const SLACK = 6;
const REST = 400;
/** How near (px) to the edge the page scrolls, and how fast at most (px per frame). */
const EDGE = 72;
const SPEED = 18;

const root = document.documentElement;

/** @type {Dragging} */
let use;
/** What is pressed, by which pointer and where; `label` follows the pointer as soon as it is dragged. */
let press = /** @type {{thing: HTMLElement, pointer: number, x: number, y: number, timer: number, label: HTMLElement | null} | null} */ (null);

/**
 * To be called once.
 * @param {Dragging} dragging
 */
export function drag(dragging) {
  use = dragging;
  document.addEventListener("pointerdown", down);
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", up);
  document.addEventListener("pointercancel", (event) => event.pointerId === press?.pointer && end());
  document.addEventListener("keydown", (event) => press?.label && event.key === "Escape" && (event.preventDefault(), end()));
  // A long press would open the menu of the browser, and a finger that moves would scroll.
  document.addEventListener("contextmenu", (event) => press?.label && event.preventDefault());
  document.addEventListener("touchmove", stay, { passive: false });
}

/** @param {PointerEvent} event */
function down(event) {
  removeEventListener("click", refuse, { capture: true });
  const thing = event.target instanceof Element ? event.target.closest(use.things) : null;
  if (press || !event.isPrimary || event.button !== 0 || !(thing instanceof HTMLElement)) return;
  const timer = event.pointerType === "mouse" ? 0 : setTimeout(take, REST);
  press = { thing, pointer: event.pointerId, x: event.clientX, y: event.clientY, timer, label: null };
}

/** @param {PointerEvent} event */
function move(event) {
  if (event.pointerId !== press?.pointer) return;
  if (!press.label) {
    if (Math.hypot(event.clientX - press.x, event.clientY - press.y) < SLACK) return;
    if (press.timer) return end();
    take();
  }
  [press.x, press.y] = [event.clientX, event.clientY];
  follow();
}

/** @param {PointerEvent} event */
function up(event) {
  if (event.pointerId !== press?.pointer) return;
  if (press.label) {
    [press.x, press.y] = [event.clientX, event.clientY];
    // The click that follows, soon or never, would tick what was dragged.
    addEventListener("click", refuse, { capture: true, once: true });
  }
  end(press.label ? under() : null);
}

function take() {
  if (!press) return;
  press.label = document.createElement("p");
  press.label.className = "dragged";
  press.label.ariaHidden = "true";
  press.label.textContent = use.take(press.thing);
  // The pointer stays ours, even if what was pressed is replaced meanwhile, or the window is left.
  root.setPointerCapture(press.pointer);
  press.thing.addEventListener("touchmove", stay, { passive: false });
  root.dataset.dragging = "";
  document.body.append(press.label);
  follow();
  requestAnimationFrame(scroll);
}

/** @param {HTMLElement | null} place where it was dropped */
function end(place = null) {
  if (!press) return;
  const { thing, timer, label, pointer } = press;
  press = null;
  clearTimeout(timer);
  thing.removeEventListener("touchmove", stay);
  if (!label) return;
  label.remove();
  delete root.dataset.dragging;
  mark(null);
  if (root.hasPointerCapture(pointer)) root.releasePointerCapture(pointer);
  if (place) use.drop(place);
  else use.letGo();
}

function follow() {
  if (!press?.label) return;
  press.label.style.transform = `translate(${press.x}px, ${press.y}px)`;
  mark(under());
}

function scroll() {
  if (!press?.label) return;
  const over = Math.max(0, EDGE - press.y) - Math.max(0, EDGE - (innerHeight - press.y));
  if (over) {
    scrollBy({ top: -SPEED * Math.max(-1, Math.min(1, over / EDGE)), behavior: "instant" });
    mark(under());
  }
  requestAnimationFrame(scroll);
}

/** @returns {HTMLElement | null} */
function under() {
  return press ? document.elementFromPoint(press.x, press.y)?.closest(use.places) ?? null : null;
}

/** @param {HTMLElement | null} place */
function mark(place) {
  for (const one of document.querySelectorAll("[data-over]")) if (one !== place) one.removeAttribute("data-over");
  place?.setAttribute("data-over", "");
}

/** @param {TouchEvent} event */
function stay(event) {
  if (press?.label && event.cancelable) event.preventDefault();
}

/**
 * Not those that come from the keyboard.
 * @param {MouseEvent} event
 */
function refuse(event) {
  if (event.detail === 0) return;
  event.preventDefault();
  event.stopPropagation();
}
