/**
 * Moving people by hand: they are ticked or dragged, and one form says where they go. Dragging fills in that form and sends it, so
 * that both do the same (WCAG 2.5.7).
 */

const form = () => /** @type {HTMLFormElement | null} */ (document.getElementById("move"));
const rows = () => /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-person]"));
const unfolded = /** @type {Set<string>} */ (new Set());
let dragging = false;

/** To be called once, by the page's own module. */
export function begin() {
  const find = /** @type {HTMLElement | null} */ (document.querySelector("[data-find]"));
  if (find) find.hidden = false;
  find?.addEventListener("input", search);
  document.addEventListener("change", count);
  document.addEventListener("dragstart", take);
  document.addEventListener("dragend", leave);
  document.addEventListener("dragover", over);
  document.addEventListener("drop", drop);
  refresh();
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

/** @param {DragEvent} event */
function take(event) {
  const row = event.target instanceof Element ? event.target.closest("[data-person]") : null;
  const box = row?.querySelector("input");
  if (!box || !event.dataTransfer) return;
  if (!box.checked) clear();
  box.checked = true;
  count();
  dragging = true;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", row?.textContent?.trim() ?? "");
  document.body.dataset.dragging = "";
}

function leave() {
  if (dragging) clear();
  dragging = false;
  delete document.body.dataset.dragging;
  mark(null);
}

/** @param {DragEvent} event */
function over(event) {
  const room = target(event);
  mark(room);
  if (room) event.preventDefault();
}

/** @param {DragEvent} event */
function drop(event) {
  const room = target(event);
  const select = form()?.querySelector("select");
  if (!room || !select) return;
  event.preventDefault();
  select.value = room.dataset.drop ?? "";
  form()?.requestSubmit(form()?.querySelector("button"));
}

/**
 * @param {DragEvent} event
 * @returns {HTMLElement | null}
 */
function target(event) {
  return dragging && event.target instanceof Element ? event.target.closest("[data-drop]") : null;
}

/** @param {HTMLElement | null} room */
function mark(room) {
  for (const one of document.querySelectorAll("[data-over]")) if (one !== room) one.removeAttribute("data-over");
  room?.setAttribute("data-over", "");
}
