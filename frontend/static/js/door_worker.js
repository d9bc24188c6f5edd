/**
 * Service worker of the door's page. Telephones put pages to sleep and load them anew, also while the network is away; then it gives the
 * page that it has kept, with nobody on it. The list of guests stays with the tab (`door_kept.js`): nothing here is about a person.
 */
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const desk = new URL(worker.registration.scope).pathname;
/** The address of this script holds the version of all of them. */
const OURS = `door ${desk} `;
const NAME = OURS + worker.location.pathname;
const EMPTY = `${desk}?list=later`;
/** A network that takes longer is none, for somebody with a queue before them (ms). */
const PATIENCE = 4_000;

worker.addEventListener("install", (event) => event.waitUntil(keep([EMPTY]).then(() => worker.skipWaiting())));
worker.addEventListener("activate", (event) => event.waitUntil(dropOthers().then(() => worker.clients.claim())));
// The page says what it is made of, each time that it is opened.
worker.addEventListener("message", (event) => event.waitUntil(renew(event.data).then(() => event.source?.postMessage("kept"))));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (new URL(request.url).pathname.startsWith("/static/")) event.respondWith(file(request));
});

/** @param {string[]} files */
async function renew(files) {
  const cache = await caches.open(NAME);
  // Places may have changed since; if the network is away already, what was kept before is better than nothing.
  await Promise.allSettled([cache.add(EMPTY)]);
  await keep([EMPTY, ...files]);
}

/** @param {string[]} addresses */
async function keep(addresses) {
  const cache = await caches.open(NAME);
  const missing = await Promise.all(addresses.map(async (address) => ((await cache.match(address)) ? [] : [address])));
  await cache.addAll(missing.flat());
}

async function dropOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(OURS) && name !== NAME).map((name) => caches.delete(name)));
}

/**
 * From the server if it answers in time; a server that says that it may not be seen is believed.
 * @param {Request} request
 */
async function page(request) {
  const kept = await (await caches.open(NAME)).match(EMPTY);
  if (!kept) return fetch(request);
  const asked = fetch(request).then(
    (answer) => (answer.status >= 502 ? kept : answer),
    () => kept,
  );
  return Promise.race([asked, /** @type {Promise<Response>} */ (new Promise((resolve) => setTimeout(resolve, PATIENCE, kept)))]);
}

/** @param {Request} request */
async function file(request) {
  return (await (await caches.open(NAME)).match(request.url)) ?? fetch(request);
}
