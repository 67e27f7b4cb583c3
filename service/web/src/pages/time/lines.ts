// Lines over days or horizons, with what has no figure left open and said.

import type { Row } from "../../api";
import { chart } from "../../chart";
import { h } from "../../dom";
import { figure, words } from "../../format";
import type { View } from "../../page";

const NO_FIGURES = new Set(["positions", "covered", "failed", "missing", "substituted"]);

/** Columns of figures: numbers that are no counts of positions. */
export function figuresOf(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  return names.filter((n) => !NO_FIGURES.has(n) && rows.some((r) => typeof r[n] === "number"));
}

/** Rows by what they stand for, in the order in which they first stand. */
export function grouped(rows: readonly Row[], by: readonly string[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of by.length > 0 ? rows.filter((r) => by.some((b) => r[b] != null)) : []) {
    const name = by.map((b) => figure(row[b])).join(" · ");
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return groups;
}

/** The figure that the address names, or the first; and a field to choose another. */
export function chosen(view: View, figures: readonly string[], label: string): { name: string; field: HTMLElement } {
  const asked = view.state.one("show");
  const name = asked && figures.includes(asked) ? asked : (figures[0] ?? "");
  const select = h("select", { id: "figure-shown", onchange: () => view.set({ show: select.value }) },
    ...figures.map((f) => h("option", { value: f, selected: f === name }, words(f))));
  return { name, field: h("p", { class: "inline" }, h("label", { for: "figure-shown" }, label), " ", select) };
}

/** how : faint is thin and dashed, points are marks without a line. of : the line whose colour it has, and which speaks for it in the legend. */
export interface Line { name: string; values: (number | null)[]; how?: "faint" | "points"; of?: string }

const COLOURS = ["#2f7ed8", "#d9822b", "#2aa876", "#c2449b", "#8a63d2", "#b8860b", "#1aa3b5", "#d1495b", "#6b8e23", "#5c7080", "#e377c2", "#a0522d"];

/** Lines over the days (or horizons). open : of days without an answer, why. onpress : what a day leads to. */
export async function lines(
  place: HTMLElement, label: string, days: readonly string[], drawn: readonly Line[], open: ReadonlyMap<string, string>, onpress?: (day: string) => void,
): Promise<void> {
  const gaps = open.size > 0
    ? [{ name: "no answer", type: "bar", yAxisIndex: 1, barWidth: "98%", data: days.map((d) => (open.has(d) ? 1 : null)), itemStyle: { color: "#888", opacity: 0.22 }, silent: true }]
    : [];
  const leading = drawn.filter((l) => l.of === undefined);
  const told = (found: { dataIndex: number; seriesName: string; value: unknown }[]) => {
    const day = days[found[0]?.dataIndex ?? 0] ?? "";
    const shown = found.filter((f) => f.seriesName !== "no answer" && f.value != null).map((f) => `${f.seriesName}: ${figure(f.value)}`);
    return [day, ...(open.has(day) ? [`no answer: ${open.get(day)}`] : []), ...shown].join("\n");
  };
  const made = await chart(place, label, {
    grid: { left: 90, right: 20, top: 40, bottom: 60 },
    color: COLOURS,
    legend: { type: "scroll", top: 0, data: [...leading.map((l) => l.name), ...gaps.map((g) => g.name)] },
    tooltip: { trigger: "axis", renderMode: "richText", formatter: told },
    xAxis: { type: "category", data: [...days] },
    yAxis: [{ type: "value", scale: true, axisLabel: { formatter: (v: number) => figure(v) } }, { show: false, min: 0, max: 1 }],
    dataZoom: days.length > 30 ? [{ type: "inside" }, { type: "slider", bottom: 8, height: 18 }] : [],
    series: [
      ...drawn.map((line) => ({
        name: line.name, type: "line", data: line.values, connectNulls: false,
        color: COLOURS[leading.findIndex((l) => l.name === (line.of ?? line.name)) % COLOURS.length],
        symbolSize: { faint: 3, points: 12, full: 6 }[line.how ?? "full"],
        lineStyle: { width: { faint: 1, points: 0, full: 2 }[line.how ?? "full"], type: line.how === "faint" ? "dashed" : "solid" },
      })),
      ...gaps,
    ],
  }, 360);
  if (onpress) made.on("click", (e) => onpress(days[e.dataIndex ?? 0] ?? ""));
}
