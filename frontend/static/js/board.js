/** The plenary's board: what one supports; moderators' selection and what it is put under. */
import * as outbox from "./outbox.js";
import { start } from "./sync.js";
import { tell, text } from "./tell.js";

/** @typedef {{command: import("./outbox.js").Command, form: HTMLFormElement | null}} Given */

document.addEventListener("plenum:applied", mark);
document.addEventListener("plenum:given", mark);
document.addEventListener("plenum:kept", () => tell(text("kept")));
document.addEventListener("plenum:refused", () => setTimeout(mark));
document.addEventListener("plenum:done", (event) => {
  const { command, form } = /** @type {CustomEvent<Given>} */ (event).detail;
  if (command.name === "proposal.support") return;
  if (form?.id === "grouping") form.reset();
  const details = form?.closest("details");
  if (details) details.open = false;
  tell(text("done"));
});
mark();
void start();

/** What one supports, with what is on its way; pressing such a button takes it back. And the headings that there are. */
function mark() {
  const known = document.getElementById("doc-me-supports")?.dataset.proposals ?? "";
  const numbers = new Set(known.split(" ").filter(Boolean));
  for (const command of outbox.all())
    if (command.name === "proposal.support") numbers[command.args.on ? "add" : "delete"](String(command.args.card));
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll(".proposal__support"))) {
    const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    const on = numbers.has(field("card").value);
    field("on").value = String(!on);
    form.querySelector("button")?.setAttribute("aria-pressed", String(on));
  }
  const titles = [...document.querySelectorAll(".heading")].map((heading) => heading.getAttribute("data-title"));
  document.getElementById("headings")?.replaceChildren(...titles.filter(Boolean).map((title) => new Option(title ?? "")));
}
