/** The moderators' console: keys, filters, order, tabs. Everything here also works by buttons and without this module. */
import { showWaits } from "./clock.js";
import * as documents from "./documents.js";
import * as outbox from "./outbox.js";
import { send, start } from "./sync.js";
import { say, showNumber, tell, text } from "./tell.js";
import { countCharacters } from "./write.js";

/** @typedef {import("./outbox.js").Command} Command */

const SAY_NEW_EVERY = 15_000;
/** Half the time that the server believes it. */
const SAY_WORKING_EVERY = 7_000;
const KEYS = /** @type {Record<string, string>} */ ({
  a: "contribution.approve",
  s: "contribution.shortlist",
  l: "contribution.air",
  d: "contribution.answer",
  h: "contribution.hide",
});

const desk = /** @type {HTMLElement} */ (document.getElementById("main"));
const filters = /** @type {HTMLFormElement} */ (document.getElementById("filters"));
const entry = /** @type {HTMLFormElement} */ (document.getElementById("entry"));
const enter = /** @type {HTMLDetailsElement} */ (document.getElementById("enter"));
const help = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));
const keysOn = /** @type {HTMLInputElement} */ (document.getElementById("keys-on"));
const showAll = /** @type {HTMLButtonElement} */ (document.getElementById("all"));
const slug = document.body.dataset.slug ?? "";

/** What this moderator has done, for U. */
const acted = /** @type {number[]} */ ([]);
/** How many are at work on a contribution, and on which we are: those with an open form. */
const working = /** @type {Map<number, number>} */ (new Map());
const ours = /** @type {Set<number>} */ (new Set());
/** The contribution that gets the focus when it arrives at its new place. */
let following = 0;
let arrived = 0;
let saidNew = 0;

countCharacters(entry);
outbox.draft(entry, slug);
filters.addEventListener("input", () => filter());
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(order));
document.getElementById("sort")?.addEventListener("change", order);
document.getElementById("open-keys")?.addEventListener("click", () => help.showModal());
keysOn.checked = localStorage.getItem("plenum/keys") !== "off";
keysOn.addEventListener("change", switchKeys);
document.addEventListener("keydown", onKey);
document.addEventListener("click", onTab);
document.addEventListener("toggle", onToggle, true);
setInterval(showElapsed, 1_000);
setInterval(sayWorking, SAY_WORKING_EVERY);
switchKeys();
showColumn(location.hash.slice(1) || "received");
order();
showElapsed();
void start();

document.addEventListener("plenum:put", (event) => {
  const { element, old } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  if (!old && element.dataset.in === "queue-received") arrived += 1;
  if (element.dataset.in === "calls") called(element, old);
});

document.addEventListener("plenum:counted", (event) => {
  const counts = /** @type {CustomEvent<Record<string, Record<string, number>>>} */ (event).detail;
  for (const [key, numbers] of Object.entries(counts))
    if (numbers.working !== undefined) working.set(Number(key.split("/")[1]), numbers.working);
  showWorking();
});

document.addEventListener("plenum:applied", () => {
  filter();
  findOurs();
  showWorking();
  showElapsed();
  showCalls();
  showColumn(desk.dataset.column ?? "received");
  follow();
  if (arrived === 0 || Date.now() - saidNew < SAY_NEW_EVERY) return;
  say(text("new", { count: String(arrived) }));
  saidNew = Date.now();
  arrived = 0;
});

document.addEventListener("plenum:done", (event) => {
  const { command, form } = /** @type {CustomEvent<{command: Command, form: HTMLFormElement | null}>} */ (event).detail;
  if (command.name === "contribution.submit") return entered(form);
  if (command.name === "contribution.restore") return;
  if (command.args.contribution) acted.push(Number(command.args.contribution));
  const details = form?.closest("details");
  const focused = details?.contains(document.activeElement);
  if (details) details.open = false;
  if (focused) /** @type {HTMLElement | null | undefined} */ (details?.closest(".card"))?.focus();
});

document.addEventListener("plenum:kept", () => {
  tell(text("kept"));
  entered(null, false);
});

/**
 * @param {HTMLFormElement | null} form
 * @param {boolean} done
 */
function entered(form, done = true) {
  if (done) tell(text("received"));
  if (form && form !== entry) return;
  const field = /** @type {HTMLTextAreaElement} */ (entry.elements.namedItem("text"));
  field.value = "";
  for (const name of ["args.name", "said_at"]) {
    const other = entry.elements.namedItem(name);
    if (other instanceof HTMLInputElement) other.value = "";
  }
  field.dispatchEvent(new Event("input", { bubbles: true }));
  // The next card of the pile: kind, topic and way stay chosen.
  if (enter.open) field.focus();
}

