// What lies behind a node: its trades, its scenarios, its sensitivities, and why it changed, each with its own receipt.

import type { Answer, Row } from "../../api";
import { Asking, said } from "../../asking";
import { chart } from "../../chart";
import { fill, h } from "../../dom";
import { figure, words } from "../../format";
import type { Question } from "../../questions";
import { table } from "../../table";
import { Tabs } from "../../tabs";
import { type Asked, fitted, within } from "./asked";
import type { Node, Pivot } from "./pivot";
import { splitOf } from "./sources";

const TABS = ["trades", "scenarios", "sensitivities", "explain"] as const;
type Tab = (typeof TABS)[number];
const ABOUT: Record<Tab, string> = {
  trades: "what of its trades makes up the figure", scenarios: "its P&L in each scenario, and the worst of them",
  sensitivities: "its delta, gamma and vega by risk factor", explain: "why it changed since another day",
};
const PAGE = 100;
const BINS = 40;
const WORST = 20;
const TRADE_COLUMNS = ["trade", "contribution", "quantity", "base_value", "instrument", "instrument_type", "state", "reason", "contract_id"];

export interface PanelActions {
  tab(name: string): void;
  against(day: string): void;
  filter(node: Node, exclude: boolean): void;
  scenario(label: string): void;
  close(): void;
}

export class Panel {
  readonly element = h("aside", { class: "panel", "aria-label": "behind the node", hidden: true });
  private readonly askings: Asking[] = [];
  private readonly tabs: Tabs;
  private shown = "";

