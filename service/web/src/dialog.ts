// Dialogs: what is asked or told before the page goes on. The browser keeps the focus within, and gives it back.

import { h } from "./dom";

/** A dialog that is gone once it is closed; Escape closes it. */
export function dialog(label: string, ...children: (Node | string | false)[]): HTMLDialogElement {
  const made = h("dialog", { "aria-label": label }, ...children);
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

/** Asks for a name; null where nobody gives one. */
export function askName(label: string, value = "", most = 80): Promise<string | null> {
  return new Promise((tell) => {
    const field = h("input", { name: "name", value, required: true, maxlength: most, autocomplete: "off", "aria-label": "name" });
    let given: string | null = null;
    const form = h("form", { method: "dialog", onsubmit: () => { given = field.value.trim() || null; } },
      h("h2", {}, label), field,
      h("p", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Keep"),
        h("button", { type: "button", onclick: () => asked.close() }, "Cancel")));
    const asked = dialog(label, form);
    field.select();
    asked.addEventListener("close", () => tell(given));
  });
}

const told = () => document.getElementById("told");

/** Says something that needs no answer, to eyes and to screen readers. */
export function tell(text: string): void {
  const place = told();
  if (!place) return;
  place.replaceChildren(text);
  setTimeout(() => { if (place.textContent === text) place.replaceChildren(); }, 6000);
}
