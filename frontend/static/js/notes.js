/**
 * Notes that all in a room edit at once. What is written stays on this device until the server has it (notes_kept.js), and is merged
 * with what the others have written. docs/protocol.md describes the messages.
 *
 * The page gives the words: within the element, `[data-notes-text]` (`data-label`, and the text as it is without a script, which stays
 * until there is something better), `[data-notes-line]` (the form of those without a script), buttons with `data-notes` (strong, em,
 * heading, bullet_list, ordered_list, undo, redo) in a `[role=toolbar]`, `[data-notes-state]` with the words for each state (`data-saved`,
 * `data-saving`, `data-offline`, `data-full`, `data-slow`, `data-reading`, `data-late`, `data-closed`; `data-paste`: more than may be
 * pasted at once), and `[data-notes-people]` for the others' names
 * (`data-somebody`: whom no name is known of; `data-more`: so many more, after their number). `data-state` of the element is the state,
 * as soon as the editor is there; when it changes, the event `notes:state` says so.
 */
import * as kept from "./notes_kept.js";
import { say, tell } from "./tell.js";

/** @typedef {"saved" | "saving" | "offline" | "full" | "slow" | "reading" | "late" | "closed"} State */
/** @typedef {{t: "welcome", epoch: string, right: "write" | "read", has: string, bytes: number, frame: number}} Welcome */
/** @typedef {Welcome | {t: "saved", count: number} | {t: "refused", code: string, retry_after?: number}} Said */
/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */

const SYNC = 0;
const AWARENESS = 1;
const [STEP_1, STEP_2, UPDATE] = [0, 1, 2];
const ROOT = "notes";

const FIRST_RETRY = 500;
const LONGEST_RETRY = 8_000;
/** After these close codes all come back at once; so they spread over this time. */
const SPREAD = /** @type {Record<number, number>} */ ({ 4001: 2_000, 4002: 15_000, 1012: 2_000 });
const ANSWER_WITHIN = 8_000;
const SILENCE = 45_000;
const GATHER = 150;
/** Where somebody writes is less urgent than what. */
const GATHER_MOVES = 400;
const OFFLINE_AFTER = 2_500;
/** After a refusal something was taken out again: so long nothing more. Perhaps by somebody else, of whom nothing is heard here. */
const AGAIN_AFTER = 1_500;
const AGAIN_ANYWAY = 20_000;
const TOO_LARGE = 1009;
const FORBIDDEN = 4503;
/** So many of the others are named. */
const NAMED = 8;
/** Bytes of a message around its content, at most. */
const AROUND = 64;

/** @typedef {typeof import("./notes_editor.js")} Library */
/** @typedef {{slug: string, room: string}} Options */

/**
 * Lets the notes of a room be edited in `element`. Rejects with a TypeError if there is no connection over which the editor could be
 * loaded.
 * @param {HTMLElement} element
 * @param {Options} options
 * @returns {Promise<() => void>} ends it
 */
export async function edit(element, options) {
  const library = await import("./notes_editor.js");
  const notes = `${options.slug}/${options.room}`;
  let session = new Session(element, options, library, await kept.load(notes), replaced);
  session.connect();
  return () => session.end();

  /** Another epoch: what this device has is of a past that did not happen. */
  async function replaced() {
    session.end();
    await kept.forget(notes);
    session = new Session(element, options, library, [], replaced);
    session.connect();
  }
}

/** One document, its editor, and the connection that comes back by itself. */
class Session {
  /** @type {WebSocket | null} */
  socket = null;
  epoch = "";
  /** Whether the server has told that this person may write. Until then one writes on: it may be long without a network. */
  right = "write";
  frame = 65_536;
  /** Whether what is written is kept on this device. */
  keeps = true;
  /** Whether something was written here that came too late. */
  late = false;
  /** What is shown of the text until the server has sent it. */
  plain = /** @type {ChildNode[]} */ ([]);
  /** Whether the server has all that came before, so that what follows makes sense to it. */
  listening = false;
  full = false;
  /** Whether more was written here than the server takes now. */
  slowed = false;
  ended = false;
  given = 0;
  saved = 0;
  attempts = 0;
  stored = 0;
  /** Written here and not given to the server on this connection. */
  waiting = /** @type {Uint8Array[]} */ ([]);
  /** Written here and not saved, as far as this device knows. */
  unsaved = false;
  state = /** @type {State | ""} */ ("");
  people = "";
  timers = /** @type {Record<string, Timer>} */ ({});
  stopped = new AbortController();

