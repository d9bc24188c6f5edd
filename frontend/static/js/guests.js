/**
 * The list of guests as this device sees it: what the server says, and what has been done here that the server does not know yet.
 */
import * as outbox from "./outbox.js";
import { made } from "./tell.js";

/**
 * @typedef {import("./outbox.js").Command} Command
 * @typedef {{id: string, here: boolean, at: number, queued: boolean, done: boolean}} Mark
 */

export const CHECK_IN = "registration.check_in";
export const SUBMIT = "registration.submit";
const OTHERS = /** @type {Record<string, string>} */ ({
  ø: "o", ł: "l", đ: "d", æ: "ae", œ: "oe", ı: "i", ð: "d", þ: "th", ß: "ss",
});

const list = /** @type {HTMLElement} */ (document.getElementById("guests"));

/** The last that was done here to a guest, until the server's list shows it. */
const marks = /** @type {Map<number, Mark>} */ (new Map());
/** Names as they are compared, by how they are written. */
const names = /** @type {Map<string, string>} */ (new Map());

/** @param {number} number */
export function get(number) {
  return document.getElementById(`doc-registration-${number}`);
}

/** @param {number} number */
export function markOf(number) {
  return marks.get(number);
}

/** @param {HTMLElement} row */
export function nameOf(row) {
  return row.querySelector(".guest__name")?.textContent ?? "";
}

/** @param {HTMLElement} row */
export function isHere(row) {
  return marks.get(Number(row.dataset.number))?.here ?? row.dataset.here !== "";
}

/**
 * When they came, as the clock on the wall shows it.
 * @param {HTMLElement} row
 */
export function since(row) {
  const mark = marks.get(Number(row.dataset.number));
  const known = row.querySelector(".guest__here time")?.textContent;
  if (known && !mark?.here) return known;
  const options = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", timeZone: "Europe/Berlin" });
  return new Intl.DateTimeFormat("de", options).format(mark?.at ?? Date.now());
}

/**
 * A check-in was given here: it shows at once.
 * @param {Command} command
 * @param {boolean} queued
 */
export function promise(command, queued = false) {
  const number = Number(command.args.registration);
  marks.set(number, { id: command.id, here: command.args.here === true, at: command.at, queued, done: false });
  const row = get(number);
  if (row) show(row);
}

/** @param {Command} command */
export function keep(command) {
  const mark = markFor(command);
  if (mark) mark.queued = true;
  showAgain(command);
}

/**
 * The server has done it. Its list may say so a moment later.
 * @param {Command} command
 */
export function settle(command) {
  const number = Number(command.args.registration);
  const mark = markFor(command);
  if (mark && (get(number)?.dataset.here !== "") === mark.here) marks.delete(number);
  else if (mark) Object.assign(mark, { queued: false, done: true });
  showAgain(command);
}

/** @param {Command} command */
export function takeBack(command) {
  if (markFor(command)) marks.delete(Number(command.args.registration));
  showAgain(command);
}

/**
 * The server's list has news of this guest.
 * @param {HTMLElement} element
 */
export function renewed(element) {
  const number = Number(element.dataset.number);
  if (marks.get(number)?.done) marks.delete(number);
}

/** Shows all that this device knows on the rows that the server has written. */
export function showAll() {
  for (const row of rows()) show(row);
}

/** @param {HTMLElement} row */
function show(row) {
  const number = Number(row.dataset.number);
  const mark = marks.get(number);
  const focused = row.contains(document.activeElement) && document.activeElement?.tagName === "BUTTON";
  if (mark) row.dataset.now = String(mark.here);
  else delete row.dataset.now;
  row.toggleAttribute("data-queued", mark?.queued ?? false);
  row.querySelector(":scope > .problem")?.remove();
  const problem = problemOf(number);
  if (problem) row.append(made("problem", { text: problem }));
  // The button that was pressed has made room for its opposite.
  if (focused && !document.activeElement?.checkVisibility())
    [...row.querySelectorAll("button")].find((button) => button.checkVisibility())?.focus();
}

/** @param {number} number */
function problemOf(number) {
  return troubles().find((command) => command.name === CHECK_IN && command.args.registration === number)?.problem;
}

/** What was refused and nobody has settled. */
export function troubles() {
  return outbox.all().filter((command) => isOurs(command) && command.problem !== undefined);
}

/**
 * Whether it was given at a door. The outbox is that of all pages of the event in this browser.
 * @param {Command} command
 */
export function isOurs(command) {
  return command.name === CHECK_IN || (command.name === SUBMIT && command.args.present === true);
}

/** @param {Command} command */
function markFor(command) {
  const mark = marks.get(Number(command.args.registration));
  return mark?.id === command.id ? mark : undefined;
}

/** @param {Command} command */
function showAgain(command) {
  const row = get(Number(command.args.registration));
  if (row) show(row);
}

/**
 * Leaves those in sight who are looked for; returns how many they are.
 * @param {FormData} wanted
 * @param {Set<number>} still numbers that stay all the same
 */
export function filter(wanted, still) {
  const words = fold(String(wanted.get("q") ?? "")).split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows()) {
    const fits = matches(row, wanted, words, still.has(Number(row.dataset.number)));
    row.classList.toggle("guest--filtered", !fits);
    if (fits) count += 1;
  }
  list.dataset.show = String(wanted.get("show") ?? "");
  return count;
}

/**
 * @param {HTMLElement} row
 * @param {FormData} wanted
 * @param {string[]} words
 * @param {boolean} stays
 */
function matches(row, wanted, words, stays) {
  const { status, number = "", place, camera } = row.dataset;
  if (wanted.get("place") && wanted.get("place") !== place) return false;
  const name = folded(nameOf(row));
  if (!words.every((word) => name.includes(word) || number.startsWith(word.replace(/^#/, "")))) return false;
  const show = wanted.get("show");
  if (show === "expected") return stays || (status === "seated" && !isHere(row));
  if (show === "here") return stays || isHere(row);
  if (show === "camera") return status === "seated" && (!wanted.get("camera") || wanted.get("camera") === camera);
  return true;
}

export function rows() {
  return /** @type {HTMLElement[]} */ ([...list.children]);
}

/** @param {string} name */
function folded(name) {
  const known = names.get(name) ?? fold(name);
  names.set(name, known);
  return known;
}

/**
 * Without case and accents, and the two spellings of an umlaut are one; as `frontend/alphabet.py` does it.
 * @param {string} text
 */
function fold(text) {
  const letters = text.toLowerCase().replace(/[øłđæœıðþß]/g, (letter) => OTHERS[letter] ?? letter);
  return letters.normalize("NFD").replace(/\p{M}/gu, "").replace(/([aou])e/g, "$1");
}
