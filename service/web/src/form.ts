// The form of a question, made from its parameters. What is wrong is said at the field, with the nearest valid value.

import type { Problem } from "./api";
import { fill, h } from "./dom";
import { Draft } from "./drafts";
import { words } from "./format";
import type { Parameter } from "./questions";
import type { State } from "./state";

export interface FormOptions {
  parameters: readonly Parameter[];
  /** Values that may stand in a field, by parameter: shown while typing, and not the only ones allowed. */
  suggestions?: Record<string, readonly string[]>;
  /** Fields that stand above More although they need not be filled in. */
  first?: readonly string[];
  /** Parameters that stand together under a heading, before all others; closed ones are opened on a press. */
  groups?: readonly { legend: string; names: readonly string[]; closed?: boolean }[];
  submit: string;
  /** What tells this form from the others of its page: what is typed into it is kept under that name until it is sent. */
  name?: string;
  onsubmit: (values: Record<string, string[]>) => void;
}

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** What stands between several values in a field; those that may hold commas have semicolons. */
const SEPARATORS: Partial<Record<Parameter["kind"], string>> = { several: ", ", labels: "; " };

let made = 0;

/** A form whose fields have the values of the state. */
export class QuestionForm {
  readonly element: HTMLFormElement;
  private readonly fields = new Map<string, Field>();
  private readonly draft: Draft;

  constructor(private readonly options: FormOptions, state: State) {
    const id = `form-${++made}`;
    this.draft = new Draft(options.name ?? options.parameters.map((p) => p.name).join(" "));
    const typed = this.draft.names();
    const row = (p: Parameter) => this.row(p, `${id}-${p.name}`);
    const groups = (options.groups ?? []).map(({ legend, names, closed }) => {
      const rows = names.flatMap((name) => options.parameters.find((p) => p.name === name) ?? []).map(row);
      return closed ? h("details", {}, h("summary", {}, legend), ...rows) : h("fieldset", {}, h("legend", {}, legend), ...rows);
    });
    const others = options.parameters.filter((p) => !options.groups?.some((g) => g.names.includes(p.name)));
    const rank = (p: Parameter) => (p.required || options.first?.includes(p.name) ? 0 : typed.has(p.name) || state.one(p.name) !== null ? 1 : 2);
    const rows = (...ranks: number[]) => ranks.flatMap((r) => others.filter((p) => rank(p) === r).map(row));
    const [first, more] = [rows(0, 1), rows(2)];
    this.element = h("form", { class: "question-form", novalidate: true, onsubmit: (e: SubmitEvent) => { e.preventDefault(); this.submit(); } },
      ...groups, ...first, more.length > 0 && h("details", { open: first.length + groups.length === 0 }, h("summary", {}, "More"), ...more),
      h("button", { type: "submit", class: "primary" }, options.submit));
    this.update(state);
    this.draft.keep(this.fields.values());
  }

  /** Puts the values of the state into the fields, but for those with something typed that was not sent; faults of those before go. */
  update(state: State): void {
    this.clear();
    const typed = this.draft.names();
    for (const p of this.options.parameters) if (!typed.has(p.name)) this.put(p, state.all(p.name));
  }

