/** The server's clock. */

/** How far this device's clock is behind the server's, in ms. */
const behind = Number(document.body.dataset.now) - Date.now();

/** For how long something has been waiting, in whole minutes, where the page has a place for it. */
export function showWaits() {
  const minutes = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "minute", unitDisplay: "short" });
  for (const item of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-since]"))) {
    const place = item.querySelector("[data-waits]");
    const waits = Math.max(0, Math.floor((now() - Date.parse(item.dataset.since ?? "")) / 60_000));
    const words = ` (${minutes.format(waits)})`;
    if (place && place.textContent !== words) place.textContent = words;
  }
}

/** The time that all share, in ms. */
export function now() {
  return Date.now() + behind;
}
