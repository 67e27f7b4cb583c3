// Why a number changed: the same question at two points, by member and by cause, with what is beyond sampling error.

import type { Answer, Row } from "../api";
import { Asking, asBody } from "../asking";
import { chart } from "../chart";
import { fill, h } from "../dom";
import { QuestionForm } from "../form";
import { figure, short, words } from "../format";
import type { Opened, Page, View } from "../page";
import { type Question, questions } from "../questions";
import type { State } from "../state";
import { type Held, beginWith, held, suggested, valuedDates } from "../suggestions";
import { table } from "../table";
import { Tabs } from "../tabs";
import { type Cause, waterfall } from "./compare/waterfall";

const TABS = [
  { name: "change", title: "Change", about: "The figures at both points and their difference, by member", question: "compare" },
  { name: "causes", title: "Causes", about: "What the change is made of: trades, market, window, tail", question: "explain" },
  { name: "drivers", title: "Drivers", about: "The few members that explain most of the change", question: "drivers" },
  { name: "pnl", title: "P&L explain", about: "What the book is worth on both dates, and why", question: "pnl-explain" },
  { name: "reconcile", title: "Reconcile", about: "Another system's number at the second point, and the convention that gives it", question: "reconcile" },
] as const;

const POINT = ["positions_date", "market_date", "scenario_set", "valuation_set", "branch", "as_known"];
const GROUPS = [
  { legend: "From", names: ["from"] },
  { legend: "More of the first point", names: POINT.map((n) => `from_${n}`), closed: true },
  { legend: "To", names: ["to"] },
  { legend: "More of the second point", names: POINT.map((n) => `to_${n}`), closed: true },
  { legend: "What", names: ["by", "where", "measures", "levels", "interval"] },
];
/** Parameters that only one of the tabs takes, and that stand in it. */
const OF_TABS: Record<string, readonly string[]> = { explain: ["method"], drivers: ["max", "over"], reconcile: ["theirs", "tolerance"] };

export const compare: Page = {
  name: "compare",
  title: "Compare",
  about: "Two dates or any two points: what changed, by member and cause, and how sure that is.",
  async open(place, view) {
    const [all, lake] = await Promise.all([questions(), held()]);
    if (!view.state.one("from") || !view.state.one("to")) {
      const [to, from] = await valuedDates();
      beginWith(view.state, { from, to, by: lake.dimensions.find((d) => d === "desk"), interval: "0.95" });
    }
    return new ComparePage(place, view, all, lake);
  },
};

class ComparePage implements Opened {
  private readonly tabs: Tabs;
  private readonly form: QuestionForm;
  private readonly asked: Question;
  private shown: { tab: string; head: HTMLElement; form: QuestionForm | undefined; asking: Asking; drill: Asking | undefined; key: string } | undefined;

  constructor(place: HTMLElement, private view: View, private readonly all: Map<string, Question>, private readonly lake: Held) {
    this.asked = all.get("compare")!;
    this.form = new QuestionForm({
      parameters: this.asked.parameters, groups: GROUPS, suggestions: suggested(lake), submit: "Compare",
      onsubmit: (values) => view.set({ ...values, cell: null }),
    }, view.state);
    this.tabs = new Tabs("what is asked of the two points", TABS, (tab) => view.set({ tab, cell: null }));
    fill(place, h("h1", {}, "Compare"), h("div", { class: "two-columns" },
      h("section", { "aria-label": "the two points" }, h("button", { type: "button", class: "swap", onclick: () => this.swap() }, "Swap the two points"), this.form.element),
      this.tabs.element));
    void this.update(view);
  }

