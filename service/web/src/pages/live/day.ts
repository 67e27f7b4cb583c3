// The answer of a live day: figures now, at the open and their change, causes, and what they rest on.

import type { Answer, Row } from "../../api";
import { h } from "../../dom";
import { figure, words } from "../../format";
import { shownCell } from "../../listing";
import { table } from "../../table";

const NAMED = ["held", "stale"] as const; // factors by name, each with what it means

const MEANING: Record<(typeof NAMED)[number], string> = {
  held: "risk factors hold a level of before the day",
  stale: "risk factors of a feed that sends have no recent level",
};

function restsOn(told: Row): string {
  const until = (at: unknown) => (at ? ` until ${shownCell({ at }, "at")}` : "");
  return `${figure(told.counted)} of ${figure(told.orders)} orders count${until(told.orders_until)}; levels of ${figure(told.factors_of_the_day)} of ${figure(told.factors_read)} risk factors${until(told.prices_until)}. ` +
    `Opened with the positions of ${figure(told.opened_with_positions_of)} and the scenarios ${figure(told.scenario_set)} of ${figure(told.scenarios_of)}.`;
}

export function showDay(answer: Answer, place: HTMLElement): void {
  const asked = answer.receipt.question as { as_of: string; by: string[]; currency: string };
  const of = [...asked.by, "positions", "status"];
  const measures = Object.keys(answer.total ?? {}).filter((c) => c.endsWith("_change")).map((c) => c.replace(/_change$/, ""))
    .sort((a, b) => Number(a === "base_value") - Number(b === "base_value")); // what moves first
  const columns = [...of, ...measures.flatMap((m) => [m, `${m}_open`, `${m}_change`])];
  const [first] = asked.by;
  const total = answer.total && first ? [{ ...answer.total, [first]: "Total" }] : answer.total ? [answer.total] : [];
  place.append(
    h("p", { class: "basis" }, restsOn(answer.watermark as Row)),
    table([...answer.rows, ...total], { caption: `${asked.as_of} so far, in ${asked.currency}`, columns }));
  const [causes, feeds, alarms, limits] = [answer.causes, answer.feeds, answer.alarms, answer.limits ?? []].map((t) => t as Row[]);
  if (causes?.length) place.append(table(causes, { caption: "Change since the open, by cause", columns: Object.keys(causes[0] ?? {}).filter((c) => causes.some((r) => r[c] !== 0 && r[c] !== null)) }));
  if (limits?.length) place.append(table(limits, { caption: "Limits" }));
  if (alarms?.length) place.append(table(alarms, { caption: "Levels that left their band", cell: shownCell }));
  if (feeds?.length) place.append(table(feeds, { caption: "Feeds", cell: shownCell }));
  for (const name of NAMED) {
    const factors = answer[name] as string[];
    if (factors.length > 0) place.append(h("details", {}, h("summary", {}, `${figure(factors.length)} ${MEANING[name]}`), h("p", {}, factors.join(", "))));
  }
  const refused = Object.entries(answer.refused as Row).map(([factor, why]): Row => ({ risk_factor_id: factor, reason: why }));
  if (refused.length > 0) place.append(table(refused, { caption: "Levels that were not used", head: words }));
}
