// A waterfall: from the number before, cause by cause, to the number after. Bars stand where the figures of the answer put them.

import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams, EChartsType } from "echarts";
import { chart } from "../../chart";
import { figure, short, words } from "../../format";

export interface Cause {
  cause: string;
  value: number;
  meaning: string;
  low?: number;
  high?: number;
  within_error?: boolean;
}

const RISE = "#c65b58";
const FALL = "#3f9272";
const WHOLE = "#6f8fb5";
const FAINT = "#9aa3ab";

interface Bar { name: string; from: number; to: number; value: number; colour: string; low?: number; high?: number }

/** Where each bar begins and ends; the last stands by itself, so that a gap before it would be seen. */
function bars(names: readonly [string, string], before: number, after: number, causes: readonly Cause[], residual: number): Bar[] {
  const found: Bar[] = [{ name: names[0], from: 0, to: before, value: before, colour: WHOLE }];
  let at = before;
  for (const c of [...causes, { cause: "residual", value: residual, meaning: "" } as Cause]) {
    found.push({ name: words(c.cause), from: at, to: at + c.value, value: c.value, colour: c.within_error ? FAINT : c.value > 0 ? RISE : FALL, low: c.low, high: c.high });
    at += c.value;
  }
  return [...found, { name: names[1], from: 0, to: after, value: after, colour: WHOLE }];
}

export interface WaterfallOptions {
  measure: string;
  names: readonly [string, string];
  before: number;
  after: number;
  causes: readonly Cause[];
  residual: number;
  onpress: (cause: string) => void;
}

export async function waterfall(place: HTMLElement, o: WaterfallOptions): Promise<EChartsType> {
  const drawn = bars(o.names, o.before, o.after, o.causes, o.residual);
  const label = `${words(o.measure)} from ${figure(o.before)} to ${figure(o.after)}: ${o.causes.map((c) => `${words(c.cause)} ${figure(c.value)}`).join(", ")}`;
  const render = (params: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
    const bar = drawn[params.dataIndex];
    if (!bar) return undefined;
    const [x, top] = api.coord([params.dataIndex, Math.max(bar.from, bar.to)]);
    const above = api.coord([params.dataIndex, Math.max(bar.from, bar.to, bar.from + (bar.high ?? 0))])[1]!; // the line of the interval
    const bottom = api.coord([params.dataIndex, Math.min(bar.from, bar.to)])[1];
    const width = (api.size?.([1, 0]) as number[])[0]! * 0.6;
    const line = bar.low === undefined || bar.high === undefined ? [] : [{
      type: "line" as const, style: { stroke: "#808080", lineWidth: 1.5 },
      shape: { x1: x!, x2: x!, y1: api.coord([params.dataIndex, bar.from + bar.low])[1]!, y2: api.coord([params.dataIndex, bar.from + bar.high])[1]! },
    }];
    return {
      type: "group" as const,
      children: [
        { type: "rect" as const, shape: { x: x! - width / 2, y: top!, width, height: Math.max(bottom! - top!, 1) }, style: { fill: bar.colour } },
        ...line,
        { type: "text" as const, style: { text: short(bar.value), x: x!, y: above - 4, align: "center" as const, verticalAlign: "bottom" as const, fill: "#808890", fontSize: 11 } },
      ],
    };
  };
  const picture = await chart(place, label, {
    grid: { left: 70, right: 16, top: 30, bottom: 60 },
    xAxis: { type: "category", data: drawn.map((b) => b.name), axisLabel: { interval: 0, rotate: 25 } },
    yAxis: { type: "value", axisLabel: { formatter: short } },
    tooltip: { formatter: (p: { dataIndex: number }) => tip(drawn[p.dataIndex]) },
    series: [{ type: "custom", renderItem: render, encode: { x: 0, y: [1, 2, 3, 4] }, data: drawn.map((b, i) => [i, b.from, b.to, b.from + (b.low ?? 0), b.from + (b.high ?? 0)]) }],
  }, 340);
  picture.on("click", (event) => {
    const cause = o.causes[(event as { dataIndex: number }).dataIndex - 1];
    if (cause) o.onpress(cause.cause);
  });
  return picture;
}

function tip(bar: Bar | undefined): string {
  if (!bar) return "";
  const interval = bar.low === undefined ? "" : `, between ${figure(bar.low)} and ${figure(bar.high)}`;
  return `${bar.name}: ${figure(bar.value)}${interval}`;
}
