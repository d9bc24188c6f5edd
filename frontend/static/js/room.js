/** A small group, or all of them: what is new comes by itself, and the time is told. The end itself is the server's. */
import * as people from "./people.js";
import { start } from "./sync.js";
import { say, tell, text } from "./tell.js";

/** How far this device's clock is behind the server's, in ms. */
const behind = Number(document.body.dataset.now) - Date.now();
const NOTICES = [5, 2, 1, 0];

/** The next notice of each end, by its document. */
const told = /** @type {Map<string, number>} */ (new Map());

setInterval(tick, 1_000);
document.addEventListener("plenum:applied", tick);
document.addEventListener("plenum:applied", mark);
document.addEventListener("plenum:applied", ofRound);
document.addEventListener("plenum:applied", elsewhere);
document.addEventListener("plenum:done", done);
tick();
mark();
if (document.getElementById("move")) people.begin();
ofRound();
const seat = document.getElementById("seat");
if (seat) seat.hidden = seat.childElementCount === 0;
void start();

/** @param {Event} event */
function done(event) {
  const { command, form } = /** @type {CustomEvent<{command: {name: string}, form: HTMLFormElement | null}>} */ (event).detail;
  if (command.name === "card.submit") {
    form?.reset();
    return form?.querySelector("textarea")?.focus();
  }
  if (command.name === "room.move") people.clear();
  const details = form?.closest("details");
  if (details) details.open = false;
  if (command.name !== "card.support") tell(text("done"));
}

/** What one's own is: the cards that can be taken back, and those supported, whose button takes it back. */
function mark() {
  const me = document.body.dataset.me ?? "";
  for (const card of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#cards > li"))) {
    const button = /** @type {HTMLElement | null} */ (card.querySelector("[data-supporters]"));
    const on = button?.dataset.supporters?.split(" ").includes(me) ?? false;
    button?.setAttribute("aria-pressed", String(on));
    const flag = /** @type {HTMLInputElement | null} */ (button?.closest("form")?.querySelector("[data-flag]") ?? null);
    if (flag) flag.value = String(!on);
    const withdraw = card.querySelector('input[value="card.withdraw"]')?.closest("form");
    if (withdraw) withdraw.hidden = card.dataset.author !== me;
  }
}

/** Whoever is moved while this page is open is told where they belong now; as long as it is here there is nothing to say. */
function elsewhere() {
  const place = document.getElementById("seat");
  const seat = /** @type {HTMLElement | null} */ (place?.querySelector("[data-room]") ?? null);
  if (!place || !seat) return;
  const moved = "open" in seat.dataset && seat.dataset.room !== place.dataset.here;
  if (moved && place.hidden) tell(seat.querySelector("[role=status]")?.textContent?.trim() ?? "");
  place.hidden = !moved;
}

/** Only the rooms of one round are shown: of the page's own, or of the current one. */
function ofRound() {
  const groups = document.getElementById("groups");
  if (!groups) return;
  const current = /** @type {HTMLElement | null} */ (document.querySelector("[data-current]"))?.dataset.current;
  const wanted = groups.dataset.round ?? current;
  for (const room of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#groups > li")))
    room.hidden = room.dataset.round !== wanted;
  for (const result of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#board[data-round] > *")))
    result.hidden = !result.dataset.key?.startsWith(`result/${wanted}-`);
  people.offer();
  people.refresh();
}

function tick() {
  for (const item of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-ends]"))) {
    const place = item.querySelector("[data-left]");
    const ends = Date.parse(item.dataset.ends ?? "");
    if (!place || Number.isNaN(ends)) continue;
    const left = Math.max(0, Math.ceil((ends - Date.now() - behind) / 1000));
    const words = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (place.textContent !== words) place.textContent = words;
    if (item.closest("#room")) notice(`${item.id}/${item.dataset.ends}`, left);
  }
}

/**
 * Calmly, and once each: who comes late is told only what is next.
 * @param {string} end
 * @param {number} left seconds
 */
function notice(end, left) {
  const due = NOTICES.findIndex((minutes) => left > minutes * 60);
  const passed = due === -1 ? NOTICES.length : due;
  const before = told.get(end);
  told.set(end, passed);
  if (before === undefined || passed <= before) return;
  const words = text(`left-${NOTICES[passed - 1]}`);
  if (passed === NOTICES.length) tell(words);
  else say(words);
}