  /**
   * @param {HTMLElement} element
   * @param {Options} options
   * @param {Library} library
   * @param {kept.Kept[]} before
   * @param {() => void} replaced
   */
  constructor(element, { slug, room }, library, before, replaced) {
    this.element = element;
    this.library = library;
    this.replaced = replaced;
    this.notes = `${slug}/${room}`;
    this.address = `${location.protocol.replace("http", "ws")}//${location.host}/ws/${slug}/notes/${encodeURIComponent(room)}`;
    this.doc = new library.Doc();
    for (const one of before) library.applyUpdate(this.doc, one.update, this);
    this.epoch = before.at(-1)?.epoch ?? "";
    this.stored = before.length;
    this.doc.on("update", (/** @type {Uint8Array} */ update, /** @type {unknown} */ origin) => this.changed(update, origin === this));
    this.awareness = new library.Awareness(this.doc);
    this.awareness.setLocalStateField("user", {});
    this.awareness.on("update", (/** @type {unknown} */ _, /** @type {unknown} */ origin) => this.moved(origin === this));
    const place = /** @type {HTMLElement} */ (element.querySelector("[data-notes-text]"));
    this.plain = [...place.childNodes];
    this.list = /** @type {HTMLElement | null} */ (element.querySelector("[data-notes-people]"));
    this.place = /** @type {HTMLElement | null} */ (element.querySelector("[data-notes-state]"));
    const somebody = this.list?.dataset.somebody ?? "";
    this.editor = library.open(place, {
      fragment: this.doc.getXmlFragment(ROOT),
      awareness: this.awareness,
      editable: () => this.right === "write",
      buttons: [...element.querySelectorAll("button")].filter((button) => button.dataset.notes),
      somebody,
      most: this.frame / 4,
      onTooMuch: () => tell(this.place?.dataset.paste ?? ""),
    });
    this.editor.dom.hidden = this.plain.length > 0;
    if (before.length) this.reveal();
    const { signal } = this.stopped;
    walk(element.querySelector('[role="toolbar"]'), signal);
    addEventListener("online", () => this.again(Math.random() * 500), { signal });
    addEventListener("offline", () => this.probe(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.again(0), { signal });
    addEventListener("pagehide", () => this.give(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.probe(), { signal });
  }

  /** There is a text to be edited: that of the server, or what this device had kept. */
  reveal() {
    for (const node of this.plain) node.remove();
    this.plain = [];
    this.editor.dom.hidden = false;
    this.element.dataset.state = this.state;
    const line = /** @type {HTMLFormElement | null} */ (this.element.querySelector("[data-notes-line]"));
    // Whoever has begun to write there finishes there.
    if (line) line.hidden = !line.querySelector("textarea")?.value;
  }

  end() {
    this.give();
    this.ended = true;
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.stopped.abort();
    this.socket?.close();
    this.editor.destroy();
    this.awareness.destroy();
    this.doc.destroy();
  }

  // The connection.

  connect() {
    clearTimeout(this.timers.retry);
    if (this.ended || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    const socket = new WebSocket(this.address, ["plenum.notes"]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.answerWithin();
    this.after("offline", OFFLINE_AFTER, () => this.announce("offline"));
    socket.onmessage = ({ data }) => this.socket === socket && this.received(data);
    socket.onclose = ({ code }) => this.socket === socket && this.closed(code);
  }

  /** @param {string | ArrayBuffer} data */
  received(data) {
    clearTimeout(this.timers.answer);
    if (this.isAwaiting()) this.answerWithin();
    this.after("silence", SILENCE * (1 + Math.random()), () => this.probe());
    if (typeof data === "string") this.told(JSON.parse(data));
    else this.heard(new Reader(new Uint8Array(data)));
  }

  /** @param {Said} frame */
  told(frame) {
    if (frame.t === "welcome") this.welcome(frame);
    else if (frame.t === "saved") {
      this.saved = frame.count;
      this.settle();
    } else if (frame.t === "refused") {
      this.listening = false;
      clearTimeout(this.timers.answer);
      if (frame.code === "notes_full") this.isTooMuch();
      if (frame.retry_after) this.isTooSoon(frame.retry_after);
      this.show();
    }
  }

  /** @param {Welcome} frame */
  welcome(frame) {
    if (this.epoch && this.epoch !== frame.epoch) return this.replaced();
    this.epoch = frame.epoch;
    this.right = frame.right;
    this.frame = frame.frame;
    this.keep(frame.has);
    clearTimeout(this.timers.offline);
    this.after("steady", 10_000, () => (this.attempts = 0));
    this.editor.refresh();
    this.send(SYNC, STEP_1, this.library.encodeStateVector(this.doc));
    // Twice: those who saw it leave have counted once on its behalf.
    this.awareness.setLocalState(this.awareness.getLocalState());
    this.awareness.setLocalState(this.awareness.getLocalState());
    this.show();
  }

  /**
   * Only who may write keeps anything on this device. Whoever comes too late is told, and may copy it.
   * @param {string} has the server's state vector
   */
  keep(has) {
    const keeps = this.right === "write";
    if (keeps && !this.keeps) void kept.replace(this.notes, this.epoch, this.library.encodeStateAsUpdate(this.doc));
    if (!keeps) {
      this.late = this.isAhead(Uint8Array.from(atob(has), (letter) => letter.charCodeAt(0)));
      if (!this.late) void kept.forget(this.notes);
    }
    this.keeps = keeps;
  }

  /**
   * Whether something is written here that the server lacks.
   * @param {Uint8Array} vector the server's state vector
   */
  isAhead(vector) {
    const known = this.library.decodeStateVector(vector);
    const mine = this.library.decodeStateVector(this.library.encodeStateVector(this.doc));
    return [...mine].some(([client, clock]) => clock > (known.get(client) ?? 0));
  }

  /** @param {number} code */
  closed(code) {
    this.socket = null;
    this.listening = false;
    this.given = this.saved = 0;
    for (const name of ["answer", "silence", "steady", "soon"]) clearTimeout(this.timers[name]);
    const others = [...this.awareness.getStates().keys()].filter((client) => client !== this.doc.clientID);
    this.library.removeAwarenessStates(this.awareness, others, this);
    if (this.ended) return;
    if (code >= 4500 && code < 5000) {
      clearTimeout(this.timers.offline);
      if (code === FORBIDDEN) void kept.forget(this.notes);
      this.ended = true;
      this.right = "read";
      this.editor.refresh();
      return this.announce(code === FORBIDDEN && this.unsaved ? "late" : "closed");
    }
    if (code === TOO_LARGE) this.full = true;
    this.after("offline", this.attempts ? 0 : OFFLINE_AFTER, () => this.announce("offline"));
    const most = Math.max(SPREAD[code] ?? 0, Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** this.attempts));
    this.attempts += 1;
    this.again(Math.random() * most);
  }

  /** @param {number} delay */
  again(delay) {
    this.after("retry", delay, () => this.connect());
  }

  /** Browsers hide WebSocket pings, so a dead line is found by asking. */
  probe() {
    if (!this.socket) return this.again(0);
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.send(SYNC, STEP_1, this.library.encodeStateVector(this.doc));
    this.answerWithin();
  }

  answerWithin() {
    this.after("answer", ANSWER_WITHIN, () => {
      const dead = this.socket;
      this.socket = null;
      dead?.close();
      this.closed(0);
    });
  }

  isAwaiting() {
    return this.listening && this.given > this.saved;
  }

  // The document.

  /** @param {Reader} reader */
  heard(reader) {
    const kind = reader.number();
    if (kind === AWARENESS) this.library.applyAwarenessUpdate(this.awareness, reader.block(), this);
    if (kind !== SYNC) return;
    const step = reader.number();
    const content = reader.block();
    if (step === STEP_1) this.giveAll(content);
    else if (step === STEP_2 || step === UPDATE) this.library.applyUpdate(this.doc, content, this);
    if (step === STEP_2 && this.plain.length) this.reveal();
  }

  /**
   * The server has asked for what it lacks.
   * @param {Uint8Array} vector
   */
  giveAll(vector) {
    const lacking = this.library.encodeStateAsUpdate(this.doc, vector);
    this.waiting = [];
    this.unsaved ||= this.isAhead(vector);
    this.listening = this.deliver(STEP_2, lacking);
  }

  /** What was written here since it was given last. */
  give() {
    clearTimeout(this.timers.give);
    if (!this.listening || !this.waiting.length) return;
    const update = this.library.mergeUpdates(this.waiting);
    this.waiting = [];
    this.listening = this.deliver(UPDATE, update);
  }

  /**
   * Returns whether the server takes it; it takes no message without end.
   * @param {number} step
   * @param {Uint8Array} update
   */
  deliver(step, update) {
    this.full = false;
    if (update.length + AROUND > this.frame) this.isTooMuch();
    else {
      this.send(SYNC, step, update);
      this.given += 1;
      this.answerWithin();
    }
    this.show();
    return !this.full;
  }

  /**
   * @param {Uint8Array} update
   * @param {boolean} theirs
   */
  changed(update, theirs) {
    if (this.keeps) this.store(update);
    if (theirs) return;
    this.unsaved = true;
    this.waiting.push(update);
    this.show();
    if (this.full) this.after("full", AGAIN_AFTER, () => this.reconnect());
    else if (this.slowed && onlyDeletes(update)) this.isTooSoon(AGAIN_AFTER / 1000);
    else if (this.waiting.length === 1) this.after("give", GATHER, () => this.give());
  }

  /** @param {Uint8Array} update */
  store(update) {
    void kept.keep(this.notes, this.epoch, update);
    this.stored += 1;
    if (!kept.isMany(this.stored)) return;
    this.stored = 1;
    void kept.replace(this.notes, this.epoch, this.library.encodeStateAsUpdate(this.doc));
  }

  isTooMuch() {
    this.full = true;
    this.after("full", AGAIN_ANYWAY, () => this.reconnect());
  }

  /**
   * The server takes it later: then it asks anew for what it lacks, in one piece.
   * @param {number} seconds
   */
  isTooSoon(seconds) {
    this.slowed = true;
    this.after("soon", seconds * 1000, () => this.probe());
  }

  /** Something was taken out again, perhaps enough: the server asks anew for what it lacks. */
  reconnect() {
    const old = this.socket;
    this.socket = null;
    old?.close();
    this.listening = false;
    this.given = this.saved = 0;
    this.connect();
  }

  settle() {
    if (!this.listening || this.isAwaiting() || this.waiting.length) return;
    this.unsaved = this.slowed = false;
    clearTimeout(this.timers.answer);
    this.show();
  }

  // Who is there.

  /** @param {boolean} theirs */
  moved(theirs) {
    this.showPeople();
    if (theirs || this.right !== "write") return;
    this.timers.moved ??= setTimeout(() => {
      this.timers.moved = undefined;
      this.send(AWARENESS, null, this.library.encodeAwarenessUpdate(this.awareness, [this.doc.clientID]));
    }, GATHER_MOVES);
  }

  showPeople() {
    const others = [...this.awareness.getStates()].filter(([client]) => client !== this.doc.clientID);
    const names = [...new Set(others.flatMap(([, { user }]) => user?.name || []))].sort().slice(0, NAMED);
    const more = others.filter(([, { user }]) => !names.includes(user?.name)).length;
    const shown = more ? [...names, `+ ${more} ${this.list?.dataset.more ?? ""}`] : names;
    if (shown.join("\n") === this.people) return;
    this.people = shown.join("\n");
    const items = shown.map((words) => {
      const item = document.createElement("li");
      item.dir = "auto";
      item.textContent = words;
      return item;
    });
    this.list?.replaceChildren(...items);
  }

  // What is shown of it.

  /** Says how it stands. */
  show() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.ended) return;
    if (this.full) this.announce("full");
    else if (this.right !== "write") this.announce(this.late ? "late" : "reading");
    else if (this.slowed) this.announce("slow");
    else this.announce(this.unsaved || !this.listening ? "saving" : "saved");
  }

  /** @param {State} state */
  announce(state) {
    if (state === this.state) return;
    const worse = ["offline", "full", "slow", "late", "closed"];
    const heard = worse.includes(state) || (worse.includes(this.state) && state === "saved");
    this.state = state;
    if (!this.plain.length) this.element.dataset.state = state;
    const words = this.place?.dataset[state] ?? "";
    if (this.place) this.place.textContent = words;
    if (heard) say(words);
    this.element.dispatchEvent(new Event("notes:state"));
  }

  // By the way.

  /**
   * @param {number} kind
   * @param {number | null} step
   * @param {Uint8Array} content
   */
  send(kind, step, content) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const head = [kind, ...(step === null ? [] : [step]), ...number(content.length)];
    const message = new Uint8Array(head.length + content.length);
    message.set(head);
    message.set(content, head.length);
    this.socket.send(message);
  }