  constructor(private readonly questions: ReadonlyMap<string, Question>, private readonly days: readonly string[], private readonly actions: PanelActions) {
    this.tabs = new Tabs("behind the node", TABS.map((name) => ({ name, title: words(name), about: ABOUT[name] })), (name) => actions.tab(name));
    this.tabs.panel.tabIndex = 0;
    this.element.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); this.actions.close(); } });
  }

  show(pivot: Pivot, node: Node | undefined): void {
    const { asked } = pivot;
    const tab = TABS.find((t) => t === asked.panel);
    this.element.hidden = !tab || !node;
    if (!tab || !node) { this.shown = ""; return; }
    const key = JSON.stringify([asked.scope, asked.measures, asked.rows, node.key, tab, asked.against, Object.keys(node.answers)]);
    if (key === this.shown) return;
    this.shown = key;
    const names = node.path.map((m, i) => `${words(asked.rows[i] ?? "")} ${m ?? "(none)"}`);
    const place = this.tabs.panel;
    fill(place);
    this.tabs.choose(tab);
    const focus = this.element.contains(document.activeElement) && document.activeElement?.getAttribute("role") === "tab";
    // a filter of the address is a text, in which a comma parts members
    const written = node.path.length > 0 && node.others === 0 && node.path.every((m) => !/,|\.\./.test(m ?? ""));
    fill(this.element,
      h("div", { class: "panel-head" }, h("h2", {}, names.join(" › ") || "All positions"),
        h("button", { type: "button", class: "close", "aria-label": "close", onclick: () => this.actions.close() }, "×")),
      written && h("p", { class: "panel-acts" },
        h("button", { type: "button", onclick: () => this.actions.filter(node, false) }, "Only this"),
        node.path.length === 1 && h("button", { type: "button", onclick: () => this.actions.filter(node, true) }, "Leave this out")),
      h("details", { class: "row-receipt" }, h("summary", {}, "Receipts of the row"), ...Object.values(node.answers).map((a) => said(a))),
      this.tabs.element);
    if (focus) this.tabs.focus();
    this.askings.splice(0).forEach((a) => a.cancel());
    if (node.others) fill(place, h("p", { class: "empty" }, "The rest beyond the limit is no node of its own: raise the limit to look into it."));
    else this.fill(tab, place, asked, within(asked, node.path), asked.rows[node.path.length]);
  }

  private ask(place: HTMLElement, question: string, body: Row, show: (answer: Answer, place: HTMLElement) => void | Promise<void>): void {
    const asked = this.questions.get(question);
    if (!asked) return;
    const asking = new Asking(place, question, show);
    this.askings.push(asking);
    void asking.ask(fitted(body, asked));
  }

  private fill(tab: Tab, place: HTMLElement, asked: Asked, scope: Row, next: string | undefined): void {
    const levels = (scope.levels as string[] | undefined)?.slice(0, 1);
    const one = { ...scope, measures: [splitOf(asked)], ...(levels ? { levels } : {}), interval: undefined };
    if (tab === "trades") this.trades(place, one, 0);
    else if (tab === "sensitivities") {
      this.ask(place, "greeks", { ...scope, by: [] }, (answer, where) => {
        where.append(table(answer.rows, { caption: "Sensitivities, by curve, surface or underlying", columns: ["greek", "of", "risk_class", "move", "value", "gamma"] }));
      });
    } else if (tab === "scenarios") {
      const [bins, worst] = [h("div"), h("div")];
      fill(place, bins, worst);
      this.ask(bins, "pnl", { ...scope, by: [], histogram: BINS }, async (answer, where) => {
        const label = `P&L by scenario: ${figure(answer.rows[0]?.low)} to ${figure(answer.rows.at(-1)?.high)}`;
        await chart(where, label, {
          grid: { left: 50, right: 10, top: 10, bottom: 40 },
          xAxis: { type: "category", data: answer.rows.map((r) => figure(r.low)), name: `P&L, ${String((answer.query as Row).currency)}`, nameLocation: "middle", nameGap: 25 },
          yAxis: { type: "value" }, tooltip: { trigger: "axis" },
          series: [{ type: "bar", name: "scenarios", data: answer.rows.map((r) => r.count as number), barCategoryGap: "5%" }],
        }, 200);
        where.append(h("details", {}, h("summary", {}, "The figures"), table(answer.rows, { caption: "P&L by scenario, counted", columns: ["low", "high", "count", "probability"] })));
      });
      this.ask(worst, "pnl", { ...scope, by: [], worst: WORST }, (answer, where) => {
        where.append(table(answer.rows, {
          caption: `The ${WORST} worst scenarios: press one for its P&L in the pivot`, columns: ["rank", "scenario", "pnl", "probability"],
          onrow: (row) => this.actions.scenario(String(row.scenario)),
        }));
      });
    } else this.explain(place, asked, one, next);
  }

  private trades(place: HTMLElement, body: Row, first: number): void {
    const page = h("div");
    fill(place, page);
    this.ask(page, "drill", { ...body, first, limit: PAGE }, (answer, where) => {
      const count = Number(answer.count);
      const pnl = Object.keys(answer.rows[0] ?? {}).filter((c) => c.startsWith("pnl_")).slice(0, 3);
      const columns = [...TRADE_COLUMNS.slice(0, 2), ...pnl, ...TRADE_COLUMNS.slice(2).filter((c) => answer.rows.some((r) => r[c] != null))];
      const last = Math.min(count, first + answer.rows.length);
      where.append(
        h("p", {}, `${words(String(answer.measure))} ${figure(answer.value)}: trades ${figure(first + 1)} to ${figure(last)} of ${figure(count)}, the largest contributions first.`),
        table(answer.rows, { caption: "Trades behind the figure", columns }),
        h("p", { class: "pages" },
          h("button", { type: "button", disabled: first === 0, onclick: () => this.trades(place, body, Math.max(0, first - PAGE)) }, "Before"),
          h("button", { type: "button", disabled: last >= count, onclick: () => this.trades(place, body, first + PAGE) }, "Next")));
    });
  }

  private explain(place: HTMLElement, asked: Asked, scope: Row, next: string | undefined): void {
    const to = String(scope.as_of ?? "");
    const before = this.days.filter((d) => d < to).at(-1);
    const day = asked.against ?? before ?? "";
    const field = h("input", { type: "date", id: "against", value: day, onchange: (e: Event) => this.actions.against((e.target as HTMLInputElement).value) });
    const result = h("div");
    fill(place, h("p", { class: "against" }, h("label", { for: "against" }, "Against "), field), result);
    if (!day) { fill(result, h("p", { class: "empty" }, "Name the date to explain the change from.")); return; }
    const { as_of: _, positions_date, market_date, valuation_set, branch, ...both } = scope;
    const point = Object.fromEntries(Object.entries({ positions_date, market_date, valuation_set, branch }).filter(([, v]) => v !== undefined));
    this.ask(result, "explain", { ...both, from: { as_of: day }, to: { as_of: to, ...point }, by: next ? [next] : [] }, (answer, where) => {
      const causes = answer.causes as Row[] | undefined;
      where.append(
        h("p", {}, `${words(String(answer.measure))}: ${figure(answer.before)} on ${day}, ${figure(answer.after)} on ${to}, a change of ${figure(answer.change)}.`),
        table(answer.rows, { caption: "The change by member and cause" }),
        causes && Array.isArray(causes) ? h("details", {}, h("summary", {}, "What the causes mean"), table(causes, { caption: "Causes" })) : "");
    });
  }
}
