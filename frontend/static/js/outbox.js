/**
 * What the person has sent but the server has not answered, and what is still being typed. Both survive a reload, a closed
 * page and flight mode. Commands carry an id of their own, so that sending one again does no harm.
 */

/** @typedef {{id: string, slug: string, name: string, args: Record<string, unknown>, at: number, problem?: string, draft?: string}} Command */

const STORE = "commands";

/** @type {Promise<IDBDatabase | null>} */
const opened = new Promise((resolve) => {
  try {
    const request = indexedDB.open("plenum", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    // A browser that stores nothing (private mode) keeps the outbox as long as the page is open.
    request.onerror = request.onblocked = () => resolve(null);
  } catch {
    resolve(null);
  }
});

/** @type {Map<string, Command>} */
const commands = new Map();

/**
 * Reads what an earlier visit has left; once, before the first use.
 * @param {string} slug
 */
export async function load(slug) {
  const database = await opened;
  if (!database) return;
  const request = database.transaction(STORE).objectStore(STORE).getAll();
  const kept = await new Promise((resolve) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve([]);
  });
  for (const command of /** @type {Command[]} */ (kept)) if (command.slug === slug) commands.set(command.id, command);
}

/** All commands that wait, in the order in which they were given. */
export function all() {
  return [...commands.values()].sort((a, b) => a.at - b.at);
}

/** @param {Command} command */
export function keep(command) {
  commands.set(command.id, command);
  void change((store) => store.put(command));
}

/** @param {string} id */
export function forget(id) {
  if (commands.delete(id)) void change((store) => store.delete(id));
}

/** @param {(store: IDBObjectStore) => unknown} work */
async function change(work) {
  const database = await opened;
  if (database) work(database.transaction(STORE, "readwrite").objectStore(STORE));
}

/** An id that nobody else makes; also without `randomUUID`, which pages without TLS lack. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/**
 * Keeps what is typed into a form; brings it back unless the server has filled the form itself.
 * @param {HTMLFormElement} form
 * @param {string} slug
 */
export function draft(form, slug) {
  const name = `plenum/${slug}/${idOf(form)}`;
  const fields = () => [...form.elements].filter(isTyped);
  restore(fields(), stored(name));
  form.addEventListener("input", () => store(name, fields()));
  form.addEventListener("reset", () => store(name, []));
}

/**
 * A form's id; `form.id` is a field of that name, if there is one (HTML, 4.10.3).
 * @param {HTMLFormElement} form
 */
export function idOf(form) {
  return form.getAttribute("id") ?? "";
}

/**
 * What was refused where its form is not: it stands there again when the form is opened, unless something else does.
 * @param {Command} command
 */
export function giveBack({ slug, draft: form, args }) {
  const name = `plenum/${slug}/${form}`;
  const before = stored(name);
  if (form && typeof args.text === "string" && !before.text) write(name, { ...before, text: args.text });
}

/**
 * @param {Element} field
 * @returns {field is HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement}
 */
function isTyped(field) {
  const typed = field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement || field instanceof HTMLSelectElement;
  return typed && field.type !== "hidden" && field.name !== "";
}

/**
 * @param {(HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[]} fields
 * @param {Partial<Record<string, string>>} values
 */
function restore(fields, values) {
  if (fields.some((field) => field instanceof HTMLTextAreaElement && field.defaultValue)) return;
  for (const field of fields) {
    const value = values[field.name];
    if (value === undefined) continue;
    if (field instanceof HTMLInputElement && field.type === "radio") field.checked = field.value === value;
    else field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/**
 * What is being typed, by the names of its fields.
 * @param {string} name
 */
export function stored(name) {
  try {
    return /** @type {Partial<Record<string, string>>} */ (JSON.parse(localStorage.getItem(name) ?? "{}"));
  } catch {
    return {};
  }
}

/**
 * @param {string} name
 * @param {(HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[]} fields
 */
function store(name, fields) {
  const chosen = fields.filter((field) => !(field instanceof HTMLInputElement && field.type === "radio" && !field.checked));
  write(name, Object.fromEntries(chosen.map((field) => [field.name, field.value])));
}

/**
 * Keeps what is being typed; nothing is kept if there are no values.
 * @param {string} name
 * @param {Partial<Record<string, string>>} values
 */
export function write(name, values) {
  try {
    if (Object.keys(values).length) localStorage.setItem(name, JSON.stringify(values));
    else localStorage.removeItem(name);
  } catch {
    // Storage is full or forbidden: the form itself still holds the text.
  }
}