  async update(view: View): Promise<void> {
    this.view = view;
    const { state } = view;
    this.form.update(state);
    const name = this.tabs.choose(state.one("tab"));
    if (!state.one("from") || !state.one("to")) {
      this.shown = undefined;
      return fill(this.tabs.panel, h("p", { class: "empty" }, this.lake.dates.length < 2
        ? "There is only one book to compare: bring in positions of another date, or give the two points their branches or scenario sets."
        : "Name the two points and press Compare."));
    }
    const tab = TABS.find((t) => t.name === name)!;
    const question = this.all.get(tab.question)!;
    const given = parametersOf(question, state);
    if (this.shown?.tab !== name) this.open(tab, question, state);
    const shown = this.shown!;
    shown.form?.update(state);
    this.head(shown.head, question, state);
    const missing = question.parameters.filter((p) => p.required && !given.has(p.name));
    // a cell that is opened or closed asks nothing anew
    const key = `${given}`;
    if (missing.length > 0) fill(shown.asking.place, h("p", { class: "empty" }, `Give ${missing.map((p) => words(p.name)).join(", ")} above.`));
    else if (key === shown.key && shown.asking.answer) this.causes(shown.asking.answer, shown.asking.place);
    else await shown.asking.ask(given);
    shown.key = key;
    if (shown.drill) await this.drill(shown.drill, state);
  }

  private open(tab: (typeof TABS)[number], question: Question, state: State): void {
    const place = h("section", { class: "answer", "aria-label": tab.title });
    const drill = tab.name === "causes" ? h("section", { class: "answer", "aria-label": "trades and scenarios" }) : undefined;
    const show = {
      change: (a: Answer, p: HTMLElement) => this.change(a, p), causes: (a: Answer, p: HTMLElement) => this.explained(a, p),
      drivers: (a: Answer, p: HTMLElement) => this.drivers(a, p), pnl: (a: Answer, p: HTMLElement) => this.pnl(a, p),
      reconcile: (a: Answer, p: HTMLElement) => this.reconcile(a, p),
    }[tab.name];
    const own = OF_TABS[question.name]?.flatMap((n) => question.parameters.find((p) => p.name === n) ?? []) ?? [];
    const form = own.length > 0 ? new QuestionForm({
      parameters: own, groups: [{ legend: tab.title, names: own.map((p) => p.name) }], suggestions: suggested(this.lake),
      submit: "Ask", onsubmit: (values) => this.view.set(values),
    }, state) : undefined;
    if (form) form.element.classList.add("in-a-row");
    const asking = new Asking(place, question.name, show, (problem) => { this.form.fault(problem); form?.fault(problem); });
    const head = h("div");
    this.shown = {
      tab: tab.name, head, form, asking, key: "",
      drill: drill && new Asking(drill, "explain-drill", (a, p) => shownCell(a, p)),
    };
    fill(this.tabs.panel, h("p", { class: "faint" }, question.meaning), head, form?.element, place, drill);
  }

  /** Which measure a tab that takes one is of, and what of the page it does not take. */
  private head(place: HTMLElement, question: Question, state: State): void {
    const focused = place.contains(document.activeElement) ? document.activeElement?.id : undefined;
    fill(place, ["explain", "drivers", "reconcile"].includes(question.name) && this.oneMeasure(question), leftOut(question, this.asked, state));
    if (focused) document.getElementById(focused)?.focus();
  }

  /** Causes are of one measure: which of those that the page asks for. */
  private oneMeasure(question: Question): HTMLElement {
    const several = question.parameters.find((p) => p.name === "measures" || p.name === "measure");
    const [measure, level] = ofOne(this.view.state);
    const field = h("select", { id: "one-measure", onchange: () => this.view.set({ measure: field.value, cell: null }) },
      ...(several?.choices ?? []).map((c) => h("option", { value: c, selected: c === measure }, c)));
    const at = h("input", { id: "one-level", value: level, inputmode: "decimal", onchange: () => this.view.set({ level: at.value, cell: null }) });
    return h("div", { class: "in-a-row" }, h("div", { class: "field" }, h("label", { for: "one-measure" }, "measure"), field), h("div", { class: "field" }, h("label", { for: "one-level" }, "level"), at));
  }

