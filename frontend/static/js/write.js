/** How many characters are left, counted as people count. */

const segmenter = "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

/** @param {HTMLFormElement} form */
export function countCharacters(form) {
  const field = /** @type {HTMLTextAreaElement | null} */ (form.querySelector("textarea[data-most]"));
  const place = form.querySelector("[data-slot=left]");
  if (!field || !place) return;
  const show = () => {
    const left = Number(field.dataset.most) - graphemes(field.value.trim());
    place.textContent = left.toLocaleString(document.documentElement.lang);
    place.closest(".left")?.classList.toggle("left--over", left < 0);
  };
  field.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  show();
}

/** @param {string} text */
export function graphemes(text) {
  // ASCII has one code unit per character; everything else is counted by the rules of Unicode (UAX 29).
  if (!segmenter || /^[\x00-\x7f]*$/.test(text)) return text.length;
  let count = 0;
  for (const _ of segmenter.segment(text)) count += 1;
  return count;
}
