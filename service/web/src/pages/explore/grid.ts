// The pivot as a tree grid (WAI-ARIA treegrid): all keys work, and of many thousand rows only those in sight are in the page.

import type { Row } from "../../api";
import { h } from "../../dom";
import type { Shown } from "../../exports";
import { figure, words } from "../../format";
import type { Column, Node, Pivot } from "./pivot";

const ROW_PX = 26;
const BEYOND = 12;
const LABEL = "label";
const TYPED_MS = 800;

export interface GridActions {
  open(node: Node, open: boolean): void;
  sort(column: string): void;
  select(node: Node): void;
  /** The pointer or the focus has come to a node: what it holds may be wanted next. */
  near(node: Node): void;
}

interface Line { node: Node; place: number; of: number }

let made = 0;

export class Grid {
  readonly element: HTMLElement;
  private readonly id = `grid-${++made}`;
  private readonly table = h("table", { role: "treegrid", tabindex: 0, class: "pivot", "aria-readonly": "true", "aria-label": "pivot" });
  private readonly head = h("thead");
  private readonly body = h("tbody");
  private pivot: Pivot | undefined;
  private lines: Line[] = [];
  private columns: Column[] = [];
  private heat: Map<string, number> | null = null;
  private loading = new Set<string>();
  private openKeys: ReadonlySet<string> = new Set();
  private at = { row: 0, column: 0 };
  private selected = "";
  private typed = { text: "", when: 0 };
  private drawn: number | undefined;
  /** What of the rows is in sight. Kept, since to ask the browser makes it lay out the page anew. */
  private readonly seen = { top: 0, height: 800 };

  constructor(private readonly actions: GridActions) {
    this.table.append(this.head, this.body);
    this.element = h("div", { class: "pivot-scroll" }, this.table);
    this.element.addEventListener("scroll", () => { this.seen.top = this.element.scrollTop; this.later(); });
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("pointerover", (event) => {
      const line = this.lineOf(event.target as Element);
      if (line) this.actions.near(line.node);
    });
    new ResizeObserver(() => { this.seen.height = this.element.clientHeight; this.later(); }).observe(this.element);
  }

  /** Shows the pivot with these nodes open; the place of the cursor stays where its node still is. */
  show(pivot: Pivot, open: ReadonlySet<string>, loading: ReadonlySet<string>, selected: string, heat: boolean): void {
    const before = this.lines[this.at.row]?.node.key;
    this.pivot = pivot;
    this.openKeys = open;
    this.loading = new Set(loading);
    this.selected = selected;
    this.lines = pivot.shown(open);
    this.columns = pivot.columns();
    this.heat = heat ? this.greatest() : null;
    const here = this.lines.findIndex((l) => l.node.key === (before ?? selected));
    this.at = { row: Math.max(0, here), column: Math.min(this.at.column, this.width - 1) };
    this.heads();
    this.table.setAttribute("aria-rowcount", String(this.lines.length + this.headRows));
    this.table.setAttribute("aria-colcount", String(this.width));
    this.table.setAttribute("aria-busy", String(loading.size > 0));
    this.draw();
  }

  /** What is shown, as rows for a file or the clipboard: the figures as they came. */
  rows(): Row[] {
    const { pivot } = this;
    if (!pivot) return [];
    return this.lines.map(({ node }) => ({
      ...Object.fromEntries(pivot.asked.rows.map((d, i) => [d, i < node.path.length ? (i === node.path.length - 1 ? node.label : node.path[i]) : null])),
      covered: coverage(node),
      ...Object.fromEntries(this.columns.map((c) => [[...c.members.map((m) => m ?? "(none)"), c.figure.title].join(" · "), pivot.value(node, c) ?? null])),
    }));
  }

  /** The same for a file, which has the depth of each node too, and the answers that the figures are from. */
  shown(): Shown {
    const answers = this.lines.flatMap(({ node }) => Object.values(node.answers));
    return { rows: this.rows().map((row, i) => ({ level: this.lines[i]?.node.path.length ?? 0, ...row })), answers: [...new Set(answers)] };
  }

