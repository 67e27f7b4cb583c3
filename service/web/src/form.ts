// The form of a question, made from its parameters. What is wrong is said at the field, with the nearest valid value.

import type { Problem } from "./api";
import { h } from "./dom";
import { words } from "./format";
import type { Parameter } from "./questions";
import type { State } from "./state";

export interface FormOptions {
  parameters: readonly Parameter[];
  /** Values that may stand in a field, by parameter: shown while typing, and not the only ones allowed. */
  suggestions?: Record<string, readonly string[]>;
  submit: string;
  /** Parameters that stand outside of More though they may be left out, in this order. */
  first?: readonly string[];
  onsubmit: (values: Record<string, string[]>) => void;
}

let made = 0;

/** A form whose fields have the values of the state. */
export class QuestionForm {
  readonly element: HTMLFormElement;
  private readonly fields = new Map<string, HTMLInputElement | HTMLSelectElement>();

  constructor(private readonly options: FormOptions, state: State) {
    const id = `form-${++made}`;
    const row = (p: Parameter) => this.row(p, state, `${id}-${p.name}`);
    const named = (options.first ?? []).flatMap((name) => options.parameters.find((p) => p.name === name && !p.required) ?? []);
    const first = [...options.parameters.filter((p) => p.required), ...named].map(row);
    const more = options.parameters.filter((p) => !p.required && !named.includes(p)).map(row);
    this.element = h("form", { class: "question-form", novalidate: true, onsubmit: (e: SubmitEvent) => { e.preventDefault(); this.submit(); } },
      ...first, more.length > 0 && h("details", { open: first.length === 0 }, h("summary", {}, "More"), ...more),
      h("button", { type: "submit", class: "primary" }, options.submit));
  }

  /** Puts the values of the state into the fields. */
  update(state: State): void {
    for (const p of this.options.parameters) {
      const field = this.fields.get(p.name);
      if (!field) continue;
      if (p.kind === "flag") (field as HTMLInputElement).checked = state.one(p.name) === "true";
      else field.value = state.all(p.name).join(p.kind === "labels" ? "; " : ", ");
    }
  }

  private row(p: Parameter, state: State, id: string): HTMLElement {
    const values = state.all(p.name);
    const about = `${id}-about`;
    const common = { id, name: p.name, "aria-describedby": `${about} ${id}-fault` };
    let field: HTMLInputElement | HTMLSelectElement;
    if (p.kind === "flag") field = h("input", { ...common, type: "checkbox", checked: values[0] === "true" });
    else if (p.choices && p.kind === "one") {
      field = h("select", common, h("option", { value: "" }, p.required ? "" : "(default)"), ...p.choices.map((c) => h("option", { value: c, selected: values[0] === c }, c)));
    } else {
      const list = this.options.suggestions?.[p.name] ?? p.choices;
      const type = p.format === "date" ? "date" : "text";
      field = h("input", { ...common, type, value: values.join(p.kind === "labels" ? "; " : ", "), required: p.required, list: list ? `${id}-list` : null, placeholder: p.default == null ? null : String(p.default), autocomplete: "off" });
      if (list) field.after(h("datalist", { id: `${id}-list` }, ...list.map((v) => h("option", { value: v }))));
    }
    this.fields.set(p.name, field);
    const list = this.options.suggestions?.[p.name] ?? (p.kind === "one" ? null : p.choices);
    return h("div", { class: "field" }, h("label", { for: id }, words(p.name)), field,
      list && h("datalist", { id: `${id}-list` }, ...list.map((v) => h("option", { value: v }))),
      h("small", { id: about }, p.description), h("small", { id: `${id}-fault`, class: "fault", role: "alert" }));
  }

  /** The values that are given, texts as the address has them; fields that are empty are not given. */
  values(): Record<string, string[]> {
    const given: Record<string, string[]> = {};
    for (const p of this.options.parameters) {
      const field = this.fields.get(p.name);
      if (!field) continue;
      if (p.kind === "flag") given[p.name] = (field as HTMLInputElement).checked ? ["true"] : [];
      else if (p.kind === "several") given[p.name] = field.value.split(",").map((v) => v.trim()).filter(Boolean);
      else if (p.kind === "labels") given[p.name] = field.value.split(";").map((v) => v.trim()).filter(Boolean);
      else given[p.name] = field.value.trim() ? [field.value.trim()] : [];
    }
    return given;
  }

  private submit(): void {
    this.clear();
    this.options.onsubmit(this.values());
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
    let first: HTMLElement | undefined;
    for (const { pointer, message } of problem.faults) {
      const field = this.fields.get(pointer.replace(/^\//, "").split("/")[0] ?? "");
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
