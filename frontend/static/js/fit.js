/** Makes a text small enough for its box. */

const STEP = 0.06;

/**
 * Lowers `--fit` until the text is no higher than allowed; what is still too long is cut by the style sheet.
 * @param {HTMLElement} text
 * @param {(text: HTMLElement) => boolean} overflows
 * @param {number} smallest
 */
export function fit(text, overflows, smallest) {
  for (let size = 1; size >= smallest; size -= STEP) {
    text.style.setProperty("--fit", size.toFixed(2));
    if (!overflows(text)) return;
  }
}

/** @param {HTMLElement} text */
export function isCut(text) {
  return text.scrollHeight > text.clientHeight + 1;
}
