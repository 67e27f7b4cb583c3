// How the answers about capital are shown: the rules they follow, the total, and the rows, each of which leads to what is behind it.

import type { Answer, Row } from "../../api";
import { h } from "../../dom";
import { figure, words } from "../../format";
import { heatMap } from "../../heat";
import { columnsOf, table } from "../../table";

type Press = ((row: Row) => void) | undefined;

const groupsOf = (answer: Answer) => (answer.receipt.question as { by?: string[] }).by ?? [];
const COUNTS = new Set(["positions", "covered", "failed", "missing", "substituted", "netting_sets"]);

/** The regime with its version, as every figure of capital has one; of two points both where they differ. */
function regime({ receipt }: Answer): HTMLElement {
  const named = new Set((receipt.regimes as string[] | undefined) ?? [receipt.regime]);
  return h("p", { class: "basis" }, "Regime ", h("strong", {}, [...named].map(figure).join(" to ")));
}

/** The figures of the whole that a reader looks for first. */
function headline(total: Row, names: readonly string[]): HTMLElement {
  return h("p", { class: "headline" }, ...names.filter((n) => n in total).map((n) => h("span", {}, `${words(n)} `, h("strong", {}, figure(total[n])))),
    total.status && total.status !== "complete" ? h("span", { class: "partial" }, figure(total.status)) : null);
}

/** Rows by group, the largest of a figure first; the first column opens what is behind a row. */
function byGroup(answer: Answer, place: HTMLElement, largest: string, press: Press, columns: readonly string[] = columnsOf(answer.rows)): void {
  const by = groupsOf(answer);
  if (by.length === 0) return;
  const kept = columns.filter((c) => answer.rows.some((r) => r[c] != null && !(c === "part" && r[c] === "all")));
  const rows = [...answer.rows].sort((a, b) => Math.abs(Number(b[largest] ?? 0)) - Math.abs(Number(a[largest] ?? 0)));
  const opens = (row: Row) => press && by.every((b) => row[b] != null);
  place.append(table(rows, {
    caption: `By ${by.map(words).join(", ")}`, columns: kept,
    cell: (row, column) => (column === by[0] && opens(row)
      ? h("button", { type: "button", class: "link", onclick: () => press?.(row) }, figure(row[column])) : figure(row[column])),
  }));
}

/** More tables of the answer, closed. */
function more(place: HTMLElement, rows: unknown, caption: string): void {
  const found = (rows ?? []) as Row[];
  if (found.length > 0) place.append(h("details", {}, h("summary", {}, `${caption} (${figure(found.length)})`), table(found, { caption })));
}

export function showReport(answer: Answer, place: HTMLElement, press?: Press): void {
  place.append(regime(answer), headline(answer.total as Row, ["rwa", "capital", "credit_rwa", "cva_rwa", "market_rwa"]));
  const risks = answer.parts as Row[];
  // reasons are long, and stand below in full
  place.append(table(risks, { caption: "By risk, each the answer of its own question", columns: columnsOf(risks).filter((c) => c !== "reason") }));
  byGroup(answer, place, "rwa", press);
  more(place, answer.lacking, "What is in no figure, and why");
}

export function showCreditRwa(answer: Answer, place: HTMLElement, press?: Press): void {
  place.append(regime(answer), headline(answer.total as Row, ["ead", "rwa", "capital", "expected_loss", "density"]));
  byGroup(answer, place, "rwa", press);
  more(place, answer.netting_sets, "Netting sets with their risk weights");
}

export function showNettingSets(answer: Answer, place: HTMLElement): void {
  place.append(regime(answer), headline(answer.total as Row, ["ead", "rc", "pfe", "v", "c"]));
  byGroup(answer, place, "ead", undefined, columnsOf(answer.rows).filter((c) => c !== "part" && c !== "netting_sets"));
}

export function showTrades(answer: Answer, place: HTMLElement): void {
  place.append(regime(answer), table(answer.rows, { caption: "Risk positions, trades of the largest contribution first", columns: columnsOf(answer.rows).filter((c) => answer.rows.some((r) => r[c] != null)) }));
}

export function showCva(answer: Answer, place: HTMLElement, press?: Press): void {
  const figures = columnsOf(answer.rows).filter((c) => !COUNTS.has(c) && !/^cs01_/.test(c) && c !== "reason");
  place.append(headline(answer.total as Row, ["cva", "dva", "bcva", "cs01", "without_cva"]));
  byGroup(answer, place, "cva", press, [...figures, "reason"]);
  more(place, answer.sets, "Netting sets with their curves and reasons");
}

export function showCharge(answer: Answer, place: HTMLElement, press?: Press): void {
  place.append(regime(answer), headline(answer.total as Row, ["capital", "rwa", "k_reduced", "k_hedged", "without_charge"]));
  byGroup(answer, place, "capital", press);
  more(place, answer.hedges, "Hedges");
  more(place, answer.sets, "Netting sets with risk weight and maturity");
}

const CHARGES = ["sbm", "drc", "rrao", "capital", "rwa"];

export function showMarket(answer: Answer, place: HTMLElement, press?: Press): void {
  const by = groupsOf(answer);
  place.append(regime(answer), headline(answer.total as Row, [...CHARGES, "scenario"]));
  byGroup(answer, place, "capital", press, [...by, ...CHARGES, ...columnsOf(answer.rows).filter((c) => /_(delta|vega|curvature)$/.test(c)), "positions", "covered", "status"]);
  place.append(table(answer.classes as Row[], { caption: "By class, in each correlation scenario" }));
  for (const [name, caption] of [["buckets", "Buckets"], ["obligors", "Obligors of the default risk charge"], ["residual", "Residual risk"]] as const) more(place, answer[name], caption);
}

/** Two points: what each cause added, of all, by risk and by group. */
export function showCompared(answer: Answer, place: HTMLElement): void {
  place.append(regime(answer), headline(answer.total as Row, ["rwa_from", "change", "rwa_to"]));
  place.append(table(answer.risks as Row[], { caption: "By risk and cause" }));
  byGroup(answer, place, "change", undefined);
  more(place, answer.details, "By group and risk");
  more(place, answer.steps, "Steps from one point to the other");
}

/** RWA of every scenario at every horizon, as a heat map of its change against today, with what drives each. */
export async function showPlan(answer: Answer, place: HTMLElement): Promise<void> {
  const distinct = (name: string) => [...new Set(answer.rows.map((r) => String(r[name])))];
  const [across, down] = [distinct("horizon"), distinct("scenario")];
  const at = new Map(answer.rows.map((r) => [`${r.scenario}|${r.horizon}`, r.change as number | null]));
  place.append(regime(answer), headline(answer.total as Row, ["rwa", "capital"]));
  await heatMap(place, { label: "Change of RWA by scenario and horizon", across, down, losses: true, values: down.map((d) => across.map((a) => at.get(`${d}|${a}`) ?? null)) });
  place.append(table(answer.rows, { caption: "By scenario and horizon" }));
  more(place, answer.drivers, "What drives the changes");
}
