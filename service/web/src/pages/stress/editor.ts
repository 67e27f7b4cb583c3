// The editor of the stress language: what is wrong is marked at its character, and what may stand at the cursor is proposed.
// The text area is a text box with a list box beside it (WAI-ARIA): arrows choose, Enter takes, Escape closes; Tab always leaves.

import { type Fault, Problem, send } from "../../api";
import { fill, h } from "../../dom";

interface Check { ok: boolean; faults: Fault[]; failed: string[]; warnings: Fault[] }
interface Completion { start: number; end: number; proposals: { text: string; meaning: string }[]; more: number }

const NAME = /^[A-Za-z]/;
const PAUSE_MS = 250;
const TOKEN = /^(?:"[^"\n]*"?|[\w.%:*?-]+|\S)/u;

/** Offsets of the API count characters as Python does; those of a text area count halves of the rare ones. */
const toUnits = (text: string, characters: number): number => [...text].slice(0, characters).join("").length;
const toCharacters = (text: string, units: number): number => [...text.slice(0, units)].length;

/** The part of the text that a fault is about; null where it is about all of it. */
function placeOf(text: string, fault: Fault): [number, number] | null {
  const at = /^line (\d+), column (\d+)$/.exec(fault.pointer);
  if (!at) return null;
  const lines = text.split("\n").slice(0, Number(at[1]));
  const line = lines.pop() ?? "";
  const start = lines.reduce((n, l) => n + l.length + 1, 0) + toUnits(line, Number(at[2]) - 1);
  const value = typeof fault.value === "string" && text.startsWith(fault.value, start) ? fault.value : (TOKEN.exec(text.slice(start))?.[0] ?? "");
  return [start, start + value.length];
}

let made = 0;

export class StressEditor {
  readonly element: HTMLElement;
  readonly field: HTMLTextAreaElement;
  private readonly marks = h("pre", { class: "marks", "aria-hidden": "true" });
  private readonly list: HTMLUListElement;
  private readonly faults = h("div", { class: "faults", role: "status" });
  private readonly id = `stress-editor-${++made}`;
  private found: Check | undefined;
  private completion: Completion | undefined;
  private chosen = -1;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stop: AbortController | undefined;

  constructor(private readonly asOf: () => string | null, private readonly oninput: (text: string) => void, private readonly onsend: () => void) {
    const { id } = this;
    this.list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": "what may stand here", class: "proposals", hidden: true });
    this.field = h("textarea", {
      id, rows: 6, spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-controls": `${id}-list`, "aria-describedby": `${id}-faults ${id}-keys`,
      placeholder: "equity[region=US] -20%; vol[equity] +10pt; rate[ccy=USD] +100bp",
      oninput: () => this.typed(), onkeydown: (e: KeyboardEvent) => this.key(e), onblur: () => this.close(), onscroll: () => { this.marks.scrollTop = this.field.scrollTop; },
    });
    this.faults.id = `${id}-faults`;
    this.element = h("div", { class: "stress-editor" },
      h("label", { for: id }, "Scenario in the stress language"),
      h("div", { class: "editor-box" }, this.marks, this.field, this.list),
      h("small", { id: `${id}-keys`, class: "faint" }, "Ctrl-Space proposes what may stand at the cursor, arrows and Enter take it, Escape closes; Ctrl-Enter runs the scenario."),
      this.faults);
  }

  get text(): string {
    return this.field.value;
  }

  /** Puts a text into the editor and has it checked. */
  put(text: string): void {
    if (this.field.value !== text) this.field.value = text;
    this.close();
    void this.check();
  }

