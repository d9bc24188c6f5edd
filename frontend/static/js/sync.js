/**
 * The page's connection: watches its channels, sends commands, comes back by itself. docs/protocol.md describes the frames.
 *
 * Events on `document`: `plenum:put` (cancelable; before a document is placed), `plenum:applied` (after), `plenum:done` and
 * `plenum:refused` (a command's answer), `plenum:kept` (a command waits in the outbox), `plenum:link` (connected or not),
 * `plenum:lost` (a channel is not theirs any more).
 */
import * as documents from "./documents.js";
import * as outbox from "./outbox.js";
import { fill, hush, made, say, tell, text } from "./tell.js";

/**
 * @typedef {import("./outbox.js").Command} Command
 * @typedef {{t: "refused", id: string | null, code: string, field?: string | null, retry_after?: number | null, text: string}} Refused
 * @typedef {{t: "done", id: string, seq: number, result: Record<string, unknown>}} Done
 * @typedef {import("./documents.js").Docs & {t: "docs", epoch: string, seq: number}} DocsFrame
 * @typedef {{t: "count", channel: string, counts: Record<string, Record<string, number>>}} CountFrame
 * @typedef {{t: "welcome"} | DocsFrame | CountFrame | Done | Refused} Frame
 * @typedef {{command: Command, form: HTMLFormElement | null, kept: boolean, queued: boolean, sent: number, after: number, tried?: boolean}} Pending
 */

const FIRST_RETRY = 500;
const LONGEST_RETRY = 8_000;
/** After these close codes all come back at once; so they spread over this time. */
const SPREAD = /** @type {Record<number, number>} */ ({ 4000: 3_000, 4001: 2_000, 4002: 15_000 });
const ANSWER_WITHIN = 8_000;
const SILENCE = 60_000;
const BANNER_AFTER = 2_500;
/** A moderator's command that was under way when the line broke is sent again only this long. */
const STILL_MEANT = 12_000;

const root = document.documentElement;
const { slug = "", token = null, channels: known = "{}" } = document.body.dataset;
const channels = /** @type {Record<string, {epoch?: string, seq?: number}>} */ (JSON.parse(known));
const pending = /** @type {Map<string, Pending>} */ (new Map());

/** @type {WebSocket | null} */
let socket = null;
let linked = false;
let seen = false;
let attempts = 0;
let lastFrame = Date.now();
/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */
let retry = /** @type {Timer} */ (undefined);
let deadline = /** @type {Timer} */ (undefined);
let silence = /** @type {Timer} */ (undefined);
let banner = /** @type {Timer} */ (undefined);

/** Connects and takes over the forms. To be called once, by the page's own module. */
export async function start() {
  root.dataset.script = "";
  document.addEventListener("submit", (event) => void onSubmit(event));
  // The old connection may have survived; then it is to say so.
  addEventListener("online", () => setTimeout(() => probe(0), Math.random() * 500));
  addEventListener("offline", () => lost(0));
  addEventListener("pageshow", (event) => event.persisted && again(0));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && probe(20_000));
  setInterval(showAge, 5_000);
  await outbox.load(slug);
  connect();
}

/**
 * What a page shows that was loaded without a network, as it was at that time: the connection goes on from there.
 * @param {DocsFrame} frame
 * @param {number} at
 */
export function resume(frame, at) {
  documents.apply(frame);
  channels[frame.channel] = { epoch: frame.epoch, seq: frame.seq };
  seen = true;
  lastFrame = at;
}

/**
 * What has been shown of a channel, and when something came last.
 * @param {string} channel
 */
export function place(channel) {
  return { ...channels[channel], at: lastFrame };
}

/** Whether the server has answered on the current connection. */
export function isLinked() {
  return linked;
}