  /**
   * @param {string} name
   * @param {number} delay
   * @param {() => void} work
   */
  after(name, delay, work) {
    clearTimeout(this.timers[name]);
    this.timers[name] = setTimeout(work, delay);
  }
}

/**
 * An update begins with the number of clients that have added something.
 * @param {Uint8Array} update
 */
function onlyDeletes(update) {
  return update[0] === 0;
}

/**
 * lib0's varUint.
 * @param {number} value
 */
function number(value) {
  const written = [];
  for (; value > 127; value = Math.floor(value / 128)) written.push((value & 127) | 128);
  return [...written, value];
}

/** Takes values from the front of a message. */
class Reader {
  at = 0;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
  }

  number() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.data[this.at++] ?? 0;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  block() {
    const length = this.number();
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
}

/**
 * A toolbar is one stop of the Tab key; within it the arrow keys walk (ARIA Authoring Practices).
 * @param {Element | null} toolbar
 * @param {AbortSignal} signal
 */
function walk(toolbar, signal) {
  const buttons = [...(toolbar?.querySelectorAll("button") ?? [])];
  buttons.forEach((button, index) => (button.tabIndex = index ? -1 : 0));
  toolbar?.addEventListener("keydown", (event) => step(/** @type {KeyboardEvent} */ (event)), { signal });

  /** @param {KeyboardEvent} event */
  function step(event) {
    const now = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: -1 });
    const next = event.key in steps ? buttons.at((steps[event.key] ?? 0) % buttons.length) : undefined;
    if (!next || now < 0) return;
    event.preventDefault();
    buttons.forEach((button) => (button.tabIndex = button === next ? 0 : -1));
    next.focus();
  }
}
