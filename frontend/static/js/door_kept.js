/**
 * What the door has when its page is loaded anew without a network: the page itself, which a service worker keeps, and the list of
 * guests, which this tab keeps. The list is about people: it is in the tab's own storage, which ends with the tab.
 */
import * as sync from "./sync.js";

const CHANNEL = "door";
/** The whole list is written each time: 70 ms on a slow telephone with 500 guests, too much for each of them who comes in (ms). */
const FIRST = 500;
const AGAIN = 10_000;

const { slug = "", later } = document.body.dataset;
const name = `plenum/${slug}/${CHANNEL}`;
let saving = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
let isPageKept = false;
let isListKept = false;
/** Nothing is kept any more: the right to see the list is lost, or it has no room in the tab's storage. */
let isOver = false;

/** Whether the page can be loaded anew without a network. */
export function isKept() {
  return isPageKept && isListKept;
}

/** Brings the list back into a page that came without one. To be called before the connection starts. */
export function bringBack() {
  document.addEventListener("plenum:applied", () => (saving ??= setTimeout(save, isListKept ? AGAIN : FIRST)));
  // A page that is put to sleep, left or loaded anew is out of sight before.
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && save());
  document.addEventListener("plenum:lost", forget);
  if (later === undefined) return;
  const kept = /** @type {(import("./sync.js").DocsFrame & {at: number}) | null} */ (stored());
  if (kept) return sync.resume(kept, kept.at);
  const hint = document.getElementById("later");
  if (!hint) return;
  hint.hidden = false;
  document.addEventListener("plenum:applied", () => hint.remove(), { once: true });
}

/** Has the page kept; without a service worker (no https, a private window) all is as if there were none. */
export async function keepPage() {
  save();
  const container = navigator.serviceWorker;
  if (!container) return;
  try {
    const found = await container.register(new URL("door_worker.js", import.meta.url), { scope: location.pathname });
    const worker = found.installing ?? found.waiting ?? found.active;
    if (!worker) return;
    const kept = new Promise((resolve) => container.addEventListener("message", resolve, { once: true }));
    container.startMessages();
    worker.postMessage(ownFiles());
    await kept;
    while (worker.state !== "activated") await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) return; // forbidden by the browser, or the network has gone
    throw error;
  }
  isPageKept = true;
  document.documentElement.dataset.kept = "";
}

/** What this page is made of. */
function ownFiles() {
  const loaded = performance.getEntriesByType("resource").map((entry) => new URL(entry.name));
  const ours = loaded.filter((file) => file.origin === location.origin && file.pathname.startsWith("/static/"));
  return [...new Set(ours.map(String))];
}

function save() {
  clearTimeout(saving);
  saving = undefined;
  const { epoch, seq, at } = sync.place(CHANNEL);
  if (epoch === undefined || isOver) return;
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(`[data-channel="${CHANNEL}"] > [data-key]`)]);
  const put = rows.map((row) => ({ key: row.dataset.key ?? "", html: row.outerHTML }));
  try {
    sessionStorage.setItem(name, JSON.stringify({ t: "docs", channel: CHANNEL, reset: true, gone: [], put, epoch, seq, at }));
    isListKept = true;
  } catch {
    forget(); // too long a list, or no storage: better none than an old one
  }
}

function forget() {
  isOver = true;
  isListKept = false;
  try {
    sessionStorage.removeItem(name);
  } catch {
    // There is no storage.
  }
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}