  focus(): void {
    this.table.focus();
  }

  private get width(): number {
    return 2 + this.columns.length; // the node, what of it is covered, and the figures
  }

  private get headRows(): number {
    return (this.pivot?.asked.columns.length ?? 0) + 1;
  }

  /** The greatest figure of each column without regard to sign, of the rows below the total: what shading is measured by. */
  private greatest(): Map<string, number> {
    const most = new Map<string, number>();
    for (const column of this.columns) {
      for (const { node } of this.lines.slice(1)) {
        const value = this.pivot?.value(node, column);
        if (typeof value === "number") most.set(column.id, Math.max(most.get(column.id) ?? 0, Math.abs(value)));
      }
    }
    return most;
  }

  private heads(): void {
    const { asked } = this.pivot as Pivot;
    const rows: HTMLElement[] = [];
    asked.columns.forEach((dimension, depth) => {
      const row = h("tr", { "aria-rowindex": rows.length + 1 });
      row.append(h("th", { class: "corner", colspan: 2, scope: "row" }, words(dimension)));
      for (let i = 0; i < this.columns.length;) {
        const name = (c: Column | undefined) => (c?.members.length ? JSON.stringify(c.members.slice(0, depth + 1)) : "[]");
        let span = 1;
        while (i + span < this.columns.length && name(this.columns[i + span]) === name(this.columns[i])) span++;
        const { members } = this.columns[i] as Column;
        row.append(h("th", { colspan: span, scope: "colgroup", class: "member" }, members.length ? (members[depth] ?? "(none)") : depth === 0 ? "Total" : ""));
        i += span;
      }
      rows.push(row);
    });
    const last = h("tr", { "aria-rowindex": rows.length + 1 },
      this.sorter(LABEL, asked.rows.map(words).join(" › ") || "all positions", 0, ""),
      h("th", { scope: "col", "aria-colindex": 2, class: "number", title: "positions with a value, of those of the node" }, "covered"),
      ...this.columns.map((c, i) => this.sorter(c.id, c.figure.title, i + 2, [...c.members.map((m) => m ?? "(none)"), c.figure.title].join(", "))));
    this.head.replaceChildren(...rows, last);
  }

  private sorter(column: string, title: string, place: number, label: string): HTMLElement {
    const { sort } = (this.pivot as Pivot).asked;
    const order = sort?.column === column ? (sort.down ? "descending" : "ascending") : "none";
    const button = h("button", { type: "button", class: "sort", tabindex: -1, title: "sort", onclick: () => this.actions.sort(column) }, title);
    return h("th", { scope: "col", "aria-sort": order, "aria-colindex": place + 1, class: place ? "number" : "corner", "aria-label": label || null, "data-column": column }, button);
  }

  private later(): void {
    this.drawn ??= requestAnimationFrame(() => { this.drawn = undefined; this.draw(); });
  }

  /** Draws the rows in sight, and a little beyond. */
  private draw(): void {
    if (!this.pivot) return;
    const first = Math.min(Math.max(0, Math.floor(this.seen.top / ROW_PX) - BEYOND), Math.max(0, this.lines.length - 1));
    const last = Math.min(this.lines.length, first + Math.ceil(this.seen.height / ROW_PX) + 2 * BEYOND);
    const rows = this.lines.slice(first, last).map((line, i) => this.line(line, first + i));
    this.body.replaceChildren(gap(first), ...rows, gap(this.lines.length - last));
    const active = document.getElementById(`${this.id}-${this.at.row}-${this.at.column}`);
    if (active) this.table.setAttribute("aria-activedescendant", active.id);
    else this.table.removeAttribute("aria-activedescendant");
  }

