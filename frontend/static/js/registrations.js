/** The organisers' list: live rows, counts, and a form that is ready for the next call. Everything here also works without it. */
import * as outbox from "./outbox.js";
import { start } from "./sync.js";
import { tell, text } from "./tell.js";

/** @typedef {import("./outbox.js").Command} Command */

const entry = /** @type {HTMLFormElement} */ (document.getElementById("entry"));

outbox.draft(entry, document.body.dataset.slug ?? "");
void start();

document.addEventListener("plenum:applied", () => {
  for (const part of document.querySelectorAll(".part")) {
    const shown = part.querySelector("[data-shown]");
    const list = part.querySelector("ol");
    if (shown && list) shown.textContent = String(list.childElementCount);
  }
});

document.addEventListener("plenum:done", (event) => {
  const { command, form, result } = /** @type {CustomEvent<{command: Command, form: HTMLFormElement | null, result: {number?: number, status?: string}}>} */ (event).detail;
  const details = form?.closest("details");
  if (command.name !== "registration.submit") {
    if (details) details.open = false;
    return tell(text("done"));
  }
  tell(text("entered", { number: String(result.number ?? ""), status: text(result.status ?? "") }));
  if (form === entry) emptied();
  else if (details) details.open = false;
});

document.addEventListener("plenum:kept", () => tell(text("kept")));

/** Ready for the next call: way and place stay chosen. */
function emptied() {
  for (const name of ["args.name", "phone", "email", "arrived_at", "note"]) {
    const field = entry.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = "";
  }
  for (const box of entry.querySelectorAll('input[type="checkbox"]')) /** @type {HTMLInputElement} */ (box).checked = false;
  const party = entry.elements.namedItem("party");
  if (party instanceof HTMLInputElement) party.value = "1";
  entry.dispatchEvent(new Event("input", { bubbles: true }));
  const name = entry.elements.namedItem("args.name");
  if (name instanceof HTMLInputElement) name.focus();
}
