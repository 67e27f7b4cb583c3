// Trades to add, as a table a type of instrument: its columns are the terms of the type, and what is wrong is said in the cell.

import type { Fault, Row } from "../../api";
import { fill, h } from "../../dom";
import { jsonOf } from "../../kept";
import { sheetOf } from "./sheet";

interface Term { name: string; type: string; required: boolean; default: string | null; description: string }
export interface Instrument { instrument_type: string; description: string; terms: Term[] }

/** A trade as it is typed: texts by column, the type with them. */
type Typed = Record<string, string>;

const ALWAYS = ["trade", "quantity"];

/** The value a term takes; what is no such value stays a text, so that the service says what is wrong with it. */
function valueOf(text: string, type: string): unknown {
  if (/number|integer/.test(type) && text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
  if (/boolean/.test(type) && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return /object|array/.test(type) ? jsonOf(text) : text;
}

const textOf = (value: unknown) => (value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

export class TradeTable {
  readonly element = h("section", { "aria-label": "trades to add" });
  private readonly tables = h("div");
  private readonly told = h("p", { role: "status", class: "fault" });
  private readonly types: Map<string, Instrument>;
  private trades: Typed[] = [];
  /** Columns that were asked for, by type. */
  private readonly more = new Map<string, Set<string>>();
  private faults: Fault[] = [];

  constructor(instruments: readonly Instrument[], private readonly dimensions: readonly string[], private readonly onchange: () => void) {
    this.types = new Map(instruments.map((i) => [i.instrument_type, i]));
    const type = h("select", { id: "new-trade-type" }, ...[...this.types.keys()].sort().map((t) => h("option", { value: t }, t)));
    const paste = h("textarea", { id: "paste-trades", rows: 4, spellcheck: "false", placeholder: "instrument_type\tquantity\tcurrency\tunderlying\tdesk" });
    const file = h("input", { id: "upload-trades", type: "file", accept: ".csv,.tsv,.txt,text/csv,text/plain", onchange: () => void file.files?.[0]?.text().then((text) => this.bring(text)).then(() => { file.value = ""; }) });
    fill(this.element,
      h("div", { class: "in-a-row" }, h("div", { class: "field" }, h("label", { for: "new-trade-type" }, "instrument type"), type),
        h("button", { type: "button", onclick: () => this.add(type.value) }, "Add a trade")),
      this.tables,
      h("details", {}, h("summary", {}, "Paste from a spreadsheet, or upload a file"),
        h("div", { class: "field" }, h("label", { for: "paste-trades" }, "cells with a line of column names"), paste,
          h("small", {}, "Columns: instrument_type, quantity and the terms; trade, dimensions such as desk, and attribute.NAME as wanted.")),
        h("button", { type: "button", onclick: () => { if (this.bring(paste.value)) paste.value = ""; } }, "Put them into the table"),
        h("div", { class: "field" }, h("label", { for: "upload-trades" }, "or a CSV file"), file)), this.told);
  }

  /** The trades as a request has them; cells that are empty are not given. */
  values(): Row[] {
    return this.trades.map((typed) => {
      const terms = new Map(this.types.get(typed.instrument_type ?? "")?.terms.map((t) => [t.name, t.type]));
      const row: Row = {};
      for (const [column, text] of Object.entries(typed)) {
        if (text !== "") row[column] = valueOf(text, column === "quantity" ? "number" : terms.get(column) ?? "string");
      }
      return row;
    });
  }

  put(rows: readonly Row[]): void {
    this.faults = [];
    this.trades = rows.map(({ terms, attributes, ...row }) => {
      const flat = { ...row, ...(terms as Row | undefined), ...Object.fromEntries(Object.entries((attributes as Row | undefined) ?? {}).map(([n, v]) => [`attribute.${n}`, v])) };
      return Object.fromEntries(Object.entries(flat).map(([n, v]) => [n, textOf(v)]));
    });
    this.draw();
  }

  /** Says in the cells what is wrong; gives back what is about no cell. */
  fault(faults: readonly Fault[]): Fault[] {
    const here = faults.filter((f) => /^\/add\/\d+\/./.test(f.pointer));
    this.faults = here.filter((f) => this.trades[Number(f.pointer.split("/")[2])]);
    for (const f of this.faults) {
      const [, , i, ...path] = f.pointer.split("/");
      this.show(this.trades[Number(i)]!.instrument_type ?? "", path.at(-1)!);
    }
    this.draw();
    this.element.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
    return faults.filter((f) => !here.includes(f));
  }

  private add(type: string): void {
    this.trades.push({ instrument_type: type, quantity: "1" });
    this.changed();
    const added = this.element.querySelectorAll<HTMLElement>(`[data-trade="${this.trades.length - 1}"] :is(input, select)`);
    ([...added].find((field) => (field as HTMLInputElement).value === "") ?? added[0])?.focus();
  }

  private bring(text: string): boolean {
    try {
      const { header, rows } = sheetOf(text);
      // the date of a file is where its rows come from
      this.trades.push(...rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i] ?? ""]).filter(([name]) => name !== "positions_date"))));
      this.told.textContent = "";
      this.changed();
      return true;
    } catch (error) {
      this.told.textContent = (error as Error).message;
      return false;
    }
  }

  private show(type: string, column: string): void {
    this.more.set(type, (this.more.get(type) ?? new Set()).add(column));
  }

  private changed(): void {
    this.faults = [];
    this.draw();
    this.onchange();
  }

  private columns(type: string, trades: readonly Typed[]): string[] {
    const required = this.types.get(type)?.terms.filter((t) => t.required).map((t) => t.name) ?? [];
    const used = trades.flatMap((t) => Object.keys(t)).filter((c) => c !== "instrument_type");
    const untyped = this.types.has(type) ? [] : ["instrument_type"];
    return [...new Set([...untyped, ...ALWAYS, ...(this.dimensions.includes("desk") ? ["desk"] : []), ...required, ...used, ...(this.more.get(type) ?? [])])].filter((c) => c !== "instrument_type" || untyped.length > 0);
  }

  private draw(): void {
    const types = [...new Set(this.trades.map((t) => t.instrument_type ?? ""))];
    fill(this.tables, ...types.map((type) => this.table(type)));
  }

  private table(type: string): HTMLElement {
    const held = this.trades.map((typed, i) => ({ typed, i })).filter(({ typed }) => (typed.instrument_type ?? "") === type);
    const columns = this.columns(type, held.map(({ typed }) => typed));
    const terms = new Map(this.types.get(type)?.terms.map((t) => [t.name, t]));
    const others = [...terms.keys(), ...this.dimensions].filter((c) => !columns.includes(c));
    const id = `columns-${type || "none"}`;
    const wanted = h("select", { id, onchange: () => { this.show(type, wanted.value); this.draw(); } }, h("option", { value: "" }, "…"), ...others.map((c) => h("option", { value: c }, c)));
    const head = columns.map((c) => h("th", { scope: "col", title: terms.get(c)?.description ?? null }, c, terms.get(c)?.required && h("abbr", { title: "required", class: "required" }, "*")));
    return h("div", { class: "trades" },
      h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": `trades: ${type || "no instrument type"}` },
        h("table", {}, h("caption", { title: this.types.get(type)?.description ?? null }, type || "without an instrument type", this.types.has(type) ? "" : " (not known)"),
          h("thead", {}, h("tr", {}, ...head, h("th", { scope: "col" }, h("span", { class: "unseen" }, "remove")))),
          h("tbody", {}, ...held.map(({ typed, i }) => h("tr", { "data-trade": i }, ...columns.map((c) => h("td", {}, ...this.cell(typed, i, c, terms.get(c)))),
            h("td", {}, h("button", { type: "button", "aria-label": `remove trade ${i + 1}`, title: "Remove this trade", onclick: () => { this.trades.splice(i, 1); this.changed(); } }, "✕"))))))),
      others.length > 0 && h("div", { class: "in-a-row" }, h("label", { for: id }, "another column"), wanted));
  }

  private cell(typed: Typed, i: number, column: string, term: Term | undefined): HTMLElement[] {
    const fault = this.faults.find((f) => f.pointer.startsWith(`/add/${i}/`) && f.pointer.split("/").at(-1) === column);
    const id = `trade-${i}-${column}`;
    const text = typed[column] ?? "";
    const kind = term?.type ?? "string";
    const choices = /boolean/.test(kind) ? ["true", "false"] : [...kind.matchAll(/"([^"]+)"/g)].map((m) => m[1]!);
    const common = {
      id, "aria-label": `${column} of trade ${i + 1}`, "aria-invalid": fault ? "true" : null, "aria-describedby": fault ? `${id}-fault` : null,
      oninput: (e: Event) => { typed[column] = (e.target as HTMLInputElement).value; this.onchange(); },
    };
    const field = choices.length > 0 && (text === "" || choices.includes(text))
      ? h("select", common, h("option", { value: "" }, ""), ...choices.map((c) => h("option", { value: c, selected: c === text }, c)))
      : h("input", { ...common, value: text, inputmode: /number|integer/.test(kind) || column === "quantity" ? "decimal" : null, placeholder: /date/.test(kind) ? "2020-06-19" : term?.default && term.default !== "null" ? term.default : null, size: Math.max(8, Math.min(text.length + 1, 24)), autocomplete: "off" });
    return fault ? [field, h("small", { id: `${id}-fault`, class: "fault" }, fault.message)] : [field];
  }
}