  private swap(): void {
    const { state } = this.view;
    const swapped: Record<string, string | null> = {};
    for (const n of ["", ...POINT.map((p) => `_${p}`)]) {
      swapped[`from${n}`] = state.one(`to${n}`);
      swapped[`to${n}`] = state.one(`from${n}`);
    }
    this.view.set(swapped);
    this.form.update(this.view.state);
  }

  private change(answer: Answer, place: HTMLElement): void {
    const by = byOf(this.view.state);
    const total = answer.total ?? {};
    const names = Object.keys(total).filter((n) => n.endsWith("_change")).map((n) => n.replace(/_change$/, ""));
    const rows = names.map((n): Row => {
      const [low, high] = [total[`${n}_change_low`], total[`${n}_change_high`]];
      return { figure: words(n), from: total[`${n}_from`], to: total[`${n}_to`], change: total[`${n}_change`], ...(low === undefined ? {} : { low, high, sure: sure(low, high) }) };
    });
    place.append(table(rows, { caption: `All together: ${pointText(this.view.state, "from")} to ${pointText(this.view.state, "to")}` }));
    if (by.length === 0) return;
    const measured = names.filter((n) => `${n}_change_low` in total || (n !== "positions" && n !== "base_value" && !/_(standalone_sum|diversification)$/.test(n)));
    const columns = [...by, "change", ...measured.flatMap((n) => [`${n}_from`, `${n}_to`, `${n}_change`, `${n}_change_low`, `${n}_change_high`]), ...["base_value", "positions"].flatMap((n) => [`${n}_from`, `${n}_to`, `${n}_change`])];
    const there = new Set(answer.rows.flatMap((r) => Object.keys(r)));
    place.append(h("p", { class: "faint" }, "Press a row to see the causes of its change."), table(answer.rows, {
      caption: `By ${by.map(words).join(", ")}`, columns: columns.filter((c) => there.has(c)),
      onrow: (row) => this.view.set({ tab: "causes", cell: JSON.stringify(Object.fromEntries(by.map((b) => [b, row[b]]))) }),
    }));
  }

  private async explained(answer: Answer, place: HTMLElement): Promise<void> {
    const { state } = this.view;
    const causes = answer.causes as Cause[];
    await waterfall(place, {
      measure: String(answer.measure), names: [pointText(state, "from"), pointText(state, "to")],
      before: answer.before as unknown as number, after: answer.after as unknown as number, causes, residual: Number(answer.residual),
      onpress: (cause) => this.press({ cause }),
    });
    place.append(
      h("p", { class: "faint" }, "Red adds to the risk, green takes from it", answer.change_interval ? "; grey is within sampling error, and a line is the sampling interval." : ". Give an interval to see what is beyond sampling error."),
      h("div", { class: "causes" }));
    this.causes(answer, place);
  }

