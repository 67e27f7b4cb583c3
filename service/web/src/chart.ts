// Charts: ECharts, loaded when the first is drawn, with only the kinds that are used; every chart has its figures as text beside it.

import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { h } from "./dom";
import { theme, themes } from "./theme";

type Library = typeof import("./echarts");

let loading: Promise<Library> | undefined;

function library(): Promise<Library> {
  return (loading ??= import("./echarts"));
}

/** A chart in place, in the colours of the theme, with a text that says what it shows; it follows its width. */
export async function chart(place: HTMLElement, label: string, option: EChartsCoreOption, height = 320): Promise<EChartsType> {
  const echarts = await library();
  const box = h("div", { class: "chart", role: "img", "aria-label": label });
  box.style.height = `${height}px`;
  place.append(box);
  const drawn = echarts.init(box, theme(), { renderer: "svg" });
  drawn.setOption({ aria: { enabled: true, label: { description: label } }, animation: false, backgroundColor: "transparent", ...option });
  const dress = () => drawn.setTheme(theme());
  themes.addEventListener("change", dress);
  const follow = new ResizeObserver(() => {
    if (box.isConnected) return drawn.resize();
    follow.disconnect();
    themes.removeEventListener("change", dress);
    drawn.dispose();
  });
  follow.observe(box);
  return drawn;
}