  private line({ node, place, of }: Line, row: number): HTMLElement {
    const pivot = this.pivot as Pivot;
    const open = this.openKeys.has(node.key);
    const expandable = node !== pivot.root && pivot.canOpen(node);
    const level = node.path.length + 1;
    const cell = (column: number) => ({ id: `${this.id}-${row}-${column}`, "aria-colindex": column + 1 });
    const active = (column: number, more = "") => `${more}${this.at.row === row && this.at.column === column ? " active" : ""}`.trim() || null;
    const toggle = expandable ? h("span", { class: "toggle", "aria-hidden": "true" }, this.loading.has(node.key) ? "…" : open ? "▾" : "▸") : h("span", { class: "toggle", "aria-hidden": "true" });
    const label = h("th", { ...cell(0), scope: "row", role: "rowheader", class: active(0, "node"), title: node.label }, toggle, node.label);
    label.style.paddingLeft = `${0.3 + 1.1 * (level - 1)}rem`;
    if (node.problem) label.append(h("span", { class: "fault", title: node.problem.message }, ` ${node.problem.title}`));
    const { text, hole, meaning } = covered(node);
    const cells = this.columns.map((column, i) => {
      const value = pivot.value(node, column);
      const lacking = holes(node.cells.get(JSON.stringify(column.members))?.[column.source]);
      const td = h("td", { ...cell(i + 2), class: active(i + 2, `number${typeof value === "number" && value < 0 ? " negative" : ""}${lacking ? " hole" : ""}`), title: lacking },
        value === undefined ? "" : figure(value));
      const most = this.heat?.get(column.id);
      if (most && typeof value === "number" && node !== pivot.root) {
        const share = Math.round((35 * Math.abs(value)) / most);
        td.style.background = `color-mix(in srgb, var(${value < 0 ? "--bad" : "--accent"}) ${share}%, transparent)`;
      }
      return td;
    });
    return h("tr", {
      "aria-level": level, "aria-posinset": place, "aria-setsize": of, "aria-rowindex": row + this.headRows + 1, "data-row": row, "data-key": node.key,
      "aria-expanded": expandable ? String(open) : null, "aria-selected": String(node.key === this.selected), class: node === pivot.root ? "total" : null,
    }, label, h("td", { ...cell(1), class: active(1, hole ? "number hole" : "number"), title: meaning }, text), ...cells);
  }

  private lineOf(target: Element): Line | undefined {
    const row = target.closest<HTMLElement>("tr[data-row]")?.dataset.row;
    return row === undefined ? undefined : this.lines[Number(row)];
  }

  private click(event: MouseEvent): void {
    const target = event.target as Element;
    const line = this.lineOf(target);
    if (!line) return;
    const column = Number(target.closest("[aria-colindex]")?.getAttribute("aria-colindex") ?? 1) - 1;
    this.at = { row: this.lines.indexOf(line), column };
    this.table.focus({ preventScroll: true });
    if (target.closest(".toggle") && this.expandable(line.node)) this.actions.open(line.node, !this.openKeys.has(line.node.key));
    else this.actions.select(line.node);
    this.draw();
  }

  private expandable(node: Node): boolean {
    return node !== this.pivot?.root && this.pivot?.canOpen(node) === true;
  }

