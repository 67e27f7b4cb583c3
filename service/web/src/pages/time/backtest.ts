// VaR against P&L: zones, tests, the days, and what lies behind each exception.

import type { Answer, Row } from "../../api";
import { fill, h } from "../../dom";
import { figure, words } from "../../format";
import type { View } from "../../page";
import { table } from "../../table";
import { lines } from "./lines";

interface TrafficLight { zone: string; days: number; exceptions: number; probability: number; type_1: number; plus_factor: number | null; multiplier: number | null }
interface Outcome extends Row { test: string; statistic: number | null; p_value: number | null; rejected: boolean | null; why: string | null; source: string }
interface Judged { pnl: string; days: number; exceptions: number; exceeded: number; missing: number; outcomes: Outcome[] }
interface Level { level: string; exceptions: number; traffic_light: TrafficLight | null; desk_limit: number | null; within_limit: boolean | null; by_pnl: Judged[] }
interface Exception extends Row { day: string; exceptions: string[]; contributors: Row[]; moves: Row[] }
interface Node { node: Record<string, string | null>; days: Row[]; levels: Level[]; multinomial: Record<string, Outcome>; attribution: Row | null; attributed: string | null; exceptions: Exception[]; notes: string[] }

const named = (node: Node) => Object.values(node.node).map((v) => figure(v)).join(" · ") || "total";

/** The traffic light: its zone in words and colour. */
export function light(found: TrafficLight | null): HTMLElement {
  if (!found) return h("p", { class: "faint" }, "No traffic light at this level.");
  return h("p", {}, h("strong", { class: `zone zone-${found.zone}` }, found.zone), " ",
    `${figure(found.exceptions)} exceptions on ${figure(found.days)} days · plus factor ${figure(found.plus_factor)} · multiplier ${figure(found.multiplier)} · probability of so many or fewer ${figure(found.probability)}`);
}

const TESTS = ["test", "statistic", "p_value", "rejected", "not_rejected_from", "not_rejected_to", "why", "source"];

function tests(outcomes: readonly Row[], caption: string): HTMLElement {
  const rows = outcomes.map((o) => ({ ...(o.details as Row | undefined), ...o }));
  return table(rows, { caption, columns: TESTS.filter((c) => rows.some((r) => (r as Row)[c] != null)) });
}

export function showCounts(answer: Answer, place: HTMLElement): void {
  place.append(light(answer.traffic_light as TrafficLight | null), tests(answer.rows, "Tests"));
}

export async function showBacktest(answer: Answer, place: HTMLElement, view: View): Promise<void> {
  const nodes = answer.nodes as Node[];
  const shown = Number(view.state.one("node") ?? 0);
  const node = nodes[shown] ?? nodes[0];
  if (!node) return;
  if (nodes.length > 1) {
    const select = h("select", { id: "node-shown", onchange: () => view.set({ node: select.value, day: null }) },
      ...nodes.map((n, i) => h("option", { value: String(i), selected: n === node }, named(n))));
    const first = node.levels[0]?.level;
    place.append(
      table(nodes.map((n) => ({ node: named(n), ...Object.fromEntries(n.levels.map((l) => [`exceptions_${l.level}`, l.exceptions])), zone: n.levels[0]?.traffic_light?.zone, within_limit: n.levels[0]?.within_limit })),
        { caption: `All nodes; zone and limit at ${first}`, onrow: (row) => view.set({ node: String(nodes.findIndex((n) => named(n) === row.node)), day: null }) }),
      h("p", { class: "inline" }, h("label", { for: "node-shown" }, "Node"), " ", select));
  }
  for (const level of node.levels) {
    place.append(h("section", { "aria-label": `level ${level.level}` }, h("h3", {}, `Level ${level.level}`), light(level.traffic_light),
      h("p", {}, `Desk limit ${figure(level.desk_limit)} exceptions: ${level.within_limit === false ? "exceeded" : level.within_limit ? "kept" : "not judged"}.`)));
  }
  await picture(node, place, (day) => view.set({ day }));
  if (node.notes.length > 0) place.append(h("ul", { class: "notes" }, ...node.notes.map((n) => h("li", {}, n))));
  exceptions(node, place, view);
  for (const level of node.levels) {
    for (const judged of level.by_pnl) {
      place.append(h("details", {}, h("summary", {}, `Tests at ${level.level} against ${judged.pnl} P&L: ${judged.outcomes.filter((o) => o.rejected).map((o) => words(o.test)).join(", ") || "none"} rejected`),
        h("p", {}, `${figure(judged.exceptions)} exceptions on ${figure(judged.days)} days: ${figure(judged.exceeded)} losses above VaR, ${figure(judged.missing)} days without VaR or P&L.`),
        tests(judged.outcomes, `Tests at ${level.level}, ${judged.pnl} P&L`)));
    }
  }
  const several = Object.entries(node.multinomial);
  if (several.length > 0) place.append(h("details", {}, h("summary", {}, "All levels at once"), tests(several.map(([pnl, o]) => ({ ...o, test: `${o.test}, ${pnl}` })), "Multinomial test")));
  if (node.attribution) place.append(h("details", {}, h("summary", {}, `P&L attribution: ${figure(node.attribution.zone)}`), table([node.attribution], { caption: "P&L attribution" })));
  else if (node.attributed) place.append(h("p", { class: "faint" }, node.attributed));
  place.append(h("details", {}, h("summary", {}, `All ${figure(node.days.length)} days`), table(node.days, { caption: "All days" })));
}

