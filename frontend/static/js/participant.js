/** The participant page: writing, supporting, one's own contributions, the list of the others', the broadcast. */
import * as documents from "./documents.js";
import * as outbox from "./outbox.js";
import { refuse, start } from "./sync.js";
import { fill, made, say, tell, text } from "./tell.js";
import { countCharacters } from "./write.js";

/**
 * @typedef {import("./outbox.js").Command} Command
 * @typedef {{command: Command, form: HTMLFormElement | null, button?: HTMLElement | null}} Given
 */

const SAY_NEW_EVERY = 20_000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("contribution"));
const list = /** @type {HTMLElement} */ (document.getElementById("contributions"));
const own = /** @type {HTMLElement} */ (document.getElementById("own"));
const fresh = /** @type {HTMLButtonElement} */ (document.querySelector("[data-fresh]"));
const slug = document.body.dataset.slug ?? "";
let saidNew = 0;

countCharacters(form);
outbox.draft(form, slug);
fresh.addEventListener("click", showNew);
for (const link of document.querySelectorAll(".sort a")) link.addEventListener("click", sortBy);
offerToWrite();
void broadcast();
void start().then(() => {
  showSupported();
  for (const command of outbox.all()) if (command.name === "contribution.submit") wait(command);
});

document.addEventListener("plenum:put", (event) => {
  const { element, old } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  const moved = old && element.dataset.in === "own" && old.dataset.state !== element.dataset.state;
  if (moved) say(element.querySelector("[data-say]")?.textContent?.replace(/\s+/g, " ").trim() ?? "");
});

document.addEventListener("plenum:applied", (event) => {
  showSupported();
  if (/** @type {CustomEvent} */ (event).detail.channel === "public") announceNew();
});

document.addEventListener("plenum:given", (event) => {
  const { command, button } = /** @type {CustomEvent<Given>} */ (event).detail;
  // At once, and again when the server says which ones it knows.
  if (command.name.startsWith("support.")) press(button ?? null, command.name === "support.give");
});

document.addEventListener("plenum:kept", (event) => {
  const { command, form: from } = /** @type {CustomEvent<Given>} */ (event).detail;
  tell(text("kept"));
  if (command.name !== "contribution.submit") return;
  wait(command);
  if (from === form) emptied();
});

document.addEventListener("plenum:done", (event) => {
  const { command, form: from, result } = /** @type {CustomEvent<Given & {result: {state?: string}}>} */ (event).detail;
  if (command.name !== "contribution.submit") return closeDetails(from);
  if (from === form && !document.getElementById(waitingId(command))) emptied();
  document.getElementById(waitingId(command))?.remove();
  tell(text(result.state === "approved" ? "approved" : "received"));
});

document.addEventListener("plenum:refused", (event) => {
  const detail = /** @type {CustomEvent<Given & import("./sync.js").Refused>} */ (event).detail;
  if (detail.command.name.startsWith("support.")) showSupported();
  const waited = document.getElementById(waitingId(detail.command));
  if (!waited) return;
  event.preventDefault();
  giveBack(detail.command, detail, waited);
});

/** The form is ready for the next thought; the name stays. */
function emptied() {
  const name = /** @type {HTMLInputElement} */ (form.elements.namedItem("args.name"));
  name.defaultValue = name.value;
  form.reset();
}

/** @param {HTMLFormElement | null} from */
function closeDetails(from) {
  const details = from?.closest("details");
  if (!details) return;
  details.querySelector("summary")?.focus();
  details.open = false;
}

/** @param {Command} command */
function waitingId(command) {
  return `waiting-${command.id}`;
}

/**
 * Shows a contribution that is still on its way.
 * @param {Command} command
 */
function wait(command) {
  if (document.getElementById(waitingId(command))) return;
  const item = made("waiting", { text: String(command.args.text) });
  item.id = waitingId(command);
  item.dataset.order = String(Number.MAX_SAFE_INTEGER);
  own.prepend(item);
}

