// A heat map of amounts: losses red, gains blue, white at zero; what has no value is left empty. Its figures stand in a table beside it.

import { chart } from "./chart";
import { figure, short } from "./format";

export interface Heat {
  label: string;
  across: readonly string[];
  down: readonly string[];
  /** By row and column; null for none. */
  values: readonly (readonly (number | null)[])[];
  /** Of what losses are positive, such as VaR: the colours change sides. */
  losses?: boolean;
}

const MOST_TEXTS = 400; // cells whose figure is written into them

export async function heatMap(place: HTMLElement, heat: Heat): Promise<void> {
  const cells = heat.values.flatMap((row, y) => row.flatMap((v, x) => (v === null ? [] : [[x, y, v] as const])));
  const most = Math.max(...cells.map(([, , v]) => Math.abs(v)), Number.MIN_VALUE);
  const colours = ["#b5403c", "#e3b7b0", "#f2f2ee", "#b3c9de", "#3a6ea5"];
  await chart(place, heat.label, {
    grid: { left: 10, right: 90, top: 10, bottom: 10, containLabel: true },
    xAxis: { type: "category", data: heat.across, axisLabel: { interval: 0, rotate: heat.across.length > 8 ? 45 : 0 } },
    yAxis: { type: "category", data: heat.down, inverse: true },
    visualMap: { min: -most, max: most, calculable: false, right: 0, top: "middle", precision: 0, formatter: short, inRange: { color: heat.losses ? [...colours].reverse() : colours } },
    tooltip: { formatter: ({ data: [x, y, v] }: { data: [number, number, number] }) => `${heat.down[y]}, ${heat.across[x]}: ${figure(v)}` },
    series: [{ type: "heatmap", data: cells, label: { show: cells.length <= MOST_TEXTS, color: "#1c2126", formatter: ({ data }: { data: [number, number, number] }) => short(data[2]) } }],
  }, Math.max(160, 60 + 30 * heat.down.length));
}
