/** The door: reads codes, finds names, seats walk-ins, and shows what is still on its way. Checking in also works by plain forms. */
import { scan } from "./camera.js";
import * as kept from "./door_kept.js";
import * as guests from "./guests.js";
import * as outbox from "./outbox.js";
import { isLinked, refuse, start } from "./sync.js";
import { fill, hush, made, say, tell, text } from "./tell.js";
import * as ticket from "./ticket.js";

/**
 * @typedef {import("./outbox.js").Command} Command
 * @typedef {import("./sync.js").Refused} Refused
 * @typedef {{command: Command, form: HTMLFormElement | null}} Given
 * @typedef {"good" | "turn" | "bad"} Tone
 */

/** A code that is shown again so soon is the same guest still standing there. */
const SAME_GUEST = 20_000;
const SAY_FOUND_AFTER = 800;
const PULSES = { good: [80], turn: [80, 60, 80], bad: [300, 80, 300] };
const TONES = /** @type {Record<string, Tone>} */ ({
  in: "good", "in-kept": "good", seated: "good", out: "turn", "out-kept": "turn", here: "turn", waiting: "turn", lapsed: "turn",
  confirm: "turn", elsewhere: "turn", unlisted: "turn", unproven: "turn",
});

const find = /** @type {HTMLFormElement} */ (document.getElementById("find"));
const query = /** @type {HTMLInputElement} */ (document.getElementById("find-q"));
const video = /** @type {HTMLVideoElement} */ (document.getElementById("video"));
const viewer = /** @type {HTMLElement} */ (document.getElementById("viewer"));
const starter = /** @type {HTMLButtonElement} */ (document.getElementById("scan-start"));
const fault = /** @type {HTMLElement} */ (document.getElementById("scan-problem"));
const result = /** @type {HTMLElement} */ (document.getElementById("result"));
const walkin = /** @type {HTMLDetailsElement | null} */ (document.getElementById("walkin"));
const entry = /** @type {HTMLFormElement | null} */ (document.getElementById("walkin-form"));
const mayCheckIn = !document.body.classList.contains("door--look");
const slug = document.body.dataset.slug ?? "";

/** The guest on the large card, and what it says. */
let shown = { number: 0, state: "" };
/** When somebody was checked in or out here. */
const acted = /** @type {Map<number, number>} */ (new Map());
/** Those of them who stay in sight until something else is looked for. */
const touched = /** @type {Set<number>} */ (new Set());
/** Commands that have not been answered for so long that nobody looks at their form any more. */
const waiting = /** @type {Set<string>} */ (new Set());
let lost = false;
let scanning = 0;
let off = () => {};
let awake = /** @type {WakeLockSentinel | undefined} */ (undefined);
let judged = 0;
let saying = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);

starter.addEventListener("click", () => void switchOn());
document.getElementById("scan-stop")?.addEventListener("click", switchOff);
document.addEventListener("visibilitychange", () => void stayAwake());
query.addEventListener("input", onQuery);
query.addEventListener("focus", () => query.select());
find.addEventListener("change", onFilter);
find.addEventListener("submit", onSearch);
entry?.addEventListener("change", arrangeEntry);
walkin?.addEventListener("toggle", () => walkin.open && document.getElementById("walkin-name")?.focus());
result.addEventListener("click", onPress);
document.getElementById("troubles")?.addEventListener("click", onTrouble);
// A reload without a connection would take the whole list away.
addEventListener("beforeunload", (event) => lost && !kept.isKept() && event.preventDefault());
arrangeEntry();
refilter();
void begin();

async function begin() {
  kept.bringBack();
  await start();
  for (const command of outbox.all()) {
    if (!guests.isOurs(command) || command.problem !== undefined) continue;
    waiting.add(command.id);
    if (command.name === guests.CHECK_IN) guests.promise(command, true);
  }
  guests.showAll();
  showOpen();
  // What reads the codes has to be there before the connection is away.
  if (!("BarcodeDetector" in globalThis)) await import("../vendor/qr.js").catch(() => {});
  await kept.keepPage();
}

// The camera.

async function switchOn() {
  const turn = ++scanning;
  fault.hidden = true;
  starter.hidden = true;
  viewer.hidden = false;
  try {
    const stop = await scan(video, (code) => void judge(code));
    if (turn !== scanning) return stop();
    off = stop;
    say(text("camera-on"));
    void stayAwake();
  } catch (error) {
    if (turn === scanning) explain(error instanceof Error ? error.name : "");
  }
}

