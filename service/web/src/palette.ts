// The command palette and the help of the keyboard: everything that can be done, by its name.

import { dialog } from "./dialog";
import { fill, h } from "./dom";

/** kind : what it is, shown beside it. about : words it is found by, too. */
export interface Command { label: string; kind: string; about?: string; keys?: string; run: () => void }

const MOST = 30;

/** The commands that hold every word, those that begin with what was typed first. */
export function found(commands: readonly Command[], typed: string): Command[] {
  const text = typed.trim().toLowerCase();
  const words = text.split(/\s+/).filter(Boolean);
  const holding = commands.filter((c) => {
    const all = `${c.label} ${c.kind} ${c.about ?? ""}`.toLowerCase();
    return words.every((w) => all.includes(w));
  });
  const rank = (c: Command) => {
    const label = c.label.toLowerCase();
    return label.startsWith(text) ? 0 : words.every((w) => label.includes(w)) ? 1 : 2;
  };
  return holding.sort((a, b) => rank(a) - rank(b)).slice(0, MOST);
}

/** Opens the palette at once, so that no key is lost, with `more` as soon as it has come; a command that is chosen runs once it has closed. */
export function openPalette(commands: Command[], more: Promise<readonly Command[]>): void {
  let shown: Command[] = [];
  let at = 0;
  const list = h("ul", { id: "palette-list", role: "listbox", "aria-label": "commands" });
  const field = h("input", {
    name: "command", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", "aria-label": "command",
    autocomplete: "off", placeholder: "Go to a page, a question, a view, or do something",
    oninput: () => show(), onkeydown: (e: KeyboardEvent) => key(e),
  });
  const opened = dialog("Command palette", field, list);
  opened.classList.add("palette");

  function show(): void {
    shown = found(commands, field.value);
    at = 0;
    fill(list, ...shown.map((c, i) => h("li", { id: `palette-${i}`, role: "option", onclick: () => choose(c) },
      h("span", {}, c.label), h("span", { class: "faint" }, c.keys ? `${c.kind} · ${c.keys}` : c.kind))));
    if (shown.length === 0) fill(list, h("li", { role: "option", "aria-disabled": "true", class: "faint" }, "Nothing is called so."));
    mark();
  }

  function mark(): void {
    [...list.children].forEach((one, i) => one.setAttribute("aria-selected", String(i === at && shown.length > 0)));
    field.setAttribute("aria-activedescendant", shown.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    const one = shown[at];
    if (step) at = Math.abs(step) === 1 ? (at + step + shown.length) % (shown.length || 1) : Math.min(Math.max(at + step, 0), Math.max(shown.length - 1, 0));
    else if (event.key === "Enter" && one) choose(one);
    else return;
    event.preventDefault();
    mark();
  }

  function choose(command: Command): void {
    opened.addEventListener("close", () => command.run());
    opened.close();
  }

  show();
  field.focus();
  void more.then((come) => {
    const chosen = shown[at];
    commands = [...commands, ...come];
    show();
    if (chosen) at = Math.max(shown.indexOf(chosen), 0); // who has moved on meanwhile stays there
    mark();
  });
}

/** The keys that work everywhere, and those of the parts of a page. */
export function openHelp(commands: readonly Command[]): void {
  const keys: [string, string][] = [
    ...commands.filter((c) => c.keys).map((c): [string, string] => [c.keys ?? "", c.label]),
    ["Tab, Shift-Tab", "Next and previous control"],
    ["Enter or Space", "Press a button; sort by the column whose head is pressed"],
    ["Arrow keys, Page Up, Page Down", "Scroll a table that has the focus; move in the palette"],
    ["Escape", "Close what is open"],
  ];
  const closed = h("button", { type: "button", onclick: () => opened.close() }, "Close");
  const opened = dialog("Keys", h("h2", {}, "Keys"),
    h("dl", { class: "keys" }, ...keys.flatMap(([k, what]) => [h("dt", {}, h("kbd", {}, k)), h("dd", {}, what)])), h("p", { class: "actions" }, closed));
}
