// A measure day by day.

import type { Answer, Row } from "../../api";
import { h } from "../../dom";
import { figure, words } from "../../format";
import type { View } from "../../page";
import { addressOf } from "../../panel";
import { columnsOf, table } from "../../table";
import { chosen, figuresOf, grouped, type Line, lines } from "./lines";

const MOST_LINES = 12;

export async function showSeries(answer: Answer, place: HTMLElement, view: View): Promise<void> {
  const by = (answer.receipt.question as { by: string[] }).by;
  const totals = answer.totals as Row[];
  const rows = answer.rows;
  const days = totals.map((r) => String(r.date));
  const whole = new Map(totals.filter((r) => r.status === "gap").map((r) => [String(r.date), String(r.reason)]));
  const figures = figuresOf(totals).filter((f) => !/_(low|high)$/.test(f));
  const { name, field } = chosen(view, [...figures.filter((f) => f !== "base_value"), "base_value"], "Figure");
  const drawn: Line[] = [];
  const draw = (label: string, of: readonly Row[]) => {
    const on = new Map(of.map((r) => [String(r.date), r]));
    const column = (c: string) => days.map((d) => (on.get(d)?.[c] as number | null | undefined) ?? null);
    drawn.push({ name: label, values: column(name) });
    for (const side of ["low", "high"]) {
      if (totals.some((r) => `${name}_${side}` in r)) drawn.push({ name: `${label}, ${side}`, values: column(`${name}_${side}`), how: "faint", of: label });
    }
  };
  draw("total", totals);
  const groups = grouped(rows, by);
  for (const [label, of] of [...groups].slice(0, MOST_LINES)) draw(label, of);
  place.append(field);
  await lines(place, `${words(name)} by day${by.length ? ` and ${by.join(", ")}` : ""}`, days, drawn, whole,
    (day) => { if (!whole.has(day)) view.go("ask", { question: "var", as_of: day, by, ...carried(answer) }); });
  if (groups.size > MOST_LINES) place.append(h("p", { class: "faint" }, `The first ${MOST_LINES} of ${groups.size} groups are drawn; the table has all.`));
  const gaps = rows.filter((r) => r.status === "gap");
  if (gaps.length > 0) {
    place.append(h("details", { class: "gaps" }, h("summary", {}, `${figure(gaps.length)} without an answer, and why`),
      table(gaps, { caption: "Days and groups without an answer", columns: ["date", ...by, "reason"] })));
  }
  const there = rows.filter((r) => r.status !== "gap");
  place.append(table(there, {
    caption: `${figure(there.length)} answers, by day; a day leads to its figures`,
    columns: ["date", ...by, ...columnsOf(there).filter((c) => !["date", "reason", ...by].includes(c))],
    cell: (row, column) => (column === "date"
      ? h("a", { href: addressOf("var", new URLSearchParams([["as_of", String(row.date)], ...by.map((b) => ["by", b]), ...Object.entries(carried(answer)).flatMap(([k, v]) => v.map((x) => [k, x]))])) }, String(row.date))
      : figure(row[column])),
  }));
}

/** What the question of one day has of the question of the range. */
function carried(answer: Answer): Record<string, string[]> {
  const asked = answer.receipt.question as Row;
  const kept = ["currency", "measures", "levels", "estimator", "tail", "scenario_set", "interval", "scale_to_days"];
  return Object.fromEntries(kept.filter((k) => asked[k] != null).map((k) => [k, [asked[k]].flat().map(String)]));
}
