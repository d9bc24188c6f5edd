/** The stage view: large text that fits, the hall's code while it is valid. No interaction. */
import { start } from "./sync.js";
import { fit, isCut } from "./fit.js";

/** The server takes a code for one more period after it was shown; a screen without connection shows it no longer than that. */
const GRACE = 60_000;

document.addEventListener("plenum:put", (event) => {
  const { element, old } = /** @type {CustomEvent<import("./documents.js").Put>} */ (event).detail;
  if (element.dataset.key === "on_air" && old && old.dataset.number !== element.dataset.number) appear();
});
document.addEventListener("plenum:applied", () => show());
addEventListener("resize", show);
void document.fonts.ready.then(show);
setInterval(showCode, 1_000);
show();
void start();

function appear() {
  const { classList } = document.body;
  classList.remove("stage--in");
  requestAnimationFrame(() => classList.add("stage--in"));
}

function show() {
  for (const text of document.querySelectorAll("[data-fit]")) fit(/** @type {HTMLElement} */ (text), isCut, 0.4);
  showCode();
}

function showCode() {
  const entrance = document.getElementById("doc-entrance");
  const stale = document.getElementById("stale");
  if (!entrance || !stale) return;
  const over = Date.now() > Date.parse(entrance.dataset.until ?? "") + GRACE;
  entrance.hidden = over;
  stale.hidden = !over;
}