function connect() {
  clearTimeout(retry);
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const connecting = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/ws/${slug}`);
  socket = connecting;
  answerWithin(ANSWER_WITHIN);
  connecting.onopen = () => watch();
  connecting.onmessage = (event) => socket === connecting && received(JSON.parse(event.data));
  connecting.onclose = (event) => socket === connecting && closed(event.code);
}

function watch() {
  send({ t: "open", channels, lang: root.lang, ...(token ? { token } : {}) });
}

/**
 * Says something for the moment; nobody is told when it is lost.
 * @param {object} frame
 */
export function send(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

/** @param {Frame} frame */
function received(frame) {
  lastFrame = Date.now();
  if (!isAwaiting()) clearTimeout(deadline);
  clearTimeout(silence);
  silence = setTimeout(() => probe(0), SILENCE * (1 + Math.random()));
  if (!linked) established();
  if (frame.t === "docs") {
    documents.apply(frame);
    seen = true;
    channels[frame.channel] = { epoch: frame.epoch, seq: frame.seq };
  } else if (frame.t === "count") documents.count(frame.counts);
  else if (frame.t === "refused" && !frame.id && frame.code === "forbidden" && seen) refused();
  else if (frame.t === "done" || frame.t === "refused") answered(frame);
}

/** A channel that was open is not any more. Who was moved is told where to by what else there is; all others by the page itself. */
function refused() {
  const rooms = Object.keys(channels).filter((name) => name.startsWith("room/"));
  document.dispatchEvent(new CustomEvent("plenum:lost"));
  if (!rooms.length || !document.getElementById("seat")) return location.reload();
  for (const room of rooms) delete channels[room];
  watch();
}

function established() {
  linked = true;
  clearTimeout(banner);
  banner = undefined;
  const shown = document.getElementById("offline");
  if (shown && !shown.hidden) say(text("back"));
  if (shown) shown.hidden = true;
  setTimeout(() => linked && (attempts = 0), 10_000);
  announce();
  flush();
}

/** @param {number} code */
function closed(code) {
  socket = null;
  lost(BANNER_AFTER);
  if (code >= 4500 && code < 5000) {
    tell(text("ended"), { stays: true });
    return;
  }
  const most = Math.max(SPREAD[code] ?? 0, Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** attempts));
  attempts += 1;
  again(Math.random() * most);
}

/** @param {number} delay */
function again(delay) {
  clearTimeout(retry);
  retry = setTimeout(connect, delay);
}

/** @param {number} delay */
function lost(delay) {
  clearTimeout(deadline);
  clearTimeout(silence);
  // Attempts that fail do not put it off.
  if (banner === undefined || !delay) {
    clearTimeout(banner);
    banner = setTimeout(showBanner, delay);
  }
  if (!linked) return;
  linked = false;
  announce();
}

function announce() {
  document.dispatchEvent(new CustomEvent("plenum:link", { detail: { linked } }));
}

function showBanner() {
  const shown = document.getElementById("offline");
  if (!shown?.hidden) return;
  showAge();
  shown.hidden = false;
  say(text("lost"));
}

function showAge() {
  const shown = document.getElementById("offline");
  if (!shown || linked) return;
  const seconds = Math.round((Date.now() - lastFrame) / 1000);
  const format = new Intl.RelativeTimeFormat(root.lang, { numeric: "always" });
  fill(shown, { age: seconds < 60 ? format.format(-seconds, "second") : format.format(-Math.floor(seconds / 60), "minute") });
}

/**
 * Browsers hide WebSocket pings, so a dead line is found by asking: watching again is answered at once.
 * @param {number} silent only if nothing has come for so long
 */
function probe(silent) {
  if (!socket) return again(0);
  if (socket.readyState !== WebSocket.OPEN || Date.now() - lastFrame < silent) return;
  watch();
  answerWithin(ANSWER_WITHIN);
}

/** @param {number} time */
function answerWithin(time) {
  clearTimeout(deadline);
  deadline = setTimeout(() => {
    const dead = socket;
    socket = null;
    dead?.close();
    closed(0);
  }, time);
}

/**
 * Sends what a form says. `data-do="keep"`: waits in the outbox if need be; `"now"`: now or not at all.
 * @param {SubmitEvent} event
 */
async function onSubmit(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = event.submitter;
  // A button that has an address of its own is for the page there.
  if (!form.dataset.do || button?.hasAttribute("formaction")) return;
  event.preventDefault();
  if (button?.getAttribute("aria-disabled") === "true") return;
  const command = commandOf(form, button);
  const kept = form.dataset.do === "keep";
  if (!kept && !linked) return tell(text("not-now"));
  if (kept) outbox.keep(command);
  const item = { command, form, kept, queued: false, sent: 0, after: 0 };
  pending.set(command.id, item);
  button?.setAttribute("aria-disabled", "true");
  document.addEventListener(`plenum:settled:${command.id}`, () => button?.removeAttribute("aria-disabled"), { once: true });
  document.dispatchEvent(new CustomEvent("plenum:given", { detail: { command, form, button } }));
  flush();
  if (kept && (!linked || !(await settledWithin(command.id, 2_000)))) {
    document.dispatchEvent(new CustomEvent(`plenum:settled:${command.id}`));
    if (!pending.has(command.id)) return;
    item.queued = true;
    document.dispatchEvent(new CustomEvent("plenum:kept", { detail: { command, form } }));
  }
}

/**
 * Sends a command that belongs to no form; it waits in the outbox if need be.
 * @param {string} name
 * @param {Record<string, unknown>} args
 */
export function give(name, args) {
  const command = { id: outbox.newId(), slug, name, args, at: Date.now() };
  outbox.keep(command);
  pending.set(command.id, { command, form: null, kept: true, queued: true, sent: 0, after: 0 });
  flush();
  return command.id;
}

/**
 * Changes what waits; false if it may have arrived already.
 * @param {string} id
 * @param {Record<string, unknown>} args
 */
export function amend(id, args) {
  const item = pending.get(id);
  if (!item || item.tried) return false;
  item.command.args = args;
  outbox.keep(item.command);
  return true;
}

/**
 * @param {string} id
 * @param {number} time
 * @returns {Promise<boolean>}
 */
function settledWithin(id, time) {
  return new Promise((resolve) => {
    document.addEventListener(`plenum:settled:${id}`, () => resolve(true), { once: true });
    setTimeout(() => resolve(false), time);
  });
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} button
 * @returns {Command}
 */
function commandOf(form, button) {
  const data = new FormData(form);
  if (button instanceof HTMLButtonElement && button.name) data.append(button.name, button.value);
  const pressed = button?.getAttribute("aria-pressed") === "true" ? button.dataset.undo : undefined;
  const name = pressed ?? String(data.get("name"));
  const fields = [...form.elements];
  const numbers = new Set(fields.filter((field) => field.matches("[data-number]")).map((field) => field.getAttribute("name")));
  const flags = new Set(fields.filter((field) => field.matches("[data-flag]")).map((field) => field.getAttribute("name")));
  /** @type {Record<string, unknown>} */
  const args = {};
  for (const [field, value] of data) {
    if (["id", "name", "back"].includes(field)) continue;
    const argument = field.replace(/^(args|set)\./, "").replace(/\[\]$/, "");
    if (field.endsWith("[]"))
      args[argument] = [...(Array.isArray(args[argument]) ? args[argument] : []), numbers.has(field) ? Number(value) : String(value)];
    else args[argument] = numbers.has(field) ? Number(value) : flags.has(field) ? value === "true" : String(value);
  }
  const draft = "draft" in form.dataset ? { draft: outbox.idOf(form) } : {};
  return { id: outbox.newId(), slug, name, args, at: Date.now(), ...draft };
}

/**
 * Sends everything that has not been sent on this connection, in the order in which it was given. Where the server wanted one later,
 * those of its kind that were given after it wait for its answer: they would come before it, or in vain.
 */
function flush() {
  if (!linked) return;
  for (const command of outbox.all())
    if (!pending.has(command.id) && !command.problem)
      pending.set(command.id, { command, form: null, kept: true, queued: true, sent: 0, after: 0 });
  const held = new Set();
  for (const item of [...pending.values()].sort((a, b) => a.command.at - b.command.at)) {
    const { name } = item.command;
    if (item.kept && held.has(name)) continue;
    if (item.after) held.add(name);
    if (item.sent || item.after > Date.now()) continue;
    item.sent = Date.now();
    item.tried = true;
    send({ t: "do", id: item.command.id, name: item.command.name, args: item.command.args });
    answerWithin(ANSWER_WITHIN);
  }
}

document.addEventListener("plenum:link", () => {
  if (linked) return;
  for (const [id, item] of pending) {
    const given = item.sent;
    item.sent = 0;
    if (item.kept || !given || Date.now() - item.command.at < STILL_MEANT) continue;
    pending.delete(id);
    document.dispatchEvent(new CustomEvent(`plenum:settled:${id}`));
    tell(text("uncertain"));
  }
});

/** @param {Done | Refused} frame */
function answered(frame) {
  const id = frame.id ?? "";
  const item = pending.get(id);
  if (!item) return;
  const { command, form } = item;
  item.sent = 0;
  if (!isAwaiting()) clearTimeout(deadline);
  if (frame.t === "refused" && frame.retry_after && item.queued) return later(item, frame.retry_after);
  pending.delete(id);
  outbox.forget(id);
  const detail = { command, form, ...frame };
  const handled = !document.dispatchEvent(new CustomEvent(`plenum:${frame.t}`, { cancelable: true, detail }));
  if (frame.t === "refused" && !handled) {
    if (!form) outbox.giveBack(command);
    refuse(form, frame);
  }
  document.dispatchEvent(new CustomEvent(`plenum:settled:${id}`));
  if (item.after) flush();
}

/**
 * The server wants it later, and nobody looks at a form any more: it stays in the outbox until then.
 * @param {Pending} item
 * @param {number} seconds
 */
function later(item, seconds) {
  const wait = seconds * 1000 * (1 + Math.random() / 4);
  item.after = Date.now() + wait;
  setTimeout(flush, wait + 50);
}

function isAwaiting() {
  return [...pending.values()].some((item) => item.sent > 0);
}

/**
 * Shows a refusal where it can be mended: at the field, else as a message.
 * @param {HTMLFormElement | null} form
 * @param {Refused} frame
 */
export function refuse(form, frame) {
  const field = form?.isConnected && frame.field ? fieldOf(form, frame.field) : null;
  if (!field) return tell(frame.text);
  const place = field.closest(".field") ?? field.parentElement;
  clearProblem(place);
  hush();
  const problem = made("problem", { text: frame.text });
  problem.id = `${field.id || outbox.newId()}-problem`;
  field.after(problem);
  place?.classList.add("field--wrong");
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", `${problem.id} ${field.getAttribute("aria-describedby") ?? ""}`.trim());
  field.addEventListener("input", () => clearProblem(place), { once: true });
  field.focus();
  say(frame.text);
}

/** @param {Element | null | undefined} place */
function clearProblem(place) {
  place?.classList.remove("field--wrong");
  for (const problem of place?.querySelectorAll(":scope > .problem") ?? []) {
    const field = place?.querySelector(`[aria-describedby~="${CSS.escape(problem.id)}"]`);
    field?.removeAttribute("aria-invalid");
    const others = field?.getAttribute("aria-describedby")?.split(" ").filter((id) => id !== problem.id) ?? [];
    if (others.length) field?.setAttribute("aria-describedby", others.join(" "));
    else field?.removeAttribute("aria-describedby");
    problem.remove();
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
function fieldOf(form, name) {
  const fields = form.querySelectorAll(`:is(textarea, select, input:not([type="hidden"], [type="radio"])):is([name="${CSS.escape(name)}"], [name="args.${CSS.escape(name)}"], [name="set.${CSS.escape(name)}"])`);
  return fields[0] instanceof HTMLElement ? fields[0] : null;
}
