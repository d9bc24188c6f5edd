/**
 * Forms with `data-autosave` save themselves, part by part: after a pause in typing, and when a field is left. What is being typed is
 * never replaced: if somebody else has changed the same part meanwhile, whoever types sees both and chooses. Until the server has it,
 * this browser keeps it: whoever loads the page anew goes on where they were.
 */
import * as outbox from "./outbox.js";
import { amend, give } from "./sync.js";
import { fill, made, say, tell } from "./tell.js";

/**
 * A field that is being written in. `seen`: the version that it is written on; `sent`: what is on its way, under this `id`; `due`:
 * when it is saved although somebody goes on typing; `problem`: why it cannot be saved; `theirs`: what the server has instead.
 * @typedef {{seen: number, sent: string | null, id: string, due: number, timer: ReturnType<typeof setTimeout> | undefined,
 *   problem: string, conflict: boolean, theirs: string}} Draft
 * @typedef {{command: import("./outbox.js").Command, seq: number, code: string, text: string}} Answer
 */

const PAUSE = 1_500;
const LONGEST = 8_000;
const FIELDS = "form[data-autosave] textarea";

/** By the field's id. */
const drafts = /** @type {Map<string, Draft>} */ (new Map());

/** To be called once, before the page connects. */
export function autosave() {
  document.addEventListener("focusin", (event) => isField(event.target) && draftOf(event.target));
  document.addEventListener("input", (event) => isField(event.target) && typed(event.target));
  document.addEventListener("focusout", (event) => isField(event.target) && left(event.target));
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && saveAll());
  document.addEventListener("submit", submitted);
  document.addEventListener("click", chosen);
  document.addEventListener("plenum:put", arrives);
  document.addEventListener("plenum:applied", show);
  document.addEventListener("plenum:done", done);
  document.addEventListener("plenum:refused", refused);
  for (const field of /** @type {NodeListOf<HTMLTextAreaElement>} */ (document.querySelectorAll(FIELDS))) bringBack(field);
}

/**
 * What was typed here before the page was left, and has not been saved since.
 * @param {HTMLTextAreaElement} field
 */
function bringBack(field) {
  const { text, seen } = outbox.stored(nameOf(field));
  if (text === undefined) return;
  if (text === field.value) return outbox.write(nameOf(field), {});
  draftOf(field).seen = Number(seen);
  field.value = text;
  typed(field);
}

/**
 * Under which its text is kept.
 * @param {HTMLTextAreaElement} field
 */
function nameOf(field) {
  return `plenum/${document.body.dataset.slug ?? ""}/${field.id}`;
}

/**
 * @param {EventTarget | null} target
 * @returns {target is HTMLTextAreaElement}
 */
function isField(target) {
  return target instanceof HTMLTextAreaElement && target.matches(FIELDS);
}

/**
 * @param {HTMLTextAreaElement} field
 * @returns {Draft}
 */
function draftOf(field) {
  let draft = drafts.get(field.id);
  if (!draft) {
    const seen = Number(/** @type {HTMLElement | null} */ (field.closest("[data-version]"))?.dataset.version);
    draft = { seen, sent: null, id: "", due: 0, timer: undefined, problem: "", conflict: false, theirs: field.defaultValue };
    drafts.set(field.id, draft);
  }
  return draft;
}

/** @param {HTMLTextAreaElement} field */
function typed(field) {
  const draft = draftOf(field);
  outbox.write(nameOf(field), { text: field.value, seen: String(draft.seen) });
  if (!draft.conflict) draft.problem = "";
  draft.due ||= Date.now() + LONGEST;
  clearTimeout(draft.timer);
  draft.timer = setTimeout(() => save(field), Math.min(PAUSE, Math.max(0, draft.due - Date.now())));
  show();
}

/** @param {HTMLTextAreaElement} field */
function left(field) {
  save(field);
  settle(field);
}

/**
 * A field with nothing unsaved takes what others write again.
 * @param {HTMLTextAreaElement} field
 */
function settle(field) {
  if (field.value === field.defaultValue) {
    outbox.write(nameOf(field), {});
    if (field !== document.activeElement) drafts.delete(field.id);
  }
  show();
}

function saveAll() {
  for (const field of fields()) save(field);
}

/** @returns {HTMLTextAreaElement[]} */
function fields() {
  return [...drafts.keys()].map((id) => document.getElementById(id)).filter((field) => isField(field));
}

/** @param {HTMLTextAreaElement} field */
function save(field) {
  const draft = drafts.get(field.id);
  if (!draft || draft.problem) return;
  const before = draft.sent === null && outbox.all().find((command) => isOf(field, command));
  if (before) Object.assign(draft, { id: before.id, sent: String(before.args[partOf(field)]) });
  if (field.value === (draft.sent ?? field.defaultValue)) return;
  clearTimeout(draft.timer);
  const args = { room: field.form?.dataset.autosave, [partOf(field)]: field.value, seen: draft.seen };
  // One at a time: the next one is written on what this one will be.
  if (draft.sent === null) draft.id = give("summary.draft", args);
  else if (!amend(draft.id, args)) return;
  draft.sent = field.value;
  draft.due = 0;
}

