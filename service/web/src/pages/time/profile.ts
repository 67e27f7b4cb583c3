// The book at later dates.

import type { Answer, Row } from "../../api";
import { h } from "../../dom";
import { figure, words } from "../../format";
import type { View } from "../../page";
import { table } from "../../table";
import { chosen, figuresOf, grouped, lines } from "./lines";

export async function showProfile(answer: Answer, place: HTMLElement, view: View): Promise<void> {
  const by = (answer.receipt.question as { by: string[] }).by;
  const totals = answer.totals as Row[];
  const { name, field } = chosen(view, ["value", ...figuresOf(totals).filter((f) => f !== "value")], "Figure");
  const horizons = totals.map((r) => `${r.horizon} (${r.day})`);
  const column = (of: readonly Row[]) => of.map((r) => (r[name] as number | null) ?? null);
  const groups = [...grouped(answer.rows, by)];
  place.append(field);
  await lines(place, `${words(name)} by horizon`, horizons, [{ name: "total", values: column(totals) }, ...groups.map(([label, of]) => ({ name: label, values: column(of) }))], new Map());
  place.append(table(totals, { caption: "All positions" }));
  if (by.length > 0) place.append(table(answer.rows, { caption: `By ${by.join(", ")}` }));
  const failures = answer.failures as Row[];
  if (failures.length > 0) {
    place.append(h("details", {}, h("summary", {}, `${figure(failures.length)} contracts without a value, and why`), table(failures, { caption: "Contracts without a value" })));
  }
}