  /** Fills the form in, as if somebody had typed it; what is not named is emptied. */
  fill(values: Record<string, readonly string[]>): void {
    for (const p of this.options.parameters) {
      this.put(p, values[p.name] ?? []);
      this.fields.get(p.name)?.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  private put(p: Parameter, values: readonly string[]): void {
    const field = this.fields.get(p.name);
    if (!field) return;
    if (p.kind === "flag") (field as HTMLInputElement).checked = values[0] === "true";
    else field.value = p.kind === "objects" || p.kind === "pairs" ? indented(values[0]) : values.join(SEPARATORS[p.kind] ?? "");
    if (values.length > 0) field.closest("details")?.setAttribute("open", "");
  }

  private row(p: Parameter, id: string): HTMLElement {
    const about = `${id}-about`;
    const common = { id, name: p.name, "aria-describedby": `${about} ${id}-fault` };
    let field: Field;
    let list: HTMLDataListElement | undefined;
    if (p.kind === "flag") field = h("input", { ...common, type: "checkbox" });
    else if (p.kind === "objects" || p.kind === "pairs") {
      field = h("textarea", { ...common, rows: 5, spellcheck: "false", placeholder: p.kind === "objects" ? "[{…}, {…}], as JSON" : "{\"name\": value, …}, as JSON" });
    } else if (p.choices && p.kind === "one") {
      field = h("select", common, h("option", { value: "" }, p.required ? "" : "(default)"), ...p.choices.map((c) => h("option", { value: c }, c)));
    } else {
      list = h("datalist", { id: `${id}-list` });
      field = h("input", {
        ...common, type: p.format === "date" ? "date" : "text", required: p.required, list: list.id, placeholder: p.default == null ? null : String(p.default), autocomplete: "off",
      });
      this.suggest(p, field, list);
    }
    this.fields.set(p.name, field);
    return h("div", { class: "field" }, h("label", { for: id }, words(p.name)), field, list ?? false,
      h("small", { id: about }, p.description), h("small", { id: `${id}-fault`, class: "fault", role: "alert" }));
  }

  /** What may stand in a field, in place of the last of its values: those before stay as they are. */
  private suggest(p: Parameter, field: HTMLInputElement, list: HTMLDataListElement): void {
    const separator = SEPARATORS[p.kind];
    const show = () => {
      const values = this.options.suggestions?.[p.name] ?? p.choices ?? [];
      const end = separator ? field.value.lastIndexOf(separator.trim()) + 1 : 0;
      const before = end ? `${field.value.slice(0, end).trimEnd()} ` : "";
      fill(list, ...values.map((v) => h("option", { value: before + v })));
    };
    field.addEventListener("focus", show);
    field.addEventListener("input", show);
  }

  /** The values that are given, texts as the address has them; fields that are empty are not given. */
  values(): Record<string, string[]> {
    const given: Record<string, string[]> = {};
    for (const p of this.options.parameters) {
      const field = this.fields.get(p.name);
      if (!field) continue;
      const separator = SEPARATORS[p.kind]?.trim();
      if (p.kind === "flag") given[p.name] = (field as HTMLInputElement).checked ? ["true"] : [];
      else given[p.name] = (separator ? field.value.split(separator) : [field.value]).map((v) => v.trim()).filter(Boolean);
    }
    return given;
  }

  private submit(): void {
    this.clear();
    const wrong = this.options.parameters.flatMap((p) => {
      const text = p.kind === "objects" || p.kind === "pairs" ? this.fields.get(p.name)?.value.trim() : "";
      const message = text ? faultOf(p, text) : null;
      return message ? [{ pointer: p.name, message }] : [];
    });
    if (wrong.length > 0) return this.mark(wrong);
    const values = this.values();
    this.draft.forget();
    this.options.onsubmit(values);
  }

  private clear(): void {
    for (const field of this.fields.values()) {
      field.removeAttribute("aria-invalid");
      const fault = document.getElementById(`${field.id}-fault`);
      if (fault) fault.textContent = "";
    }
  }

  /** Says at the fields what is wrong with them; the first gets the focus. */
  fault(problem: Problem): void {
    this.mark(problem.faults);
  }

  /** The field of a fault: the one it names, or else the only one that holds what is wrong. */
  private fieldOf(pointer: string, value: unknown): Field | undefined {
    const named = this.fields.get(pointer.replace(/^\//, "").split("/")[0] ?? "");
    const holding = Object.entries(this.values()).filter(([, texts]) => texts.includes(String(value))).map(([name]) => this.fields.get(name));
    return named ?? (holding.length === 1 ? holding[0] : undefined);
  }

  private mark(faults: readonly { pointer: string; message: string; value?: unknown }[]): void {
    let first: HTMLElement | undefined;
    for (const { pointer, message, value } of faults) {
      const field = this.fieldOf(pointer, value);
      const place = field && document.getElementById(`${field.id}-fault`);
      if (!field || !place) continue;
      field.setAttribute("aria-invalid", "true");
      field.closest("details")?.setAttribute("open", "");
      place.textContent = message;
      first ??= field;
    }
    first?.focus();
  }
}

/** JSON as it is read by people, where it is short enough for a field. */
function indented(text = ""): string {
  try {
    return text && JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}

/** What is wrong with the JSON of objects or pairs; null where it is what the parameter takes. */
function faultOf(p: Parameter, text: string): string | null {
  const expected = p.kind === "objects" ? "a list of objects, such as [{\"name\": 1}]" : "an object, such as {\"name\": 1}";
  try {
    const value: unknown = JSON.parse(text);
    const right = p.kind === "objects"
      ? Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null && !Array.isArray(one))
      : typeof value === "object" && value !== null && !Array.isArray(value);
    return right ? null : `This is JSON, and no ${expected.replace(/^an? /, "")}.`;
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}. Expected ${expected}.`;
  }
}