/**
 * A refusal long after sending: the text returns into the form, or stays visible beside what is being typed now.
 * @param {Command} command
 * @param {import("./sync.js").Refused} refused
 * @param {HTMLElement} waited
 */
function giveBack(command, refused, waited) {
  const field = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("text"));
  if (field.value) {
    outbox.keep({ ...command, problem: refused.text });
    waited.querySelector("[data-slot=text]")?.before(made("problem", { text: refused.text }));
    return tell(refused.text);
  }
  waited.remove();
  field.value = String(command.args.text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  refuse(form, refused);
}

function showSupported() {
  const known = document.getElementById("doc-me-supports")?.dataset.numbers ?? "";
  const numbers = new Set(known.split(" ").filter(Boolean));
  for (const command of outbox.all()) {
    const number = String(command.args.contribution);
    if (command.name === "support.give") numbers.add(number);
    if (command.name === "support.withdraw") numbers.delete(number);
  }
  for (const button of list.querySelectorAll("button.support")) {
    const field = /** @type {HTMLInputElement | null} */ (button.closest("form")?.querySelector("[name=contribution]"));
    press(/** @type {HTMLElement} */ (button), numbers.has(field?.value ?? ""));
  }
}

/**
 * @param {HTMLElement | null} button
 * @param {boolean} pressed
 */
function press(button, pressed) {
  if (!button?.matches(".support") || button.getAttribute("aria-pressed") === String(pressed)) return;
  button.dataset.undo = "support.withdraw";
  button.setAttribute("aria-pressed", String(pressed));
}

function announceNew() {
  const count = documents.waitingIn(list);
  fresh.hidden = count === 0;
  fill(fresh, { count: String(count) });
  if (count === 0 || Date.now() - saidNew < SAY_NEW_EVERY) return;
  saidNew = Date.now();
  say(text("new", { count: String(count) }));
}

function showNew() {
  const items = documents.release(list);
  showSupported();
  announceNew();
  for (const item of items) {
    item.classList.add("voice--fresh");
    item.addEventListener("animationend", () => item.classList.remove("voice--fresh"), { once: true });
  }
  items[0]?.scrollIntoView({ block: "nearest" });
  items[0]?.focus({ preventScroll: true });
}

/** @param {Event} event */
function sortBy(event) {
  // A long list has more pages, and only the server can sort those.
  if (document.querySelector('a[rel="next"]')) return;
  event.preventDefault();
  const link = /** @type {HTMLAnchorElement} */ (event.currentTarget);
  for (const other of document.querySelectorAll(".sort a")) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  list.dataset.by = link.dataset.by;
  documents.release(list);
  documents.sort(list);
  showSupported();
  announceNew();
  history.replaceState(null, "", link.href.replace(/#.*/, ""));
}

/** Far down in the list the way back to the form is one tap. */
function offerToWrite() {
  const link = document.getElementById("to-write");
  if (!link) return;
  link.addEventListener("click", () => setTimeout(() => /** @type {HTMLElement} */ (form.elements.namedItem("text")).focus()));
  new IntersectionObserver(([entry]) => (link.hidden = !entry || entry.isIntersecting || !form.checkVisibility())).observe(form);
}

async function broadcast() {
  const video = /** @type {HTMLVideoElement | null} */ (document.querySelector("video[data-hls]"));
  if (!video || video.canPlayType("application/vnd.apple.mpegurl")) return;
  const address = video.dataset.hls ?? "";
  video.removeAttribute("src");
  // Half a megabyte of player is loaded only for who presses play.
  const started = new AbortController();
  video.addEventListener("pointerdown", () => void play(), { signal: started.signal });
  video.addEventListener("keydown", () => void play(), { signal: started.signal });
  video.addEventListener("play", () => void play(), { signal: started.signal });

  async function play() {
    if (!video || started.signal.aborted) return;
    started.abort();
    const { default: Hls } = await import("../vendor/hls.js");
    if (!Hls.isSupported()) return;
    const player = new Hls({ enableWorker: false, lowLatencyMode: true });
    player.loadSource(address);
    player.attachMedia(video);
    await video.play().catch(() => {});
  }
}