/** @param {HTMLTextAreaElement} field */
function partOf(field) {
  return field.name.replace("set.", "");
}

/** @param {SubmitEvent} event */
function submitted(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.matches("form[data-autosave]")) return;
  event.preventDefault();
  for (const field of form.querySelectorAll("textarea")) save(field);
}

/** @param {Event} event */
function chosen(event) {
  const button = /** @type {Element} */ (event.target).closest("[data-take]");
  const field = button?.closest(".field")?.querySelector("textarea");
  const draft = field && drafts.get(field.id);
  if (!button || !field || !draft) return;
  if (button.getAttribute("data-take") === "theirs") field.value = draft.theirs;
  field.defaultValue = draft.theirs;
  Object.assign(draft, { problem: "", conflict: false });
  draft.seen = Number(/** @type {HTMLElement | null} */ (field.closest("[data-version]"))?.dataset.version);
  field.focus();
  save(field);
  show();
}

/**
 * What others have written, for a field that is left alone while it has the focus or something unsaved.
 * @param {Event} event
 */
function arrives(event) {
  const { element } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  for (const theirs of element.querySelectorAll("textarea")) {
    const field = document.getElementById(theirs.id);
    const draft = drafts.get(theirs.id);
    if (!isField(field) || !draft) continue;
    draft.theirs = theirs.value;
    if (field.value !== field.defaultValue || draft.sent !== null) continue;
    // Our own words come back with their white space folded: that is no reason to move the cursor.
    if (field.value.replace(/\s/g, "") !== theirs.value.replace(/\s/g, "")) field.value = theirs.value;
    field.defaultValue = field.value;
    draft.seen = Number(element.dataset.version);
  }
}

/** @param {Event} event */
function done(event) {
  const { command, seq } = /** @type {CustomEvent<Answer>} */ (event).detail;
  for (const [field, draft] of answered(command)) {
    field.defaultValue = String(command.args[partOf(field)]);
    draft.seen = Math.max(draft.seen, seq);
    if (field.value !== field.defaultValue) typed(field);
    else settle(field);
  }
}

/** @param {Event} event */
function refused(event) {
  const { command, code, text } = /** @type {CustomEvent<Answer>} */ (event).detail;
  for (const [field, draft] of answered(command)) {
    event.preventDefault();
    // After a reload the field shows what the server has: what was typed comes back.
    if (field.value === field.defaultValue) field.value = String(command.args[partOf(field)]);
    Object.assign(draft, { problem: text, conflict: code === "summary_changed" });
    say(text);
    if (!field.checkVisibility()) tell(text);
  }
  show();
}

/**
 * The fields that the command has saved, or could not.
 * @param {import("./outbox.js").Command} command
 * @returns {[HTMLTextAreaElement, Draft][]}
 */
function answered(command) {
  const all = /** @type {NodeListOf<HTMLTextAreaElement>} */ (document.querySelectorAll(FIELDS));
  return [...all].filter((field) => isOf(field, command)).map((field) => {
    const draft = draftOf(field);
    draft.sent = null;
    return [field, draft];
  });
}

/**
 * Whether the command saves this field.
 * @param {HTMLTextAreaElement} field
 * @param {import("./outbox.js").Command} command
 */
function isOf(field, { name, args }) {
  return name === "summary.draft" && field.form?.dataset.autosave === args.room && partOf(field) in args;
}

/** Which forms have something unsaved, and which fields cannot be saved. */
function show() {
  const all = fields();
  for (const form of document.querySelectorAll("form[data-autosave]"))
    form.toggleAttribute("data-saving", all.some((field) => field.form === form && field.value !== field.defaultValue));
  for (const field of all) showProblem(field, draftOf(field));
}

/**
 * @param {HTMLTextAreaElement} field
 * @param {Draft} draft
 */
function showProblem(field, draft) {
  const wanted = draft.problem && (draft.conflict ? "conflict" : "problem");
  const id = `${field.id}-problem`;
  let shown = document.getElementById(id);
  if (shown?.dataset.ours !== wanted) {
    shown?.remove();
    shown = wanted ? made(wanted) : null;
    if (shown) Object.assign(shown, { id }).dataset.ours = wanted;
    if (shown) field.after(shown);
  }
  if (shown) fill(shown, { text: draft.problem, theirs: draft.theirs });
  for (const [name, value] of Object.entries({ "aria-invalid": "true", "aria-describedby": id }))
    if (shown) field.setAttribute(name, value);
    else field.removeAttribute(name);
}
