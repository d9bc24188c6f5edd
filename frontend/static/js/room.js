/** A small group, or all of them: what is new comes by itself, and the time is told. The end itself is the server's. */
import { autosave } from "./autosave.js";
import { now } from "./clock.js";
import { isLinked, start } from "./sync.js";
import "./talk.js";
import { say, tell, text } from "./tell.js";

const NOTICES = [5, 2, 1, 0];

/** The next notice of each end, by its document. */
const told = /** @type {Map<string, number>} */ (new Map());

const notes = /** @type {HTMLElement | null} */ (document.querySelector(".notes[data-room]"));
const near = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && void open(), { rootMargin: "300px" });

setInterval(tick, 1_000);
document.addEventListener("plenum:applied", tick);
document.addEventListener("plenum:applied", mark);
document.addEventListener("plenum:done", done);
tick();
mark();
autosave();
void start();
if (notes) near.observe(notes);

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
  const { command, form } = /** @type {CustomEvent<{command: {name: string}, form: HTMLFormElement | null}>} */ (event).detail;
  if (event.defaultPrevented) return;
  if (command.name === "card.submit") {
    form?.reset();
    return form?.querySelector("textarea")?.focus();
  }
  const details = form?.closest("details:not([data-key])");
  if (details instanceof HTMLDetailsElement) details.open = false;
  if (form && command.name !== "card.support") tell(text("done"));
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
