/**
 * Moving people by hand: they are ticked or dragged, and one form says where they go. Dragging fills in that form and sends it, so
 * that both do the same (WCAG 2.5.7).
 */
import { drag } from "./drag.js";
import { give, isLinked } from "./sync.js";

const form = () => /** @type {HTMLFormElement | null} */ (document.getElementById("move"));
const rows = () => /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-person]"));
const unfolded = /** @type {Set<string>} */ (new Set());
/** Who was ticked before somebody else was dragged. */
let ticked = /** @type {string[]} */ ([]);

/** To be called once, by the page's own module. */
export function begin() {
  const find = /** @type {HTMLElement | null} */ (document.querySelector("[data-find]"));
  if (find) find.hidden = false;
  find?.addEventListener("input", search);
  document.addEventListener("change", count);
  document.addEventListener("submit", bind, { capture: true });
  drag({ things: "[data-person]", places: "[data-drop]", take, drop, letGo });
  refresh();
}

/**
 * Together, apart or as they wish: the buttons have an address of their own for pages without a script. Here nothing is loaded anew,
 * so that who is ticked stays so if it is refused.
 * @param {SubmitEvent} event
 */
function bind(event) {
  const button = event.submitter;
  if (event.target !== form() || !(button instanceof HTMLButtonElement) || button.name !== "how" || !isLinked()) return;
  event.preventDefault();
  event.stopPropagation();
  give("round.bind", { people: boxes().filter((box) => box.checked).map((box) => box.value), how: button.value });
}

/** On a round's own page who is where is not folded away, unless somebody folds it. */
function unfold() {
  for (const room of document.querySelectorAll("#groups[data-round] > li")) {
    const details = room.querySelector("details");
    if (details && !unfolded.has(room.id)) details.open = true;
    unfolded.add(room.id);
  }
}

/** After rows have come or gone. */
export function refresh() {
  unfold();
  search();
  count();
}

/** Nobody is chosen any more. */
export function clear() {
  for (const box of boxes()) box.checked = false;
  count();
}

/** Fills the list of the form with the rooms that are on the page: they come and go while it is open. */
export function offer() {
  const select = form()?.querySelector("select");
  const rooms = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-drop]")]).filter((room) => !room.hidden);
  const wanted = rooms.map((room) => [room.dataset.drop ?? "", room.dataset.name ?? ""]);
  if (!select || JSON.stringify(wanted) === JSON.stringify([...select.options].map((one) => [one.value, one.text]))) return;
  const chosen = select.value;
  select.replaceChildren(...wanted.map(([id, name]) => new Option(name, id)));
  if (wanted.some(([id]) => id === chosen)) select.value = chosen;
}

/** @returns {HTMLInputElement[]} */
function boxes() {
  const all = [...(form()?.elements ?? [])];
  return /** @type {HTMLInputElement[]} */ (all.filter((one) => one instanceof HTMLInputElement && one.type === "checkbox"));
}

function count() {
  const place = form()?.querySelector("[data-picked]");
  const picked = String(boxes().filter((box) => box.checked).length);
  if (place && place.textContent !== picked) place.textContent = picked;
}

function search() {
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById("find"));
  const words = field?.value.trim().toLocaleLowerCase() ?? "";
  for (const row of rows()) {
    row.hidden = words !== "" && !(row.textContent ?? "").toLocaleLowerCase().includes(words);
    const details = row.closest("details");
    if (words && !row.hidden && details) details.open = true;
  }
}

/**
 * All who are ticked, if they are one of them.
 * @param {HTMLElement} row
 */
function take(row) {
  const box = row.querySelector("input");
  const chosen = boxes().filter((one) => one.checked);
  ticked = chosen.map((one) => one.value);
  if (!box?.checked) clear();
  if (box) box.checked = true;
  count();
  const name = row.querySelector(".mover__pick")?.textContent?.trim() ?? "";
  return chosen.length > 1 && box && chosen.includes(box) ? `${name} + ${chosen.length - 1}` : name;
}

/** @param {HTMLElement} room */
function drop(room) {
  const select = form()?.querySelector("select");
  if (!select || boxes().every((box) => !box.checked || room.contains(box))) return letGo();
  select.value = room.dataset.drop ?? "";
  form()?.requestSubmit(form()?.querySelector("button"));
  clear();
}

function letGo() {
  for (const box of boxes()) box.checked = ticked.includes(box.value);
  count();
}
