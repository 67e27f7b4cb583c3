// Exposure to counterparties over time.

import type { Answer, Row } from "../../api";
import { words } from "../../format";
import type { View } from "../../page";
import { table } from "../../table";
import { chosen, figuresOf, grouped, lines } from "./lines";

export async function showExposure(answer: Answer, place: HTMLElement, view: View): Promise<void> {
  const asked = answer.receipt.question as { by: string[] };
  const by = answer.node == null ? asked.by : [...asked.by, "part"];
  const rows = answer.rows;
  const { name, field } = chosen(view, figuresOf(rows).filter((f) => f !== "years"), "Figure");
  const groups = by.length > 0 ? [...grouped(rows, by)] : [["total", [...rows]] as const];
  const dates = (groups[0]?.[1] ?? []).map((r) => String(r.date));
  const column = (of: readonly Row[]) => of.map((r) => (r[name] as number | null) ?? null);
  place.append(field);
  await lines(place, `${words(name)} over time`, dates, groups.map(([label, of]) => ({ name: label, values: column(of) })), new Map());
  place.append(table(answer.summary as Row[], { caption: "Over time" }));
  place.append(table(rows, { caption: "By date" }));
}