/**
 * Small groups that have not waited for help before.
 * @param {HTMLElement} element
 * @param {HTMLElement | null} old
 */
function called(element, old) {
  for (const room of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("[data-room]")))
    if (!old?.querySelector(`[data-room="${room.dataset.room}"]`)) say(text("help", { name: room.textContent }));
}

function showCalls() {
  showNumber(document.querySelectorAll("#calls [data-room]").length);
}

/** Only when asked: what is supported meanwhile must not move the list under the reader. */
function order() {
  const bySupport = new FormData(filters).get("sort") === "support";
  for (const list of lists()) {
    if (bySupport) list.dataset.by = "support";
    else delete list.dataset.by;
    documents.sort(list);
  }
  filter();
}

function filter() {
  const wanted = new FormData(filters);
  const words = String(wanted.get("q")).toLocaleLowerCase().trim();
  for (const list of lists()) {
    for (const card of cards(list)) card.classList.toggle("card--filtered", !matches(card, wanted, words));
    const shown = list.closest("[data-column]")?.querySelector("[data-shown]");
    const count = String(cards(list).filter(isShown).length);
    if (shown && shown.textContent !== count) shown.textContent = count;
  }
  showAll.hidden = !words && !["topic", "kind", "origin"].some((name) => wanted.get(name));
}

/**
 * @param {HTMLElement} card
 * @param {FormData} wanted
 * @param {string} words
 */
function matches(card, wanted, words) {
  const chosen = ["topic", "kind", "origin"].every((name) => !wanted.get(name) || card.dataset[name] === wanted.get(name));
  if (!chosen || !words) return chosen;
  const said = [".said__text", ".said__name", ".said__number"].map((part) => card.querySelector(part)?.textContent ?? "");
  return said.join(" ").toLocaleLowerCase().includes(words);
}

function lists() {
  return /** @type {HTMLElement[]} */ ([...desk.querySelectorAll(".column__list")]);
}

/** @param {HTMLElement} list */
function cards(list) {
  return /** @type {HTMLElement[]} */ ([...list.children]);
}