/** A screen that goes dark between two guests switches the camera off. */
async function stayAwake() {
  if (viewer.hidden || document.visibilityState === "hidden") return;
  awake = await navigator.wakeLock?.request("screen").catch(() => undefined);
}

function switchOff() {
  scanning += 1;
  off();
  void awake?.release();
  off = () => {};
  viewer.hidden = true;
  starter.hidden = false;
  starter.focus();
  clear();
}

/** @param {string} name of what `scan` rejects with */
function explain(name) {
  viewer.hidden = true;
  starter.hidden = false;
  const words = text(`camera-${name}`) || text("camera-other");
  const place = fault.querySelector("p");
  if (place) place.textContent = words;
  fault.hidden = false;
  say(words);
}

// Codes.

/** @param {string} code */
async function judge(code) {
  const turn = ++judged;
  const read = ticket.read(code);
  if (!read) return present("stranger");
  if (read.slug !== slug) return present("foreign");
  const row = guests.get(read.number);
  if (!row) return present(isLinked() ? "unknown" : "unlisted");
  if (!ticket.canProve()) return present("unproven");
  const genuine = await ticket.isGenuine(read, row.dataset.proof ?? "");
  if (turn !== judged) return;
  if (!genuine) return present("forged");
  welcome(read.number, row);
}

/**
 * Checks in who is expected: a queue does not wait for a tap. Whoever is not sure to have a seat waits for the volunteer's.
 * @param {number} number
 * @param {HTMLElement} row
 */
function welcome(number, row) {
  const state = stateOf(number, row);
  if (state !== "seated" || !mayCheckIn) return present(state, row);
  shown = { number, state: "" };
  press(row, true);
}

/**
 * @param {number} number
 * @param {HTMLElement} row
 */
function stateOf(number, row) {
  const { status = "", place } = row.dataset;
  if (status === "cancelled") return status;
  if (guests.isHere(row)) {
    if (Date.now() - (acted.get(number) ?? 0) > SAME_GUEST) return "here";
    return guests.markOf(number)?.queued ? "in-kept" : "in";
  }
  if (status !== "seated") return status;
  if (place !== (new FormData(find).get("place") || find.dataset.place)) return "elsewhere";
  return row.hasAttribute("data-confirm") ? "confirm" : "seated";
}

/**
 * Submits the row's own form, so that a code, a tap and a page without a script do the same.
 * @param {HTMLElement} row
 * @param {boolean} here
 */
function press(row, here) {
  const button = row.querySelector(`button[value="${here}"]`);
  if (button instanceof HTMLButtonElement) button.form?.requestSubmit(button);
}

/**
 * Shows the large card and says it, unless it is the old news.
 * @param {string} state
 * @param {HTMLElement | null} row
 * @param {{hint?: string, old?: boolean}} options
 */
function present(state, row = null, { hint = text(`${state}-hint`), old = false } = {}) {
  const focused = result.contains(document.activeElement);
  shown = { number: Number(row?.dataset.number ?? 0), state };
  const tone = TONES[state] ?? "bad";
  const title = text(state, { at: row ? guests.since(row) : "" });
  const name = row ? guests.nameOf(row) : "";
  const card = made("result-card", { title, name, hint });
  card.dataset.tone = tone;
  const facts = row?.querySelectorAll(tone === "bad" ? ".guest__facts" : ".guest__facts, .camera") ?? [];
  card.querySelector(".result__facts")?.append(...[...facts].map((part) => part.cloneNode(true)));
  const party = row?.querySelector(".guest__party");
  if (party) card.querySelector("[data-press=true] > span")?.append(" ", party.cloneNode(true));
  offer(card, row);
  result.replaceChildren(card);
  if (focused) [...card.querySelectorAll("button")].find((button) => !button.hidden)?.focus();
  if (old) return;
  card.classList.add("result--fresh");
  result.scrollIntoView({ block: "nearest" });
  navigator.vibrate?.(PULSES[tone]);
  const said = [title, name, card.querySelector(".result__facts")?.textContent ?? "", hint];
  say(said.map((words) => words.replace(/\s+/g, " ").trim()).filter(Boolean).join(". "));
}

/**
 * The buttons that make sense now.
 * @param {HTMLElement} card
 * @param {HTMLElement | null} row
 */
