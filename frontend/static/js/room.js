/** A small group, or all of them: what is new comes by itself, and the time is told. The end itself is the server's. */
import { autosave } from "./autosave.js";
import { now, showWaits } from "./clock.js";
import { draft } from "./outbox.js";
import * as people from "./people.js";
import { isLinked, start } from "./sync.js";
import "./talk.js";
import { made, say, showNumber, tell, text } from "./tell.js";

/** @typedef {import("./documents.js").Put} Put */

const NOTICES = [5, 2, 1, 0];

/** Pages acknowledge an announcement within this time (ms), so that a thousand do not do so at once. */
const SPREAD = 1_500;
const seen = /** @type {HTMLFormElement | null} */ (document.getElementById("seen"));
/** The announcements that have not been on this screen yet. */
const unseen = new Set((seen?.dataset.unseen ?? "").split(" ").filter(Boolean));

/** The next notice of each end, by its document. */
const told = /** @type {Map<string, number>} */ (new Map());

/** Whether this room is not theirs any more; what comes next says whether there is another, or else the page itself does. */
let lost = false;

const card = /** @type {HTMLFormElement | null} */ (document.getElementById("card"));
/** Cards that wait for a connection, by their commands: the form has been emptied for the next one. */
const waiting = /** @type {Set<string>} */ (new Set());

const notes = /** @type {HTMLElement | null} */ (document.querySelector(".notes[data-room]"));
const near = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && void open(), { rootMargin: "300px" });

setInterval(tick, 1_000);
document.addEventListener("plenum:applied", tick);
document.addEventListener("plenum:applied", mark);
document.addEventListener("plenum:applied", read);
document.addEventListener("visibilitychange", read);
document.addEventListener("plenum:put", (event) => news(/** @type {CustomEvent<Put>} */ (event).detail));
document.addEventListener("plenum:refused", unread);
document.addEventListener("plenum:refused", giveBack);
document.addEventListener("plenum:kept", kept);
document.addEventListener("plenum:applied", ofRound);
document.addEventListener("plenum:applied", elsewhere);
document.addEventListener("plenum:lost", () => (lost = true));
document.addEventListener("plenum:done", done);
tick();
mark();
if (document.getElementById("move")) people.begin();
ofRound();
const seat = document.getElementById("seat");
if (seat) seat.hidden = seat.childElementCount === 0;
autosave();
// In whatever room it is opened next: somebody may be moved in the middle of a thought.
if (card) draft(card, document.body.dataset.slug ?? "");
void start().then(read);
if (notes) near.observe(notes);
notes?.addEventListener("notes:state", elsewhere);

/** The editor of the notes is large: it comes when somebody comes near it, and again after a connection that was lost meanwhile. */
async function open() {
  if (!notes) return;
  near.disconnect();
  try {
    const { edit } = await import("./notes.js");
    await edit(notes, { slug: document.body.dataset.slug ?? "", room: notes.dataset.room ?? "" });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    document.addEventListener("plenum:link", again);
  }
}

function again() {
  if (!isLinked()) return;
  document.removeEventListener("plenum:link", again);
  void open();
}

/** @param {Event} event */
function done(event) {
  const { command, form } = /** @type {CustomEvent<{command: {id: string, name: string}, form: HTMLFormElement | null}>} */ (event).detail;
  if (event.defaultPrevented || command.name === "announcement.seen") return;
  if (command.name === "card.submit") {
    if (waiting.delete(command.id)) return;
    form?.reset();
    return form?.querySelector("textarea")?.focus();
  }
  if (["room.ask_for_help", "announcement.send"].includes(command.name)) form?.reset();
  if (["room.move", "round.bind"].includes(command.name)) people.clear();
  const details = form?.closest("details:not([data-key], .tray__aside)");
  if (details instanceof HTMLDetailsElement) details.open = false;
  if ((form || command.name === "round.bind") && !["card.support", "card.order"].includes(command.name)) tell(text("done"));
}

/** @param {Event} event */
function kept(event) {
  const { command, form } = /** @type {CustomEvent<{command: {id: string, name: string}, form: HTMLFormElement | null}>} */ (event).detail;
  if (["announcement.seen", "chat.send"].includes(command.name)) return;
  tell(text("kept"));
  if (command.name !== "card.submit") return;
  waiting.add(command.id);
  form?.reset();
}

/**
 * A card that is refused long after sending stands in its form again, before what is being typed now.
 * @param {Event} event
 */