  /** The causes of all together, and by member; of one cause where one is chosen. */
  private causes(answer: Answer, place: HTMLElement): void {
    const box = place.querySelector(".causes");
    if (!box) return;
    const cell = cellOf(this.view.state);
    const causes = (answer.causes as Cause[]).map((c): Row => ({ cause: words(c.cause), value: c.value, ...(c.low === undefined ? {} : { low: c.low, high: c.high, sure: c.within_error ? "within sampling error" : "beyond sampling error" }), meaning: c.meaning, name: c.cause }));
    const interval = answer.change_interval as { low: number; high: number; within_error: boolean } | null;
    const whole = { cause: "change", value: answer.change, ...(interval ? { low: interval.low, high: interval.high, sure: interval.within_error ? "within sampling error" : "beyond sampling error" } : {}), meaning: `from ${figure(answer.before)} to ${figure(answer.after)}`, name: "" };
    const rows = [...causes, { cause: "residual", value: answer.residual, meaning: "what the causes do not add up to: rounding", name: "" }, whole];
    const columns = ["cause", "value", ...(interval ? ["low", "high", "sure"] : []), "meaning"];
    const by = byOf(this.view.state);
    const chosen = typeof cell.cause === "string" ? cell.cause : undefined;
    const members = answer.rows.filter((r) => by.every((b) => !(b in cell) || cell[b] === r[b]));
    const shownCauses = chosen ? [chosen] : causes.map((c) => String(c.name));
    const had = box.contains(document.activeElement);
    fill(box,
      table(rows, { caption: `Causes of the change of ${words(String(answer.measure))}`, columns, cell: wrapped, onrow: (row) => { if (row.name) this.press({ cause: String(row.name) }); } }),
      Object.keys(cell).length > 0 && h("p", {}, "Shown: ", h("strong", {}, Object.entries(cell).map(([k, v]) => `${words(k)} ${figure(v)}`).join(", ")), " ", h("button", { type: "button", class: "show-all", onclick: () => this.view.set({ cell: null }) }, "Show all")),
      table(members, {
        caption: by.length > 0 ? `By ${by.map(words).join(", ")} and cause; press a row for its trades and scenarios` : "By cause",
        columns: [...by, "before", "after", "change", ...shownCauses],
        onrow: (row) => this.press(Object.fromEntries(by.map((b) => [b, row[b]]))),
      }));
    if (had) box.querySelector<HTMLElement>(".show-all, tr.press")?.focus();
    const changed = answer.revaluation as string[] | undefined;
    if (changed?.length) box.append(h("p", { class: "faint" }, `What revaluation may be: ${changed.join("; ")}.`));
  }

  private press(part: Row): void {
    this.view.set({ cell: JSON.stringify({ ...cellOf(this.view.state), ...part }) });
  }

  private async drill(asking: Asking, state: State): Promise<void> {
    const cell = cellOf(state);
    const question = this.all.get("explain-drill")!;
    if (Object.keys(cell).length === 0 || (state.one("method") ?? "causes") !== "causes") {
      return fill(asking.place, Object.keys(cell).length > 0 && h("p", { class: "faint" }, "Cells open to trades and scenarios where the method is causes: an attribution path has no trades of its own."));
    }
    const { interval, ...body } = await asBody("explain-drill", parametersOf(question, state));
    await asking.ask({ ...body, cell, limit: 100 });
  }

  private async drivers(answer: Answer, place: HTMLElement): Promise<void> {
    place.append(h("p", {}, `${words(String(answer.measure))} from ${figure(answer.before)} to ${figure(answer.after)}: a change of `, h("strong", {}, figure(answer.change)), `. What no driver holds is ${figure(answer.unexplained)} of the scale of the change.`));
    const rows: Row[] = [...(answer.drivers as Row[]), { ...(answer.rest as Row), driver: "the rest" }].map((r) => ({ driver: r.driver, ...r, members: undefined, overlaps: undefined }));
    const columns = Object.keys(answer.rest as Row);
    await chart(place, `Change by driver: ${rows.map((r) => `${r.driver} ${figure(r.change)}`).join("; ")}`, {
      grid: { left: 10, right: 40, top: 10, bottom: 30, containLabel: true },
      xAxis: { type: "value", axisLabel: { formatter: short } },
      yAxis: { type: "category", inverse: true, data: rows.map((r) => String(r.driver)), axisLabel: { width: 380, overflow: "break" } },
      series: [{ type: "bar", data: rows.map((r) => ({ value: r.change as number, itemStyle: { color: (r.change as number) > 0 ? "#c65b58" : "#3f9272" } })) }],
    }, 60 + 56 * rows.length);
    place.append(table(rows, { caption: "Drivers of the change", columns: ["driver", ...columns] }));
  }

  private pnl(answer: Answer, place: HTMLElement): void {
    const total = answer.total ?? {};
    place.append(
      table(Object.entries(total).filter(([, v]) => typeof v === "number").map(([line, value]) => ({ line: words(line), value })), { caption: "All together" }),
      table(answer.rows, { caption: `By ${byOf(this.view.state).map(words).join(", ") || "the whole book"}` }));
  }