function offer(card, row) {
  const able = mayCheckIn && row !== null && row.dataset.status !== "cancelled";
  const here = able && guests.isHere(/** @type {HTMLElement} */ (row));
  for (const button of card.querySelectorAll("button")) button.hidden = !able || (button.dataset.press === "true") === here;
  for (const empty of card.querySelectorAll("p")) empty.hidden = !empty.textContent?.trim();
}

/** @param {Event} event */
function onPress(event) {
  const button = /** @type {Element} */ (event.target).closest("button");
  const row = guests.get(shown.number);
  if (button && row) press(row, button.dataset.press === "true");
}

function clear() {
  shown = { number: 0, state: "" };
  result.replaceChildren();
}

// What is given and answered.

document.addEventListener("plenum:given", (event) => {
  const { command } = /** @type {CustomEvent<Given>} */ (event).detail;
  if (command.name !== guests.CHECK_IN) return;
  const number = Number(command.args.registration);
  forgetTrouble(number);
  guests.promise(command);
  touched.add(number);
  acted.set(number, command.at);
  follow(command, `${command.args.here ? "in" : "out"}${isLinked() ? "" : "-kept"}`, true);
  refilter();
});

document.addEventListener("plenum:kept", (event) => {
  const { command } = /** @type {CustomEvent<Given>} */ (event).detail;
  if (!guests.isOurs(command)) return;
  waiting.add(command.id);
  if (command.name === guests.CHECK_IN) {
    guests.keep(command);
    follow(command, command.args.here ? "in-kept" : "out-kept");
  } else {
    tell(text("kept"));
    emptyEntry();
  }
  showOpen();
});

document.addEventListener("plenum:done", (event) => {
  const { command, form, result: answer } = /** @type {CustomEvent<Given & {result: Record<string, unknown>}>} */ (event).detail;
  if (!guests.isOurs(command)) return;
  const late = waiting.delete(command.id);
  if (command.name === guests.CHECK_IN) {
    guests.settle(command);
    if (late) follow(command, command.args.here ? "in" : "out");
  } else if (!late) {
    tell(text("entered", { number: String(answer.number) }));
    if (form === entry) emptyEntry();
  }
  if (late && waiting.size === 0) say(text("caught-up"));
  showOpen();
});

document.addEventListener("plenum:refused", (event) => {
  const detail = /** @type {CustomEvent<Given & Refused>} */ (event).detail;
  const { command, form } = detail;
  if (!guests.isOurs(command)) return;
  const late = waiting.delete(command.id);
  event.preventDefault();
  if (command.name === guests.SUBMIT && !late && form) return refuseEntry(form, detail);
  outbox.keep({ ...command, problem: detail.text });
  if (command.name === guests.CHECK_IN) {
    guests.takeBack(command);
    follow(command, "refused", true, detail.text);
  }
  hush();
  if (shown.number !== command.args.registration) say(`${whose(command)}: ${detail.text}`);
  guests.showAll();
  refilter();
  showOpen();
});

document.addEventListener("plenum:put", (event) => {
  const { element } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  guests.renewed(element);
});

document.addEventListener("plenum:applied", () => {
  guests.showAll();
  refilter();
  showFree();
});

document.addEventListener("plenum:link", () => (lost = !isLinked()));

/**
 * Keeps the large card up with its guest. A tap in the list has its own row to look at, and only says it.
 * @param {Command} command
 * @param {string} state
 * @param {boolean} fresh
 * @param {string} [hint]
 */
function follow(command, state, fresh = false, hint) {
  const number = Number(command.args.registration);
  const row = guests.get(number);
  if (shown.number === number) present(state, row, { hint, old: !fresh && !hint });
  else if (fresh && row && !hint) say(`${text(state)}: ${guests.nameOf(row)}`);
}

/** Shows what waits to be sent, and what somebody has to look at. */
function showOpen() {
  const open = outbox.all().filter((command) => waiting.has(command.id) && command.problem === undefined);
  const waits = /** @type {HTMLElement} */ (document.getElementById("waits"));
  waits.hidden = open.length === 0;
  fill(waits, { count: String(open.length) });
  const strangers = open.filter((command) => command.name === guests.SUBMIT);
  const items = strangers.map((command) => made("wait", { name: whose(command), party: String(command.args.party ?? 1) }));
  waits.querySelector("ul")?.replaceChildren(...items);
  const troubles = /** @type {HTMLElement} */ (document.getElementById("troubles"));
  const refused = guests.troubles();
  troubles.hidden = refused.length === 0;
  troubles.querySelector("ul")?.replaceChildren(...refused.map(troubleItem));
}

