// A list of texts, each in its own field, with what is wrong said at the line; a line that is an object is shown in words and stays as it is.

import type { Fault, Row } from "../../api";
import { fill, h } from "../../dom";

export type Line = string | Row;

/** Filters of a request, as they are written. */
function filtersText(where: unknown): string {
  return (where as Row[]).map((f) => {
    const values = [...((f.values as (string | null)[] | undefined) ?? []), ...((f.patterns as string[] | undefined) ?? [])];
    const bounds = ([["at_least", ">="], ["at_most", "<="], ["above", ">"], ["below", "<"]] as const).flatMap(([n, sign]) => (f[n] == null ? [] : [`${sign}${f[n]}`]));
    const sign = (f.patterns as string[] | undefined)?.length ? "~" : "=";
    return values.length > 0 ? `${f.dimension}${f.exclude ? "!" : ""}${sign}${values.join(",")}` : `${f.dimension}${bounds.join(" ")}`;
  }).join(";");
}

const written = (line: Line): string => (typeof line === "string" ? line : `${filtersText(line.where ?? [])}${"factor" in line ? `*${line.factor}` : ""}`);

export class Lines {
  readonly element: HTMLElement;
  private readonly list = h("div");
  private lines: Line[] = [];
  private faults: Fault[] = [];

  constructor(private readonly name: string, title: string, private readonly hint: string, private readonly onchange: () => void) {
    this.element = h("fieldset", {}, h("legend", {}, title), this.list,
      h("button", { type: "button", onclick: () => { this.lines.push(""); this.draw(); this.list.querySelector<HTMLElement>(".line:last-of-type input")?.focus(); } }, `Add: ${title.toLowerCase()}`),
      h("small", { class: "faint" }, ` ${hint}`));
  }

  values(): Line[] {
    return this.lines.filter((line) => typeof line !== "string" || line.trim() !== "");
  }

  put(lines: readonly Line[]): void {
    this.lines = [...lines];
    this.faults = [];
    this.draw();
  }

  /** Says at the lines what is wrong; gives back what is about none of them. */
  fault(faults: readonly Fault[]): Fault[] {
    const mine = faults.filter((f) => f.pointer.startsWith(`/${this.name}/`));
    this.lines = this.values();
    this.faults = mine;
    this.draw();
    if (mine.length > 0) this.list.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
    return faults.filter((f) => !mine.includes(f));
  }

  private draw(): void {
    fill(this.list, ...this.lines.map((line, i) => {
      const fault = this.faults.find((f) => f.pointer.split("/")[2] === String(i));
      const id = `${this.name}-${i}`;
      return h("div", { class: "line" },
        h("input", {
          id, value: written(line), readonly: typeof line !== "string", placeholder: this.hint, autocomplete: "off", spellcheck: "false", "aria-label": `${this.name} ${i + 1}`,
          "aria-invalid": fault ? "true" : null, "aria-describedby": fault ? `${id}-fault` : null,
          oninput: (e: Event) => { this.lines[i] = (e.target as HTMLInputElement).value; this.onchange(); },
        }),
        h("button", { type: "button", "aria-label": `take out ${this.name} ${i + 1}`, onclick: () => { this.lines.splice(i, 1); this.faults = []; this.draw(); this.onchange(); } }, "✕"),
        fault && h("small", { id: `${id}-fault`, class: "fault" }, fault.message));
    }));
  }
}
