/**
 * What was written into notes, kept on this device: it survives a reload, a closed page and flight mode. A month later it is gone.
 */

/** @typedef {{notes: string, epoch: string, update: Uint8Array<ArrayBuffer>, at: number}} Kept */

const STORE = "updates";
const LONGEST = 30 * 24 * 3_600_000;
/** So many updates of the same notes become one. */
const MANY = 300;

/** @type {Promise<IDBDatabase | null>} */
const opened = new Promise((resolve) => {
  try {
    const request = indexedDB.open("plenum-notes", 1);
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore(STORE, { autoIncrement: true });
      store.createIndex("notes", "notes");
      store.createIndex("at", "at");
    };
    request.onsuccess = () => resolve(request.result);
    // A browser that stores nothing (private mode) keeps them as long as the page is open.
    request.onerror = request.onblocked = () => resolve(null);
  } catch {
    resolve(null);
  }
});

/**
 * What an earlier visit has left, in its order.
 * @param {string} notes
 * @returns {Promise<Kept[]>}
 */
export async function load(notes) {
  const database = await opened;
  if (!database) return [];
  const store = database.transaction(STORE, "readwrite").objectStore(STORE);
  drop(store.index("at"), IDBKeyRange.upperBound(Date.now() - LONGEST));
  const request = store.index("notes").getAll(notes);
  return new Promise((resolve) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve([]);
  });
}

/**
 * @param {string} notes
 * @param {string} epoch
 * @param {Uint8Array} update
 */
export async function keep(notes, epoch, update) {
  const database = await opened;
  database?.transaction(STORE, "readwrite").objectStore(STORE).add({ notes, epoch, update, at: Date.now() });
}

/**
 * Keeps this instead of all that was kept of these notes.
 * @param {string} notes
 * @param {string} epoch
 * @param {Uint8Array} state
 */
export async function replace(notes, epoch, state) {
  const database = await opened;
  const store = database?.transaction(STORE, "readwrite").objectStore(STORE);
  if (!store) return;
  // The new one only after the old ones are gone: the cursor would find it too.
  drop(store.index("notes"), IDBKeyRange.only(notes), () => store.add({ notes, epoch, update: state, at: Date.now() }));
}

/** @param {string} notes */
export async function forget(notes) {
  const database = await opened;
  if (database) drop(database.transaction(STORE, "readwrite").objectStore(STORE).index("notes"), IDBKeyRange.only(notes));
}

/** @param {number} count */
export function isMany(count) {
  return count >= MANY;
}

/**
 * @param {IDBIndex} index
 * @param {IDBKeyRange} range
 * @param {() => void} [then]
 */
function drop(index, range, then) {
  const request = index.openCursor(range);
  request.onsuccess = () => {
    const cursor = request.result;
    if (!cursor) return then?.();
    cursor.delete();
    cursor.continue();
  };
}
