// The day of a part that lists something of it.

import { h } from "../../dom";

/** A field for a day; `chosen` is told when it is changed. */
export function dayField(chosen: (day: string) => void): { element: HTMLElement; show(day: string): void } {
  const input = h("input", { id: "live-day", type: "date", onchange: () => { if (input.value) chosen(input.value); } });
  return { element: h("div", { class: "field" }, h("label", { for: "live-day" }, "day"), input), show: (day) => { input.value = day; } };
}