  private reconcile(answer: Answer, place: HTMLElement): void {
    const theirs = answer.theirs as { text: string; tolerance: number };
    place.append(h("p", {}, `Theirs ${theirs.text}, ours ${figure(answer.ours)}. Of ${figure(answer.tried)} conventions ${figure(answer.matches)} match within ${figure(theirs.tolerance)}; ${figure(answer.by_chance)} are to be expected by accident.`),
      table((answer.candidates as Row[]).map((c) => ({
        convention: (c.differences as { convention: string; theirs: string }[]).map((d) => `${d.convention}: ${d.theirs}`).join("; ") || "as ours",
        value: c.value, distance: c.distance, matches: c.matches,
      })), { caption: "Conventions, those that match first" }));
  }
}

/** Sentences take several lines in a table. */
const wrapped = (row: Row, column: string) => (column === "meaning" ? h("span", { class: "wrap" }, String(row[column])) : figure(row[column]));

const byOf = (state: State): string[] => state.all("by");

function cellOf(state: State): Row {
  try {
    return JSON.parse(state.one("cell") ?? "{}") as Row;
  } catch {
    return {};
  }
}

/** The one measure and level of the tabs that take one. */
function ofOne(state: State): [string, string] {
  return [state.one("measure") ?? state.one("measures") ?? "var", state.one("level") ?? state.one("levels") ?? "0.99"];
}

/** What a tab asks, out of what the page asks. */
function parametersOf(question: Question, state: State): URLSearchParams {
  const names = question.parameters.map((p) => p.name);
  const given = state.only(names);
  given.delete("cell");
  const [measure, level] = ofOne(state);
  if (question.name === "explain" || question.name === "explain-drill") {
    given.set("measures", measure);
    given.set("levels", level);
  } else if (names.includes("measure")) {
    given.set("measure", measure);
    given.set("level", level);
  }
  if (question.name === "reconcile") {
    for (const [name, value] of [["as_of", state.one("to")], ["positions_date", state.one("to_positions_date")], ["scenario_set", state.one("to_scenario_set")], ["valuation_set", state.one("to_valuation_set")]] as const) {
      if (value) given.set(name, value);
    }
  }
  return given;
}

/** What the page has and this tab cannot take is said, not dropped in silence. */
function leftOut(question: Question, page: Question, state: State): HTMLElement | null {
  const taken = new Set([...question.parameters.map((p) => p.name), "measures", "levels", "interval", ...(question.name === "reconcile" ? ["from", "to", "to_positions_date", "to_scenario_set", "to_valuation_set"] : [])]);
  const left = page.parameters.filter((p) => !taken.has(p.name) && state.one(p.name) && !(question.name !== "compare" && p.name === "by" && question.name !== "explain" && question.name !== "pnl-explain"));
  return left.length > 0 ? h("p", { class: "notes" }, `Not part of this question: ${left.map((p) => `${words(p.name)} ${state.all(p.name).join(", ")}`).join("; ")}.`) : null;
}

function pointText(state: State, side: "from" | "to"): string {
  const more = POINT.flatMap((n) => state.one(`${side}_${n}`) ?? []);
  return [state.one(side), ...more].join(" · ");
}

function sure(low: unknown, high: unknown): string {
  if (typeof low !== "number" || typeof high !== "number") return "";
  return low <= 0 && high >= 0 ? "within sampling error" : "beyond sampling error";
}

function shownCell(answer: Answer, place: HTMLElement): void {
  place.append(h("h2", {}, "Trades and scenarios"), h("p", {}, `The cell is ${figure(answer.value)}, of ${figure(answer.parts)} parts; those that are not shown come to ${figure(answer.others)}.`),
    table(answer.rows, { caption: "The largest parts first" }));
}
