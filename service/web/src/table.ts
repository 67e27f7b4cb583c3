// Rows as a table that a screen reader reads and a spreadsheet takes.

import type { Row } from "./api";
import { h } from "./dom";
import { figure, words } from "./format";

export interface TableOptions {
  caption: string;
  columns?: readonly string[];
  /** The words over a column, where they are not its name. */
  head?: (column: string) => string;
  /** Makes the content of a cell, where it is more than the figure. */
  cell?: (row: Row, column: string) => Node | string;
  onrow?: (row: Row) => void;
}

const LONG = 40; // characters of a text that may take several lines

/** Columns of the rows, in the order in which they first stand. */
export function columnsOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** A table, sorted by a column when its head is pressed: descending first for figures, missing ones last. */
export function table(rows: readonly Row[], options: TableOptions): HTMLElement {
  const columns = options.columns ?? columnsOf(rows);
  const numeric = new Set(columns.filter((c) => rows.some((r) => typeof r[c] === "number") && rows.every((r) => r[c] == null || typeof r[c] === "number")));
  let order: { column: string; down: boolean } | undefined;
  const body = h("tbody");
  const heads = columns.map((column) => {
    const button = h("button", { type: "button", class: "sort", onclick: () => sort(column) }, (options.head ?? words)(column));
    return h("th", { scope: "col", class: numeric.has(column) ? "number" : null }, button);
  });

  function sort(column: string): void {
    order = { column, down: order?.column === column ? !order.down : numeric.has(column) };
    show();
  }

  function show(): void {
    const sorted = [...rows];
    if (order) {
      const { column, down } = order;
      const sign = down ? -1 : 1;
      sorted.sort((a, b) => {
        const [x, y] = [a[column], b[column]];
        if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
        return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
      });
    }
    heads.forEach((head, i) => head.setAttribute("aria-sort", columns[i] !== order?.column ? "none" : order?.down ? "descending" : "ascending"));
    body.replaceChildren(...sorted.map((row) => {
      const cells = columns.map((c) => {
        const content = options.cell ? options.cell(row, c) : figure(row[c]);
        const value = row[c];
        const long = typeof content === "string" && content.length > LONG ? "long" : null;
        return h("td", { class: numeric.has(c) ? (typeof value === "number" && value < 0 ? "number negative" : "number") : long }, content);
      });
      const press = options.onrow;
      return press
        ? h("tr", { tabindex: 0, class: "press", onclick: () => press(row), onkeydown: (e: KeyboardEvent) => { if (e.key === "Enter") press(row); } }, ...cells)
        : h("tr", {}, ...cells);
    }));
  }

  show();
  return h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": options.caption },
    h("table", {}, h("caption", {}, options.caption), h("thead", {}, h("tr", {}, ...heads)), body));
}

const plain = (value: unknown) => (value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** Rows as a spreadsheet takes them from the clipboard: the figures themselves, not as they are shown. */
export function asText(rows: readonly Row[], columns = columnsOf(rows)): string {
  const cell = (value: unknown) => plain(value).replace(/[\t\r\n]+/g, " ");
  return [columns.join("\t"), ...rows.map((row) => columns.map((c) => cell(row[c])).join("\t"))].join("\n");
}

/** The same rows as documents take them. */
export function asMarkup(rows: readonly Row[], columns = columnsOf(rows)): string {
  return h("table", {}, h("thead", {}, h("tr", {}, ...columns.map((c) => h("th", {}, c)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...columns.map((c) => h("td", {}, plain(row[c]))))))).outerHTML;
}

/** Rows as a CSV file; a text that a spreadsheet would run as a formula gets an apostrophe before it, as in the CSV of the API. */
export function asCsv(rows: readonly Row[], columns = columnsOf(rows)): string {
  const cell = (value: unknown) => {
    if (value == null) return "";
    const text = typeof value === "object" ? JSON.stringify(value) : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows.map((row) => columns.map((c) => row[c]))].map((line) => line.map(cell).join(",")).join("\r\n");
}
