// What the risk would be with these trades, without those, with half of that desk; saved as a branch, or found by a limit hedge.

import { type Answer, type Problem, type Row, get } from "../api";
import { Asking, asBody } from "../asking";
import { chart } from "../chart";
import { fill, h } from "../dom";
import { QuestionForm } from "../form";
import { figure, short, words } from "../format";
import { draft, fromAddress, inAddress, isKept, jsonOf } from "../kept";
import type { Opened, Page, View } from "../page";
import { type Question, questions } from "../questions";
import type { State } from "../state";
import { type Held, beginWithNewest, held, suggested } from "../suggestions";
import { table } from "../table";
import { Tabs } from "../tabs";
import { branchList, saveForm } from "./what_if/branches";
import { HedgePanel } from "./what_if/hedge";
import { type Line, Lines } from "./what_if/lines";
import { type Instrument, TradeTable } from "./what_if/trades";

const TABS = [
  { name: "result", title: "Before and after", about: "The figures before and after all changes, and of each change alone" },
  { name: "hedge", title: "Limit hedge", about: "The cheapest change that brings a measure under its limit" },
  { name: "branches", title: "Branches", about: "Changes that were saved under a name" },
];
const CHANGES = ["add", "remove", "scale", "replace"];

interface Changes { add: Row[]; remove: Line[]; scale: Line[]; replace: boolean }

const NONE: Changes = { add: [], remove: [], scale: [], replace: false };
const empty = (c: Changes): boolean => c.add.length + c.remove.length + c.scale.length === 0 && !c.replace;

export const whatIf: Page = {
  name: "what-if",
  title: "What-if",
  about: "Trades added, removed and scaled: the risk before and after; branches and the limit hedge.",
  async open(place, view) {
    const [all, lake, { rows }] = await Promise.all([questions(), held(), get<{ rows: Instrument[] }>("/instruments")]);
    await beginWithNewest(view.state, lake);
    return new WhatIfPage(place, view, all, lake, rows);
  },
};

class WhatIfPage implements Opened {
  private readonly asked: Question;
  private readonly hedge: Question;
  private readonly form: QuestionForm;
  private readonly tabs: Tabs;
  private readonly trades: TradeTable;
  private readonly remove: Lines;
  private readonly scale: Lines;
  private readonly replace = h("input", { type: "checkbox", id: "replace-book", onchange: () => this.typed() });
  private readonly note = h("p", { class: "notes", role: "status" });
  private read: string | undefined;
  private open: { tab: string; opened: Opened } | undefined;

  constructor(place: HTMLElement, private view: View, all: Map<string, Question>, lake: Held, instruments: readonly Instrument[]) {
    this.asked = all.get("what-if")!;
    this.hedge = all.get("limit-hedge")!;
    this.form = new QuestionForm({
      parameters: this.asked.parameters.filter((p) => !CHANGES.includes(p.name)), suggestions: suggested(lake),
      groups: [{ legend: "Book", names: ["as_of", "branch", "by", "where"] }, { legend: "Measures", names: ["measures", "levels", "interval"], closed: true }],
      submit: "Apply", onsubmit: (values) => this.view.set(values),
    }, view.state);
    this.trades = new TradeTable(instruments, lake.dimensions.filter((d) => d !== "trade" && d !== "instrument_type" && d !== "currency" && !d.startsWith("attribute.")), () => this.typed());
    this.remove = new Lines("remove", "Remove", "T1,T2 or desk=Rates;book=B1", () => this.typed());
    this.scale = new Lines("scale", "Scale", "desk=Rates*0.5, or *1.1 for the book", () => this.typed());
    this.tabs = new Tabs("what is shown", TABS, (tab) => this.view.set({ tab }));
    fill(place, h("h1", {}, "What-if"), h("div", { class: "two-columns what-if" },
      h("section", { "aria-label": "changes" },
        h("fieldset", {}, h("legend", {}, "Add trades"), this.trades.element, h("label", { class: "check" }, this.replace, " the book becomes exactly these trades")),
        this.remove.element, this.scale.element, this.note,
        h("p", { class: "in-a-row" }, h("button", { type: "button", class: "primary", onclick: () => this.send() }, "Try the changes"), h("button", { type: "button", onclick: () => this.clear() }, "Clear")),
        this.form.element),
      this.tabs.element));
    void this.update(view);
  }

  async update(view: View): Promise<void> {
    this.view = view;
    this.form.update(view.state);
    this.take(view.state);
    const tab = this.tabs.choose(view.state.one("tab"));
    if (this.open?.tab !== tab) this.open = { tab, opened: this.openTab(tab) };
    await this.open.opened.update(view);
  }

  private openTab(tab: string): Opened {
    const panel = h("div");
    fill(this.tabs.panel, panel);
    if (tab === "branches") return { update: () => branchList(panel, (changes, asOf) => this.use(changes, { as_of: asOf })) };
    if (tab === "hedge") return new HedgePanel(panel, this.hedge, this.view, (problem) => this.form.fault(problem), (changes) => this.use(changes));
    return this.result(panel);
  }

  private changes(): Changes {
    return { add: this.trades.values(), remove: this.remove.values(), scale: this.scale.values(), replace: this.replace.checked };
  }

  private put(changes: Changes): void {
    this.trades.put(changes.add);
    this.remove.put(changes.remove);
    this.scale.put(changes.scale);
    this.replace.checked = changes.replace;
  }

