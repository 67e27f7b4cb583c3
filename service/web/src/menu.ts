// A menu that opens below its button: closed by Escape, by a press elsewhere, and by what is chosen in it.

import { h } from "./dom";

const open = new Set<HTMLDetailsElement>();

document.addEventListener("click", (event) => {
  for (const one of open) if (!one.contains(event.target as Node)) one.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const one of open) {
    one.open = false;
    one.querySelector("summary")?.focus();
  }
});

/** `items` is made anew each time the menu opens. */
export function menu(label: string, items: () => Node[] | Promise<Node[]>, attributes: { title?: string; class?: string } = {}): HTMLDetailsElement {
  const list = h("div", { class: "menu-items" });
  const made = h("details", { ...attributes, class: `menu ${attributes.class ?? ""}` }, h("summary", {}, label), list);
  made.addEventListener("toggle", () => {
    if (!made.open) {
      open.delete(made);
      return;
    }
    for (const other of open) other.open = false;
    open.add(made);
    void (async () => items())().then(
      (made) => list.replaceChildren(...made),
      (error: unknown) => list.replaceChildren(h("p", { role: "alert" }, error instanceof Error ? error.message : String(error))),
    );
    list.classList.toggle("to-left", made.getBoundingClientRect().left > innerWidth / 2);
  });
  list.addEventListener("click", (event) => {
    if ((event.target as Element).closest("a, button:not([data-stay])")) made.open = false;
  });
  return made;
}

/** Something a menu offers. */
export function item(label: string, run: () => void, attributes: { title?: string; disabled?: boolean; "aria-label"?: string } = {}): HTMLButtonElement {
  return h("button", { type: "button", onclick: run, ...attributes }, label);
}
