// A list of the API as a table, page after page.

import { get, type Row } from "./api";
import { shownProblem } from "./asking";
import { fill, h } from "./dom";
import { figure, words } from "./format";
import { table, type TableOptions } from "./table";

export interface ListingOptions extends Omit<TableOptions, "caption"> {
  title: string;
  path: string;
  parameters?: URLSearchParams;
  /** Said where the list is empty. */
  empty: string;
  /** The newest first, of lists that have them last. */
  reversed?: boolean;
  wide?: boolean;
}

/** A section with the list; it loads by itself. */
export function listing(options: ListingOptions): HTMLElement {
  const body = h("div", { "aria-busy": "true" }, h("p", { class: "loading" }, "Being loaded …"));
  const rows: Row[] = [];
  async function load(cursor?: string): Promise<void> {
    try {
      const parameters = new URLSearchParams(options.parameters);
      if (cursor) parameters.set("cursor", cursor);
      const page = await get<{ rows: Row[]; next_cursor?: string | null }>(options.path, parameters);
      rows.push(...page.rows);
      const following = page.next_cursor;
      if (rows.length === 0) fill(body, h("p", { class: "empty" }, options.empty));
      else {
        const columns = options.columns ?? [...new Set(rows.flatMap((r) => Object.entries(r).filter(([, v]) => v === null || typeof v !== "object" || Array.isArray(v)).map(([k]) => k)))];
        fill(body, table(options.reversed ? rows.toReversed() : rows, { caption: `${figure(rows.length)} rows${following ? " and more" : ""}`, columns, cell: options.cell ?? shownCell, onrow: options.onrow }),
          following && h("button", { type: "button", onclick: () => void load(following) }, "More"));
      }
    } catch (error) {
      fill(body, shownProblem(error));
    }
    body.removeAttribute("aria-busy");
  }
  void load();
  return h("section", { class: options.wide ? "panel wide" : "panel", "aria-label": options.title }, h("h2", {}, options.title), body);
}

/** A cell of a list: several values by commas, instants to the second. */
export function shownCell(row: Row, column: string): string {
  const value = row[column];
  if (Array.isArray(value)) return value.map((v) => figure(v)).join(", ") || "–";
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return `${value.slice(0, 19).replace("T", " ")} UTC`;
  return figure(value);
}

/** Whatever a report or a state says: figures and texts as pairs, lists of texts as lists, rows as tables. `rowsOf` adds to a table. */
export function told(value: Row, rowsOf: (name: string, rows: Row[]) => Node | false = () => false): HTMLElement {
  const pairs: Node[] = [];
  const parts: Node[] = [];
  for (const [name, v] of Object.entries(value)) {
    if (Array.isArray(v) && v.length > 0 && typeof v[0] === "object" && v[0] !== null) {
      const more = rowsOf(name, v as Row[]);
      parts.push(h("div", {}, table(v as Row[], { caption: `${words(name)}: ${figure(v.length)}`, cell: shownCell }), more));
    } else if (name === "notes" && Array.isArray(v)) {
      if (v.length > 0) parts.push(h("ul", { class: "notes" }, ...v.map((n) => h("li", {}, String(n)))));
    } else if (v !== null && typeof v === "object" && !Array.isArray(v)) {
      if (Object.keys(v).length > 0) parts.push(h("details", {}, h("summary", {}, words(name)), told(v as Row, rowsOf)));
    } else if (!(Array.isArray(v) && v.length === 0)) pairs.push(h("dt", {}, words(name)), h("dd", {}, shownCell(value, name)));
  }
  return h("div", { class: "told" }, pairs.length > 0 && h("dl", {}, ...pairs), ...parts);
}