  /** The changes of the address, or what was typed and not tried. */
  private take(state: State): void {
    const sent = sentChanges(state);
    const key = JSON.stringify(sent);
    if (key === this.read) return;
    const unsent = this.read === undefined ? draft.get("what-if") : null;
    this.read = key;
    const kept = state.all("changes").some(isKept);
    this.note.textContent = sent === null
      ? "The changes of this address cannot be read here: long ones are kept in the tab in which they were entered. Open it there, or enter them again."
      : unsent ? "What was typed here and not tried is back." : kept ? "These changes are too long for an address: the link opens them in this tab alone. Save them as a branch to share them." : "";
    this.put(unsent ? JSON.parse(unsent) as Changes : sent ?? NONE);
  }

  private typed(): void {
    draft.put("what-if", JSON.stringify(this.changes()));
  }

  private send(): void {
    const changes = this.changes();
    draft.forget("what-if");
    this.view.set({ changes: empty(changes) ? null : inAddress([JSON.stringify(changes)]), add: null, remove: null, scale: null, tab: null });
  }

  private clear(): void {
    draft.forget("what-if");
    this.note.textContent = "";
    this.put(NONE);
    this.view.set({ changes: null, add: null, remove: null, scale: null });
  }

  /** Changes from elsewhere take the place of what is typed. */
  private use(changes: Row, more: Record<string, string> = {}): void {
    draft.forget("what-if");
    this.read = ""; // they are shown, even where the address has them already
    this.view.set({ changes: inAddress([JSON.stringify({ ...NONE, ...changes })]), tab: null, ...more });
  }

  private result(panel: HTMLElement): Opened {
    const place = h("section", { class: "answer", "aria-label": "before and after" });
    const saving = h("div");
    fill(panel, place, saving);
    const asking = new Asking(place, "what-if", (answer, where) => this.shown(answer, where), (problem) => this.fault(problem));
    return {
      update: async ({ state }) => {
        const sent = sentChanges(state);
        fill(saving);
        if (!state.one("as_of")) return fill(place, h("p", { class: "empty" }, "Name the date of the book."));
        if (!sent || empty(sent)) return fill(place, h("p", { class: "empty" }, "Add, remove or scale something, and press Try the changes."));
        place.setAttribute("aria-busy", "true");
        const names = this.asked.parameters.map((p) => p.name).filter((n) => !CHANGES.includes(n));
        const body = await asBody("what-if", state.only(names));
        await asking.ask({ ...body, ...sent });
        if (asking.answer) fill(saving, h("h2", {}, "Keep it"), saveForm(() => ({
          ...sent, as_of: body.as_of, ...(body.positions_date ? { positions_date: body.positions_date } : {}), ...(body.branch ? { upon: body.branch } : {}), ...(body.scenario_set ? { scenario_set: body.scenario_set } : {}),
        })));
      },
    };
  }

  private fault(problem: Problem): void {
    const rest = this.scale.fault(this.remove.fault(this.trades.fault(problem.faults)));
    if (rest.length === problem.faults.length) this.form.fault(problem);
  }

  private async shown(answer: Answer, place: HTMLElement): Promise<void> {
    const by = this.view.state.all("by");
    const total = answer.total ?? {};
    const names = Object.keys(total).filter((n) => n.endsWith("_before") && typeof total[n] !== "string").map((n) => n.replace(/_before$/, ""));
    const rows = names.map((n): Row => {
      const row: Row = { figure: words(n), before: total[`${n}_before`], after: total[`${n}_after`], change: total[`${n}_incremental`] ?? total[`${n}_change`] };
      for (const [column, part] of [["low", "incremental_low"], ["high", "incremental_high"], ["marginal", "marginal"]] as const) if (`${n}_${part}` in total) row[column] = total[`${n}_${part}`];
      return row;
    });
    const measures = names.filter((n) => `${n}_incremental` in total);
    const picture = h("div");
    const choose = h("select", { id: "what-if-measure", onchange: () => void draw() }, ...measures.map((m) => h("option", { value: m }, words(m))));
    const member = (row: Row) => by.map((b) => figure(row[b])).join(" · ");
    const lines = [{ name: "all together", row: total }, ...(by.length > 0 ? answer.rows.map((row) => ({ name: member(row), row })) : [])];
    const draw = async () => {
      fill(picture);
      const side = (when: "before" | "after") => ({ name: when, type: "bar", data: lines.map((l) => l.row[`${choose.value}_${when}`] ?? null) });
      await chart(picture, `${words(choose.value)} before and after: ${lines.map((l) => `${l.name} ${figure(l.row[`${choose.value}_before`])} to ${figure(l.row[`${choose.value}_after`])}`).join("; ")}`, {
        legend: { data: ["before", "after"], top: 0 }, grid: { left: 10, right: 20, top: 36, bottom: 10, containLabel: true }, tooltip: { trigger: "axis" },
        xAxis: { type: "value", axisLabel: { formatter: short } }, yAxis: { type: "category", inverse: true, data: lines.map((l) => l.name) }, series: [side("before"), side("after")],
      }, 90 + 44 * lines.length);
    };
    const failures = answer.failures as Row[];
    place.append(table(rows, { caption: "All together, before and after" }));
    if (failures.length > 0) place.append(table(failures, { caption: "Added trades that have no value, and why: they are in no number" }));
    place.append(h("div", { class: "field" }, h("label", { for: "what-if-measure" }, "picture of"), choose), picture);
    if (by.length > 0) place.append(table(answer.rows, { caption: `By ${by.map(words).join(", ")}: the groups that the changes touch` }));
    place.append(table(answer.items as Row[], { caption: "Each change alone" }));
    await draw();
  }
}

/** The changes that the address has; null where they cannot be read, such as those kept in another tab. */
function sentChanges(state: State): Changes | null {
  const value = state.one("changes");
  if (value !== null) {
    const read = jsonOf(fromAddress(value) ?? "");
    return typeof read === "object" && read !== null ? { ...NONE, ...read } : null;
  }
  return { ...NONE, remove: state.all("remove"), scale: state.all("scale") };
}