/** @param {HTMLElement} card */
function isShown(card) {
  return !card.classList.contains("card--filtered");
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const target = /** @type {Element} */ (event.target);
  const typing = target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (event.key === "Escape" && typing && !help.open) return leaveField(target);
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return target.closest("form[data-do]")?.querySelector("button")?.click();
  if (typing || help.open || !keysOn.checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const key = event.key.toLowerCase();
  const handled = key === "?" || key === "/" || key === "n" ? general(key) : onCard(key);
  if (handled) event.preventDefault();
}

/** @param {Element} field */
function leaveField(field) {
  const card = field.closest(".card");
  const details = field.closest("details");
  if (details) details.open = false;
  else if (field.closest("#entry")) enter.open = false;
  (card instanceof HTMLElement ? card : current() ?? first())?.focus();
}

/** @param {string} key */
function general(key) {
  if (key === "?") help.showModal();
  else if (key === "/") /** @type {HTMLElement} */ (filters.elements.namedItem("q")).focus();
  else {
    enter.open = true;
    /** @type {HTMLElement} */ (entry.elements.namedItem("text")).focus();
  }
  return true;
}

/** @param {string} key */
function onCard(key) {
  if (key === "j" || key === "k") return move(key === "j" ? 1 : -1);
  if (key === "u") return undo();
  const card = current();
  if (!card) return false;
  if (key === "r" || key === "e") return unfold(card, key === "r" ? "return" : "edit");
  const name = KEYS[key];
  const button = name ? card.querySelector(`button[value="${name}"]`) : null;
  // What this role may not do is not shown.
  if (!(button instanceof HTMLButtonElement) || !button.checkVisibility()) return false;
  button.click();
  return true;
}

/** @returns {HTMLElement | null} */
function current() {
  return /** @type {HTMLElement | null} */ (document.activeElement?.closest(".card") ?? null);
}

function first() {
  return lists().flatMap(cards).find((card) => isShown(card) && card.checkVisibility());
}

/** @param {number} by */
function move(by) {
  const all = lists().flatMap(cards).filter((card) => isShown(card) && card.checkVisibility());
  const card = current();
  const target = card ? all[all.indexOf(card) + by] : all[0];
  target?.focus();
  target?.scrollIntoView({ block: "nearest" });
  return true;
}

/**
 * @param {HTMLElement} card
 * @param {string} what
 */
function unfold(card, what) {
  const details = /** @type {HTMLDetailsElement | null} */ (card.querySelector(`details[data-act="${what}"]`));
  if (!details?.checkVisibility()) return false;
  details.open = true;
  const field = details.querySelector("textarea");
  field?.setSelectionRange(field.value.length, field.value.length);
  field?.focus();
  return true;
}

/** Undoes this moderator's last step; without one, the last step of the card in focus. */
function undo() {
  const number = acted.pop() ?? Number(current()?.dataset.number ?? 0);
  const button = document.querySelector(`#${CSS.escape(`doc-contribution-${number}`)} button[value="contribution.restore"]`);
  if (!(button instanceof HTMLButtonElement)) return false;
  following = number;
  button.click();
  return true;
}

function follow() {
  const card = following ? document.getElementById(`doc-contribution-${following}`) : null;
  if (!card) return;
  following = 0;
  const column = card.closest("[data-column]");
  if (column && !card.checkVisibility()) showColumn(column.id);
  card.focus();
}

function switchKeys() {
  document.documentElement.toggleAttribute("data-no-keys", !keysOn.checked);
  localStorage.setItem("plenum/keys", keysOn.checked ? "on" : "off");
}

/** @param {MouseEvent} event */
function onTab(event) {
  const link = /** @type {Element} */ (event.target).closest("a[href^='#']");
  const id = link?.getAttribute("href")?.slice(1) ?? "";
  if (link?.matches(".tabs__tab")) {
    event.preventDefault();
    showColumn(id === "aside" && desk.dataset.column === "aside" && isWide() ? "received" : id);
  } else if (link?.closest(".tally")) {
    event.preventDefault();
    const card = document.getElementById(id);
    if (card && !card.checkVisibility()) showColumn("on_air");
    card?.focus();
  }
}

function isWide() {
  return matchMedia("(min-width: 62rem)").matches;
}

/**
 * On a phone one list at a time; on a wide screen only "put aside" takes a column's place.
 * @param {string} id
 */
function showColumn(id) {
  const part = document.getElementById(id)?.matches(".column, .column-aside") ? id : "received";
  desk.dataset.column = part;
  desk.toggleAttribute("data-aside", part === "aside" || document.getElementById(part)?.closest(".column-aside") !== null);
  for (const column of desk.querySelectorAll("[data-column]"))
    column.toggleAttribute("data-on", column.id === part || column.closest(".column-aside")?.id === part);
  for (const tab of document.querySelectorAll(".tabs__tab"))
    if (tab.getAttribute("href") === `#${part}`) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
}

/** @param {Event} event */
function onToggle(event) {
  const details = event.target;
  if (!(details instanceof HTMLDetailsElement)) return;
  if (details.matches("[data-act=edit], [data-act=return]")) findOurs();
  if (!details.open) return;
  if (details === enter) /** @type {HTMLElement} */ (entry.elements.namedItem("text")).focus();
  for (const select of details.querySelectorAll("select[data-fill]")) fillTopics(/** @type {HTMLSelectElement} */ (select));
}

/** Which cards have an open form now; says what has changed. */
function findOurs() {
  const open = new Set([...desk.querySelectorAll(".card:has([data-act=edit][open], [data-act=return][open])")].map(numberOf));
  for (const number of ours) if (!open.has(number)) send({ t: "working", contribution: number, on: false });
  for (const number of open) if (!ours.has(number)) send({ t: "working", contribution: number });
  ours.clear();
  for (const number of open) ours.add(number);
  showWorking();
}

function sayWorking() {
  for (const number of ours) send({ t: "working", contribution: number });
}

function showWorking() {
  for (const card of desk.querySelectorAll(".card")) {
    const others = (working.get(numberOf(card)) ?? 0) - (ours.has(numberOf(card)) ? 1 : 0);
    card.toggleAttribute("data-working", others > 0);
  }
}

/** @param {Element} card */
function numberOf(card) {
  return Number(/** @type {HTMLElement} */ (card).dataset.number);
}

/** @param {HTMLSelectElement} select */
function fillTopics(select) {
  const source = /** @type {HTMLSelectElement} */ (entry.elements.namedItem("topic"));
  if (select.options.length > 1) return;
  const value = select.value;
  select.replaceChildren(...[...source.options].map((option) => new Option(option.text, option.value, false, option.value === value)));
}

function showElapsed() {
  showWaits();
  for (const place of document.querySelectorAll("time[data-elapsed]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(place.getAttribute("datetime") ?? "")) / 1000));
    if (seconds < 36_000) place.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}
