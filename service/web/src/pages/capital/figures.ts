// What there is for capital: VaR and ES at the levels and horizons of the regulations, stressed VaR, the multiplier of the backtest,
// and risk by class. Names and levels as in Basel's market risk standard; every figure is an answer of its own, with its receipt.

import type { Answer, Row } from "../../api";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { figure, words } from "../../format";
import { dimensions, valuedDays } from "../../lake";
import type { Opened, View } from "../../page";
import { inTurn, orElse, Panel, parametersOf } from "../../panel";
import { question } from "../../questions";
import type { State } from "../../state";
import { table } from "../../table";
import { light } from "../time/backtest";

const OF_BOOK = ["as_of", "positions_date", "by", "where", "currency", "scenario_set", "as_known"];
const YEAR_DAYS = 365;

/** A year before a day: the span that the traffic light looks back over, 250 business days. */
function yearBefore(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - YEAR_DAYS);
  return date.toISOString().slice(0, 10);
}

/** VaR and ES as the regulations have them. */
export async function openFigures(place: HTMLElement, view: View): Promise<Opened> {
  const [days, by, asked, stressed] = await Promise.all([valuedDays(), dimensions(), question("var"), question("stressed-var")]);
  const defaults = { as_of: days[0]?.valuation_date ?? null };
  const effective = (now: View) => orElse(now.state, defaults);
  let current = view;
  const period = stressed.parameters.filter((p) => p.name === "period" || p.name === "length");
  const form = new QuestionForm({
    parameters: [...asked.parameters.filter((p) => OF_BOOK.includes(p.name)), ...period], first: ["by", "currency", "period"], suggestions: { by },
    submit: "Show", onsubmit: (values) => current.set(values),
  }, effective(view));
  const panels = {
    var: new Panel("VaR 99%, 10 days", "var", shownTotal),
    es: new Panel("ES 97.5%, 10 days", "var", shownTotal),
    day: new Panel("VaR 99% and ES 97.5%, 1 day", "var", shownTotal),
    stressed: new Panel("Stressed VaR 99% and ES 97.5%", "stressed-var", shownStressed),
    classes: new Panel("Risk classes, VaR 99% and ES 97.5%", "risk-classes", shownClasses),
    backtest: new Panel("Traffic light and multiplier", "backtest", shownMultiplier),
  };
  const test = h("button", { type: "button", class: "primary", onclick: () => current.set({ from: yearBefore(String(effective(current).one("as_of"))) }) }, "Test the last 250 days");
  const offered = h("section", { class: "panel", "aria-label": "Traffic light and multiplier" }, h("h2", {}, "Traffic light and multiplier"),
    h("p", {}, "A backtest prices every contract of every day for its hypothetical P&L, so it runs when asked for."), test);
  const body = h("div", { class: "panels" });
  fill(place,
    h("p", {}, "The figures that varlake computes towards market risk capital. Losses are positive. Ten days are scaled from the days of the scenarios by the square root of time, as the notes say; none of these is a capital charge."),
    h("div", { class: "fields-across" }, form.element), body);
  const opened: Opened = {
    async update(now) {
      current = now;
      const state = effective(now);
      form.update(state);
      if (!state.one("as_of")) return fill(body, h("p", { class: "empty" }, "Nothing is valued yet under the standard of the lake. ", h("a", { href: "data" }, "What the lake holds")));
      const from = state.one("from");
      const shown = [panels.var, panels.es, panels.day, panels.stressed, panels.classes].map((p) => p.element);
      fill(body, ...shown, from ? panels.backtest.element : offered);
      // one after the other: several heavy questions at once are refused
      void inTurn([
        () => panels.var.ask(of(state, OF_BOOK, { measures: ["var"], levels: ["0.99"], scale_to_days: "10" })),
        () => panels.es.ask(of(state, OF_BOOK, { measures: ["es"], levels: ["0.975"], scale_to_days: "10" })),
        () => panels.day.ask(of(state, OF_BOOK, { measures: ["var", "es"], levels: ["0.975", "0.99"] })),
        () => panels.stressed.ask(of(state, [...OF_BOOK, "period", "length"], { measures: ["var", "es"], levels: ["0.975", "0.99"] })),
        () => panels.classes.ask(of(state, OF_BOOK, { measures: ["var", "es"], levels: ["0.975", "0.99"] })),
        ...(from ? [() => panels.backtest.ask(of(state, ["by", "where", "currency", "scenario_set", "as_known"], { from, to: state.one("to") ?? state.one("as_of"), levels: ["0.99"], simulations: "0" }))] : []),
      ]);
    },
  };
  await opened.update(view);
  return opened;
}