/** @param {Command} command */
function troubleItem(command) {
  const item = made("trouble", { name: whose(command), text: command.problem ?? "" });
  item.dataset.id = command.id;
  const button = /** @type {HTMLElement} */ (item.querySelector("[data-go]"));
  button.hidden = command.name !== guests.CHECK_IN || !guests.get(Number(command.args.registration));
  button.dataset.go = String(command.args.registration ?? "");
  return item;
}

/** @param {Command} command */
function whose(command) {
  if (command.name === guests.SUBMIT) return String(command.args.name);
  const row = guests.get(Number(command.args.registration));
  return row ? guests.nameOf(row) : text("number", { number: String(command.args.registration) });
}

/** @param {Event} event */
function onTrouble(event) {
  const button = /** @type {Element} */ (event.target).closest("button");
  if (button?.hasAttribute("data-seen")) {
    outbox.forget(button.closest("li")?.dataset.id ?? "");
    guests.showAll();
    showOpen();
    const next = document.querySelector("#troubles [data-seen]") ?? document.getElementById("list-title");
    /** @type {HTMLElement | null} */ (next)?.focus();
  } else if (button) {
    for (const field of find.querySelectorAll("input, select"))
      if (field instanceof HTMLInputElement && field.type === "radio") field.checked = field.value === "";
      else if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = "";
    refilter();
    guests.get(Number(button.dataset.go))?.focus();
  }
}

/** @param {number} number */
function forgetTrouble(number) {
  for (const command of guests.troubles())
    if (command.name === guests.CHECK_IN && command.args.registration === number) outbox.forget(command.id);
  showOpen();
}

// Finding.

function onQuery() {
  // Somebody who is looked for is found wherever they are.
  const all = find.querySelector("[name=show][value='']");
  const { show } = Object.fromEntries(new FormData(find));
  if (query.value && show && show !== "camera" && all instanceof HTMLInputElement) all.checked = true;
  const count = String(refilter());
  clearTimeout(saying);
  saying = setTimeout(() => query.value && say(text("found", { count })), SAY_FOUND_AFTER);
}

/** @param {Event} event */
function onFilter(event) {
  if (event.target === query) return;
  touched.clear();
  refilter();
  const kept = [...new FormData(find)].filter(([name, value]) => name !== "q" && value);
  history.replaceState(null, "", `?${new URLSearchParams(/** @type {[string, string][]} */ (kept))}`);
}

function refilter() {
  return guests.filter(new FormData(find), touched);
}

/**
 * Enter leads to the first who was found. A scanner that types like a keyboard ends with it too.
 * @param {SubmitEvent} event
 */
function onSearch(event) {
  event.preventDefault();
  if (ticket.read(query.value)) {
    const code = query.value;
    query.value = "";
    refilter();
    return void judge(code);
  }
  const first = guests.rows().find((row) => row.checkVisibility());
  [...(first?.querySelectorAll("button") ?? [])].find((button) => button.checkVisibility())?.focus();
}

// Walk-ins.

/** Only what the chosen place asks for, and nothing has to be agreed to where no camera sees. */
function arrangeEntry() {
  if (!entry) return;
  const { place, contingent } = Object.fromEntries(new FormData(entry));
  for (const part of entry.querySelectorAll("fieldset")) {
    part.hidden = part.disabled = part.dataset.place !== place;
    const seen = contingent !== "off_camera";
    for (const box of part.querySelectorAll("input")) box.required = seen && box.hasAttribute("data-required");
  }
  entry.querySelector("#walkin-problem")?.replaceChildren();
  showFree();
}

function showFree() {
  if (!entry) return;
  const place = String(new FormData(entry).get("place"));
  const sum = /** @type {HTMLElement | null} */ (document.querySelector(`.sum[data-place="${CSS.escape(place)}"]`));
  fill(entry, { free: sum?.dataset.free ?? "" });
}

function emptyEntry() {
  entry?.reset();
  if (walkin) walkin.open = false;
  arrangeEntry();
  walkin?.querySelector("summary")?.focus();
}

/**
 * @param {HTMLFormElement} form
 * @param {Refused} refused
 */
function refuseEntry(form, refused) {
  if (refused.field === "name" || refused.field === "party") return refuse(form, refused);
  form.querySelector("#walkin-problem")?.replaceChildren(made("problem", { text: refused.text }));
  say(refused.text);
}
