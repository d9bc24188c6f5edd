/** Hands and chat of a small group, and how long ago something was. */
import { now } from "./clock.js";
import { draft, idOf } from "./outbox.js";
import { say, tell, text } from "./tell.js";

/** @typedef {{command: {name: string, args: Record<string, unknown>}, form: HTMLFormElement | null}} Answered */

const me = document.body.dataset.me ?? "";
const log = document.getElementById("chat");
const toNew = document.getElementById("chat-new");
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form[id^='chat-']"));
const minutes = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "minute", unitDisplay: "long" });
/** So many pixels from its end the chat is still at its end. */
const NEAR = 40;
/** After so many minutes without a word a moderator may want to look in. */
const LONG = 5;

let state = hand().state;
let atEnd = true;
let focused = false;
let inSight = false;
let unread = 0;

setInterval(tellAges, 10_000);
document.addEventListener("plenum:put", before);
document.addEventListener("plenum:applied", applied);
document.addEventListener("plenum:counted", tellAges);
document.addEventListener("plenum:done", done);
document.addEventListener("plenum:kept", kept);
document.addEventListener("plenum:refused", refused);
tellAges();
showHand();
if (form) draft(form, document.body.dataset.slug ?? "");
if (log) {
  markOwn();
  toEnd();
  log.addEventListener("scroll", () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
    if (atEnd && toNew) toNew.hidden = true;
  });
  toNew?.addEventListener("click", () => {
    toEnd();
    log.focus();
  });
  new IntersectionObserver(([entry]) => {
    inSight = entry?.isIntersecting ?? false;
    if (inSight) count(0);
  }).observe(log);
}

/** @param {Event} event */
function before(event) {
  const { element, old } = /** @type {CustomEvent<{element: HTMLElement, old: HTMLElement | null}>} */ (event).detail;
  if (element.dataset.in === "hands") focused = old?.contains(document.activeElement) ?? false;
  const theirs = element.dataset.in === "chat" && !old && element.dataset.author !== me;
  if (theirs && !inSight) count(unread + 1);
  if (theirs && !atEnd && toNew) toNew.hidden = false;
}

function applied() {
  tellAges();
  // The button that gave the floor has gone with the hand.
  if (focused && document.activeElement === document.body) document.getElementById("hands-title")?.focus();
  focused = false;
  tellHand();
  if (!log) return;
  markOwn();
  if (atEnd) toEnd();
}

/** One's own hand: lowered, raised (with so many before it), next, or speaking. */
function hand() {
  const list = document.querySelector("#hands > .hands");
  const { speaker = "", next = "" } = list instanceof HTMLElement ? list.dataset : {};
  const place = [...(list?.querySelectorAll("[data-person]") ?? [])].findIndex((one) => /** @type {HTMLElement} */ (one).dataset.person === me);
  if (me && speaker === me) return { state: "speaking", place };
  if (place < 0) return { state: "down", place };
  return { state: me === next ? "next" : "up", place };
}

function showHand() {
  const { state: shown, place } = hand();
  const button = /** @type {HTMLElement | null} */ (document.querySelector("[data-hand]"));
  const name = /** @type {HTMLInputElement | null | undefined} */ (button?.closest("form")?.querySelector("[name=name]"));
  if (button) button.dataset.hand = shown === "next" ? "up" : shown;
  if (name) name.value = shown === "down" ? "room.raise_hand" : "room.lower_hand";
  for (const one of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#hands [data-person]"))) {
    const you = /** @type {HTMLElement | null} */ (one.querySelector("[data-you]"));
    if (you) you.hidden = one.dataset.person !== me;
  }
  const mine = document.getElementById("hand-state");
  if (!mine) return;
  mine.hidden = shown === "down";
  mine.textContent = shown === "down" ? "" : text(`hand-${shown}`, { before: String(place) });
}

/** It is said when it changes; what calls for the person is shown as well. */
function tellHand() {
  showHand();
  const { state: is, place } = hand();
  if (is === state) return;
  state = is;
  const words = text(`hand-${is}`, { before: String(place) });
  if (is === "next" || is === "speaking") tell(words);
  else say(words);
}

/** @param {Event} event */
function done(event) {
  const { command, form: sent } = /** @type {CustomEvent<Answered>} */ (event).detail;
  if (!/^(chat\.|room\.(raise|lower)_hand|room\.give_floor)/.test(command.name)) return;
  event.preventDefault();
  if (command.name !== "chat.send" || !sent) return;
  sent.reset();
  toEnd();
}

/** @param {Event} event */
function kept(event) {
  const { command } = /** @type {CustomEvent<Answered>} */ (event).detail;
  if (command.name !== "chat.send") return;
  form?.reset();
  tell(text("chat-kept"));
}

/**
 * What could not be sent stands in the field again.
 * @param {Event} event
 */
function refused(event) {
  const { command } = /** @type {CustomEvent<Answered>} */ (event).detail;
  const field = form?.querySelector("input[name=text]");
  const words = command.name === "chat.send" && form && idOf(form) === `chat-${command.args.room}` ? command.args.text : "";
  if (field instanceof HTMLInputElement && !field.value && typeof words === "string" && words) {
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function markOwn() {
  if (me) for (const one of document.querySelectorAll(`#chat > [data-author="${CSS.escape(me)}"]`)) one.setAttribute("data-on", "");
}

function toEnd() {
  atEnd = true;
  log?.scrollTo(0, log.scrollHeight);
  if (toNew) toNew.hidden = true;
}

/** @param {number} number */
function count(number) {
  unread = number;
  const place = /** @type {HTMLElement | null} */ (document.querySelector("[data-unread]"));
  if (!place) return;
  place.hidden = !number;
  place.textContent = String(number);
}

/** In whole minutes, so that nothing flickers. */
function tellAges() {
  for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-ago]"))) {
    const passed = Math.floor((now() - Date.parse(place.dataset.ago ?? "")) / 60_000);
    const words = passed > 0 ? `(${minutes.format(passed)})` : "";
    if (place.textContent !== words) place.textContent = words;
  }
  for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-quiet]"))) {
    const said = place.closest(".group__quiet");
    const active = Number(said?.querySelector("[data-count]")?.textContent);
    const passed = Math.floor((now() - active) / 60_000);
    if (said instanceof HTMLElement) said.hidden = !active || passed < LONG;
    place.textContent = minutes.format(passed);
  }
}