function giveBack(event) {
  const { command } = /** @type {CustomEvent<{command: {name: string, args: Record<string, unknown>}}>} */ (event).detail;
  const field = card?.querySelector("textarea");
  const words = command.name === "card.submit" ? String(command.args.text) : "";
  if (!field || field.value.includes(words)) return;
  field.value = field.value ? `${words}\n${field.value}` : words;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** What one's own is: the cards that can be taken back, and those supported, whose button takes it back while the group is at work. */
function mark() {
  const me = document.body.dataset.me ?? "";
  const idle = !document.querySelector('#room > [data-state="open"]');
  document.body.toggleAttribute("data-idle", idle);
  for (const card of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".idea-card"))) {
    const button = /** @type {HTMLButtonElement | null} */ (card.querySelector("[data-supporters]"));
    const on = button?.dataset.supporters?.split(" ").includes(me) ?? false;
    button?.setAttribute("aria-pressed", String(on));
    if (button) button.disabled = idle;
    const flag = /** @type {HTMLInputElement | null} */ (button?.closest("form")?.querySelector("[data-flag]") ?? null);
    if (flag) flag.value = String(!on);
    const withdraw = card.querySelector('input[value="card.withdraw"]')?.closest("form");
    if (withdraw) withdraw.hidden = card.dataset.author !== me;
  }
  const calls = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#help > .caller")]);
  for (const call of calls) call.toggleAttribute("data-on", call.dataset.by === me);
  const waiting = calls.filter((call) => !call.dataset.by).length;
  showNumber(waiting);
  for (const aside of document.querySelectorAll(".tray__aside")) {
    const count = aside.querySelector("[data-shown]");
    if (count) count.textContent = String(aside.querySelector("[data-container]")?.childElementCount);
  }
  choices();
}

/** The rooms that can be told something alone: those that are open now. What was chosen stays, and the server says if it is over. */
function choices() {
  const place = document.getElementById("tell-rooms");
  if (!place) return;
  const rooms = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('#groups > [data-state="open"]')]);
  const open = new Map(rooms.map((room) => [(room.dataset.key ?? "").replace("room/", ""), room.querySelector(".group__name")?.textContent ?? ""]));
  for (const box of place.querySelectorAll("input")) if (!open.delete(box.value) && !box.checked) box.closest("label")?.remove();
  for (const [room, name] of open) {
    const choice = made("tell-room", { name });
    choice.querySelector("input")?.setAttribute("value", room);
    place.append(choice);
  }
}

/**
 * What is told when it comes: somebody calls, is coming, visits; an announcement.
 * @param {Put} put
 */
function news({ element, old }) {
  const name = element.querySelector('[data-slot="name"]')?.textContent ?? "";
  if (element.matches(".caller") && !old) tell(text("help", { name }));
  if (element.dataset.news && element.dataset.news !== old?.dataset.news) tell(element.querySelector("[data-said]")?.textContent ?? "");
  if (old && Number(element.dataset.guests) > Number(old.dataset.guests)) {
    const guest = [...element.querySelectorAll("[data-guest] > :first-child")].at(-1);
    tell(text("visits", { name: guest?.textContent ?? "" }));
  }
  if (seen && element.matches(".announcement") && !old) unseen.add(element.dataset.order ?? "");
}

/** An announcement counts as seen when it is shown on a page that is looked at; one that is out of sight is shown as a message too. */
function read() {
  if (document.visibilityState !== "visible") return;
  for (const number of unseen) {
    const item = document.getElementById(`doc-announcement-${number}`);
    if (!item) continue;
    unseen.delete(number);
    const { top, bottom } = item.getBoundingClientRect();
    const words = item.querySelector("[data-said]")?.textContent ?? "";
    if (bottom > 0 && top < innerHeight) say(words);
    else tell(words, { stays: true });
    setTimeout(acknowledge, SPREAD * Math.random(), number);
  }
}

/** @param {string} number */
function acknowledge(number) {
  const field = /** @type {HTMLInputElement | null | undefined} */ (seen?.querySelector('[name="announcement"]'));
  if (!field) return;
  field.value = number;
  seen?.requestSubmit();
}

/**
 * Nobody is told that it could not be counted; if there were too many, it is said again.
 * @param {Event} event
 */
function unread(event) {
  const { command, retry_after } = /** @type {CustomEvent<{command: {name: string, args: Record<string, unknown>}, retry_after?: number}>} */ (event).detail;
  if (command.name !== "announcement.seen") return;
  event.preventDefault();
  if (retry_after) setTimeout(acknowledge, retry_after * 1_000 * (1 + Math.random()), String(command.args.announcement));
}

/** Whoever is moved while this page is open is told where they belong now; as long as it is here there is nothing to say. */
function elsewhere() {
  const place = document.getElementById("seat");
  const seat = /** @type {HTMLElement | null} */ (place?.querySelector("[data-room]") ?? null);
  const moved = place && seat && "open" in seat.dataset && seat.dataset.room !== place.dataset.here;
  // What is only on this page can be copied from it.
  if (lost && !moved && !["offline", "saving", "full", "slow", "late"].includes(notes?.dataset.state ?? ""))
    return place?.dataset.out ? location.replace(place.dataset.out) : location.reload();
  if (!place || !seat) return;
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
  for (const result of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#results[data-round] > *")))
    result.hidden = !result.dataset.key?.startsWith(`result/${wanted}-`);
  people.offer();
  people.refresh();
}

function tick() {
  for (const item of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-ends]"))) {
    const place = item.querySelector("[data-left]");
    const ends = Date.parse(item.dataset.ends ?? "");
    if (!place || Number.isNaN(ends)) continue;
    const left = Math.max(0, Math.ceil((ends - now()) / 1000));
    const words = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (place.textContent !== words) place.textContent = words;
    if (item.closest("#room")) notice(`${item.id}/${item.dataset.ends}`, left);
  }
  showWaits();
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