/** P&L and VaR by day; a loss is below zero, as P&L has it, and so is the line of VaR that it is held against. */
async function picture(node: Node, place: HTMLElement, press: (day: string) => void): Promise<void> {
  const days = node.days.map((d) => String(d.day));
  const columns = Object.keys(node.days[0] ?? {});
  const of = (column: string, sign = 1) => node.days.map((d) => (typeof d[column] === "number" ? sign * (d[column] as number) : null));
  const pnl = columns.filter((c) => c.endsWith("_pnl"));
  const open = new Map(node.days.filter((d) => d.remark).map((d) => [String(d.day), String(d.remark)]));
  await lines(place, "P&L and VaR by day", days, [
    ...pnl.map((c) => ({ name: words(c), values: of(c) })),
    ...columns.filter((c) => c.startsWith("var_0")).map((c) => ({ name: `−${words(c)}`, values: of(c, -1), how: "faint" as const })),
    ...pnl.map((c) => ({ name: `exceptions of ${words(c)}`, values: node.days.map((d) => (excepted(d, c.replace(/_pnl$/, "")) ? (d[c] as number | null) : null)), how: "points" as const, of: words(c) })),
  ], open, press);
}

/** Whether the P&L of the day is an exception at any level. */
function excepted(day: Row, pnl: string): boolean {
  return Object.entries(day).some(([name, value]) => value === true && name.startsWith(`${pnl}_exception_`));
}

function exceptions(node: Node, place: HTMLElement, view: View): void {
  if (node.exceptions.length === 0) return void place.append(h("p", { class: "empty" }, "There is no exception on these days."));
  const detail = h("section", { class: "panel", "aria-label": "what lies behind the exception", "aria-live": "polite" });
  const columns = ["day", "var_day", ...Object.keys(node.exceptions[0] ?? {}).filter((c) => /^var_0|_pnl$/.test(c)), "remark"];
  place.append(table(node.exceptions, {
    caption: "Exceptions; a day shows what lies behind it", columns, onrow: (row) => view.set({ day: String(row.day) }),
    cell: (row, column) => (column === "day" ? h("button", { type: "button", id: `exception-${row.day}`, class: "link", "aria-pressed": String(row.day === view.state.one("day")), onclick: (e: Event) => { e.stopPropagation(); view.set({ day: String(row.day) }); } }, String(row.day)) : figure(row[column])),
  }), detail);
  const day = view.state.one("day");
  const asked = node.exceptions.find((e) => e.day === day);
  if (!asked) return void fill(detail, h("p", { class: "faint" }, day ? `There is no exception on ${day}.` : "Choose an exception to see the trades that lost and the market moves behind it."));
  fill(detail, h("h3", {}, `Behind the exception of ${asked.day}`), h("p", {}, asked.exceptions.map(words).join(", ")),
    asked.contributors.length > 0 ? table(asked.contributors, { caption: "Trades that lost the most" }) : h("p", { class: "empty" }, String(asked.remark ?? "No trade is named for this day.")),
    asked.moves.length > 0 && table(asked.moves, { caption: "Market moves; deviations are in standard deviations of the days before" }));
}
