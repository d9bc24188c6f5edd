/** The server's clock. */

/** How far this device's clock is behind the server's, in ms. */
const behind = Number(document.body.dataset.now) - Date.now();

/** The time that all share, in ms. */
export function now() {
  return Date.now() + behind;
}
