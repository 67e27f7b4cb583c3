// What may stand in the fields of a question, as the lake has it: dates, dimensions, scenario sets, branches.

import { type Row, get } from "./api";
import type { State, Values } from "./state";

async function column(path: string, name: string, parameters?: URLSearchParams): Promise<string[]> {
  const { rows } = await get<{ rows: Row[] }>(path, parameters);
  return [...new Set(rows.map((row) => String(row[name])))];
}

export interface Held {
  /** Dates with a book, the newest first. */
  dates: string[];
  dimensions: string[];
  scenarioSets: string[];
  branches: string[];
}

/** What the lake holds. The dimensions are those of the newest book, attributes and levels of hierarchies with them. */
export async function held(): Promise<Held> {
  const [dates, scenarioSets, branches] = await Promise.all([
    column("/positions/dates", "positions_date"), column("/scenario-sets", "name"), column("/branches", "name"),
  ]);
  dates.sort().reverse();
  const dimensions = await (dates[0]
    ? column("/dimensions/of-date", "dimension", new URLSearchParams({ as_of: dates[0] }))
    : column("/dimensions", "name"));
  return { dates, dimensions, scenarioSets, branches };
}

/** The suggestions by parameter, of one point or of two. */
export function suggested({ dates, dimensions, scenarioSets, branches }: Held): Record<string, readonly string[]> {
  const point = (prefix: string) => ({
    [`${prefix}positions_date`]: dates, [`${prefix}market_date`]: dates, [`${prefix}scenario_set`]: scenarioSets, [`${prefix}branch`]: branches,
  });
  return {
    as_of: dates, from: dates, to: dates, by: dimensions, over: dimensions, interval: ["0.95"],
    ...point(""), ...point("from_"), ...point("to_"),
  };
}

/** The dates with a book that questions are answered on, the newest first: a horizon of a plan has values too, and no book. */
export async function valuedDates(): Promise<string[]> {
  return (await get<{ valued_dates: string[] }>("/choices")).valued_dates;
}

/** Completes the address with what the page begins with, while it is being opened: that is no step, and nothing is shown again. */
export function beginWith(state: State, values: Values): void {
  const missing = Object.fromEntries(Object.entries(values).filter(([name, value]) => value && state.one(name) === null));
  history.replaceState(history.state, "", `${location.pathname}?${state.with(missing)}`);
}

/** The newest valued date and the desks, where the address names none. */
export async function beginWithNewest(state: State, lake: Held): Promise<void> {
  if (state.one("as_of") === null) beginWith(state, { as_of: (await valuedDates())[0] ?? lake.dates[0], by: lake.dimensions.find((d) => d === "desk") });
}