  private key(event: KeyboardEvent): void {
    const line = this.lines[this.at.row];
    if (!line || (event.target as Element).closest("button")) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 3);
    const whole = event.ctrlKey || event.metaKey;
    const open = this.openKeys.has(line.node.key);
    const move = (row: number, column = this.at.column) => this.go(row, column);
    switch (event.key) {
      case "ArrowDown": move(this.at.row + 1); break;
      case "ArrowUp": move(this.at.row - 1); break;
      case "PageDown": move(this.at.row + page); break;
      case "PageUp": move(this.at.row - page); break;
      case "Home": if (whole) move(0, 0); else move(this.at.row, 0); break;
      case "End": if (whole) move(this.lines.length - 1, this.width - 1); else move(this.at.row, this.width - 1); break;
      case "ArrowRight":
        if (this.at.column === 0 && this.expandable(line.node) && !open) this.actions.open(line.node, true);
        else move(this.at.row, this.at.column + 1);
        break;
      case "ArrowLeft":
        if (this.at.column > 0) move(this.at.row, this.at.column - 1);
        else if (open) this.actions.open(line.node, false);
        else move(this.parentOf(this.at.row));
        break;
      case "Enter":
        if (event.shiftKey) { if (this.at.column !== 1) this.actions.sort(this.at.column === 0 ? LABEL : (this.columns[this.at.column - 2] as Column).id); }
        else if (this.at.column === 0 && this.expandable(line.node)) this.actions.open(line.node, !open);
        else this.actions.select(line.node);
        break;
      case " ": this.actions.select(line.node); break;
      default:
        if (event.key.length !== 1 || whole || event.altKey) return;
        this.type(event.key);
    }
    event.preventDefault();
  }

  private go(row: number, column: number): void {
    this.at = { row: Math.min(Math.max(0, row), this.lines.length - 1), column: Math.min(Math.max(0, column), this.width - 1) };
    const [top, head, seen] = [this.at.row * ROW_PX, this.head.offsetHeight, this.element.clientHeight];
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + head + ROW_PX > this.element.scrollTop + seen) this.element.scrollTop = top + head + ROW_PX - seen;
    this.seen.top = this.element.scrollTop;
    this.draw();
    const cell = document.getElementById(`${this.id}-${this.at.row}-${this.at.column}`);
    if (this.at.column > 0) cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
    else this.element.scrollLeft = 0;
    const line = this.lines[this.at.row];
    if (line) this.actions.near(line.node);
  }

  private parentOf(row: number): number {
    const level = this.lines[row]?.node.path.length ?? 0;
    for (let i = row - 1; i >= 0; i--) if ((this.lines[i]?.node.path.length ?? 0) < level) return i;
    return row;
  }

  /** To the next row whose name begins with what is being typed. */
  private type(letter: string): void {
    const now = performance.now();
    this.typed = { text: (now - this.typed.when < TYPED_MS ? this.typed.text : "") + letter.toLowerCase(), when: now };
    const { text } = this.typed;
    const from = text.length > 1 ? this.at.row : this.at.row + 1;
    const n = this.lines.length;
    for (let i = 0; i < n; i++) {
      const row = (from + i) % n;
      if (this.lines[row]?.node.label.toLowerCase().startsWith(text)) { this.go(row, this.at.column); return; }
    }
  }
}

function gap(rows: number): HTMLElement {
  const row = h("tr", { "aria-hidden": "true", class: "gap" });
  row.style.height = `${rows * ROW_PX}px`;
  row.hidden = rows === 0;
  return row;
}

/** What a reader must know of positions that are not in the figures; null where all are. */
function holes(row: Row | undefined): string | null {
  if (!row || typeof row.covered !== "number" || row.covered === row.positions) return null;
  const why = ["failed", "missing"].filter((k) => Number(row[k]) > 0).map((k) => `${figure(row[k])} ${k}`);
  return `${figure(row.covered)} of ${figure(row.positions)} positions are in the figures: ${why.join(", ")}`;
}

function covered(node: Node): { text: string; hole: boolean; meaning: string } {
  const row = node.cells.get("[]")?.var ?? {};
  const hole = holes(row);
  const substituted = Number(row.substituted) > 0 ? `${figure(row.substituted)} rest on substituted market data` : "";
  return { text: coverage(node), hole: hole !== null, meaning: [hole ?? `all ${figure(row.covered)} positions`, substituted].filter(Boolean).join("; ") };
}

function coverage(node: Node): string {
  const row = node.cells.get("[]")?.var ?? {};
  return row.covered === row.positions ? figure(row.covered) : `${figure(row.covered)} of ${figure(row.positions)}`;
}