/** The parameters that the page has for all, and those of one figure. */
function of(state: State, names: readonly string[], more: Parameters<typeof parametersOf>[0]): URLSearchParams {
  return new URLSearchParams([...state.only(names), ...parametersOf(more)]);
}

/** Totals first, as large figures; then by group. */
function headline(total: Row, columns: readonly string[]): HTMLElement {
  return h("p", { class: "headline" }, ...columns.map((c) => h("span", {}, `${words(c)} `, h("strong", {}, figure(total[c])))));
}

const isFigure = (name: string) => /^(var|es)_/.test(name);
const aside = (name: string) => /_(standalone_sum|diversification)$/.test(name);

function shownTotal(answer: Answer, place: HTMLElement): void {
  const total = answer.total as Row;
  const figures = Object.keys(total).filter(isFigure);
  const plain = figures.filter((n) => !aside(n));
  place.append(headline(total, plain));
  const by = (answer.receipt.question as { by: string[] }).by;
  if (by.length === 0) return;
  const told = plain.map((n) => ({ figure: n, total: total[n], standalone_sum: total[`${n}_standalone_sum`], diversification: total[`${n}_diversification`] }));
  place.append(table(answer.rows, { caption: `By ${by.join(", ")}`, columns: [...by, ...plain, "status"] }), table(told, { caption: "Diversification: the sum of the groups minus the total" }));
}

function shownStressed(answer: Answer, place: HTMLElement): void {
  const [period, total] = [answer.period as Row, answer.total as Row];
  const names = Object.keys((answer.after as Answer).total as Row).filter((n) => isFigure(n) && !aside(n));
  const compared = (row: Row, name: string) => ({ current: row[`${name}_from`], stressed: row[`${name}_to`], change: row[`${name}_change`] });
  const by = (answer.receipt.question as { by: string[] }).by;
  place.append(headline((answer.after as Answer).total as Row, names),
    h("p", {}, `The moves of ${figure(period.first)} to ${figure(period.last)}${period.searched ? ", the worst window of the history" : ""}, without scaling.`),
    table(names.map((n) => ({ figure: words(n), ...compared(total, n) })), { caption: "Stressed beside current" }));
  if (by.length > 0) place.append(table(names.flatMap((n) => answer.rows.map((row) => ({ ...Object.fromEntries(by.map((b) => [b, row[b]])), figure: words(n), ...compared(row, n) }))), { caption: `By ${by.join(", ")}` }));
}

function shownClasses(answer: Answer, place: HTMLElement): void {
  const totals = Object.entries(answer.totals as Record<string, Row>).map(([name, total]) => ({ risk_class: name, ...total }));
  const by = (answer.receipt.question as { by: string[] }).by;
  place.append(table(totals, { caption: "Each class shocked alone, and all together", columns: Object.keys(totals[0] ?? {}).filter((n) => n === "risk_class" || isFigure(n) || n === "status") }));
  if (by.length > 0) place.append(table(answer.rows, { caption: `By ${by.join(", ")} and risk class`, columns: [...by, "risk_class", ...Object.keys(answer.rows[0] ?? {}).filter(isFigure)] }));
  const diversification = answer.diversification as Row | undefined;
  if (diversification) place.append(table([diversification], { caption: "Diversification: the sum of the classes minus all" }));
}

function shownMultiplier(answer: Answer, place: HTMLElement): void {
  const asked = answer.receipt.question as Row;
  const nodes = answer.nodes as { node: Row; levels: { traffic_light: Parameters<typeof light>[0] }[] }[];
  const [first] = nodes;
  if (first && nodes.length === 1) place.append(light(first.levels[0]?.traffic_light ?? null));
  else place.append(table(nodes.map(({ node, levels }) => ({ node: Object.values(node).map(figure).join(" · ") || "total", ...levels[0]?.traffic_light })), { caption: "Traffic light at 99%, by node" }));
  place.append(h("p", {}, h("a", { href: `time?${parametersOf({ tab: "backtest", from: String(asked.from), to: String(asked.to), levels: ["0.99"], simulations: "0", by: asked.by as string[] })}` }, "The days, the tests, and what lies behind each exception")));
}