  private typed(): void {
    this.found = undefined;
    this.draw();
    this.oninput(this.text);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { void this.check(); void this.propose(); }, PAUSE_MS);
  }

  private key(event: KeyboardEvent): void {
    const shown = !this.list.hidden;
    if (event.key === " " && event.ctrlKey) void this.propose();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.onsend();
    else if (shown && event.key === "Escape") this.close();
    else if (shown && (event.key === "ArrowDown" || event.key === "ArrowUp")) this.choose(this.chosen + (event.key === "ArrowDown" ? 1 : -1));
    else if (shown && event.key === "Enter" && this.chosen >= 0) this.take(this.chosen);
    else {
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) this.close();
      return;
    }
    event.preventDefault();
  }

  private async propose(): Promise<void> {
    const [asOf, text, units] = [this.asOf(), this.text, this.field.selectionStart];
    if (!asOf) return;
    try {
      const found = await send<Completion>("POST", "/scenario-sets/complete", { as_of: asOf, text, at: toCharacters(text, units) });
      if (text !== this.text || units !== this.field.selectionStart || document.activeElement !== this.field) return;
      this.completion = found;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return this.close(); // what is wrong is said by the check
    }
    this.chosen = -1;
    fill(this.list, ...this.completion.proposals.map((p, i) => h("li", { role: "option", id: `${this.id}-${i}`, "aria-selected": "false", onmousedown: (e: Event) => { e.preventDefault(); this.take(i); } },
      h("code", {}, p.text), h("span", { class: "faint" }, p.meaning))),
      this.completion.more > 0 && h("li", { role: "presentation", class: "faint" }, `and ${this.completion.more} more`));
    this.list.hidden = this.completion.proposals.length === 0;
    const caret = this.draw(units).querySelector<HTMLElement>(".caret");
    if (caret) {
      this.list.style.left = `${Math.min(caret.offsetLeft, this.field.clientWidth - 200)}px`;
      this.list.style.top = `${caret.offsetTop - this.field.scrollTop + 22}px`;
    }
    this.draw();
  }

  private choose(to: number): void {
    const options = [...this.list.querySelectorAll<HTMLElement>("[role=option]")];
    this.chosen = (to + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === this.chosen)));
    const chosen = options[this.chosen];
    if (chosen) this.field.setAttribute("aria-activedescendant", chosen.id);
    chosen?.scrollIntoView({ block: "nearest" });
  }

  private take(i: number): void {
    const proposal = this.completion?.proposals[i];
    if (!this.completion || !proposal) return;
    const { text } = this;
    this.replace(toUnits(text, this.completion.start), toUnits(text, this.completion.end), proposal.text);
  }

  /** As if it were typed, so that the browser's own undo takes it back. */
  private replace(start: number, end: number, text: string): void {
    this.close();
    this.field.focus();
    this.field.setRangeText(text, start, end, "end");
    this.typed();
  }

  private close(): void {
    this.list.hidden = true;
    this.chosen = -1;
    this.field.removeAttribute("aria-activedescendant");
  }

  private async check(): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    const [asOf, text] = [this.asOf(), this.text];
    this.found = undefined;
    if (!asOf || !text.trim()) {
      this.draw();
      return fill(this.faults, !asOf && h("p", {}, "Give a date to have the text checked on its market."));
    }
    try {
      this.found = await send<Check>("POST", "/scenario-sets/check", { as_of: asOf, text }, signal);
      this.draw();
      this.say(text, this.found);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      fill(this.faults, h("p", { class: "fault" }, error.message));
    }
  }

  private say(text: string, { ok, faults, failed, warnings }: Check): void {
    const line = (fault: Fault, kind: string) => {
      const place = placeOf(text, fault);
      // a name takes the place of a name; of anything else the message says what is to be done
      const nearest = place && NAME.test(String(fault.value ?? "")) ? (fault.allowed ?? []).filter((a) => NAME.test(a)).slice(0, 5) : [];
      return h("li", { class: kind },
        place ? h("button", { type: "button", class: "link", onclick: () => this.show(place) }, fault.pointer) : fault.pointer, `: ${fault.message} `,
        ...nearest.map((value) => h("button", { type: "button", onclick: () => place && this.replace(...place, value) }, `Put ${value}`)));
    };
    this.field.setAttribute("aria-invalid", String(!ok));
    fill(this.faults, ok && warnings.length === 0 && h("p", { class: "good" }, "The text is sound on this market."),
      h("ul", {}, ...faults.map((f) => line(f, "fault")), ...failed.map((f) => h("li", { class: "fault" }, `Does not hold: ${f}`)), ...warnings.map((w) => line(w, "warning"))));
  }

  private show([start, end]: [number, number]): void {
    this.field.focus();
    this.field.setSelectionRange(start, end);
  }

  /** The text again below the text area, unseen, with what is wrong underlined; and where the cursor is. */
  private draw(caret = -1): HTMLElement {
    const { text } = this;
    const places = [...(this.found?.faults ?? []).map((f) => [placeOf(text, f), "bad"] as const), ...(this.found?.warnings ?? []).map((f) => [placeOf(text, f), "warn"] as const)]
      .flatMap(([place, kind]) => (place ? [{ start: place[0], end: Math.max(place[1], place[0] + 1), kind }] : []))
      .sort((a, b) => a.start - b.start);
    fill(this.marks);
    let at = 0;
    for (const { start, end, kind } of places) {
      if (start < at) continue;
      this.marks.append(text.slice(at, start), h("span", { class: kind }, text.slice(start, end) || " "));
      at = end;
    }
    if (caret >= 0) fill(this.marks, text.slice(0, caret), h("span", { class: "caret" }), text.slice(caret));
    else this.marks.append(text.slice(at), "\n");
    this.marks.scrollTop = this.field.scrollTop;
    return this.marks;
  }
}
