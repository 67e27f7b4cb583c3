// What a pivot shows, as its address says it.

import type { Answer, Row } from "../../api";
import { asBody } from "../../asking";
import type { Question } from "../../questions";
import type { State, Values } from "../../state";

/** Members from the outermost dimension in; null is the member of positions that have none. */
export type Path = readonly (string | null)[];

export const MOST_DIMENSIONS = 16;
// fields of the question that the page sets itself
const OWN = new Set(["by", "measures", "subtotals", "sort", "bounds"]);
/** Fields that stand first in the form; the others are under More. */
export const FIRST = ["as_of", "where", "levels", "currency", "scenario_set"];

/** The parameters of the question that the form asks for. */
export function settings(question: Question): Question["parameters"] {
  const place = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return question.parameters.filter((p) => !OWN.has(p.name)).sort((a, b) => place(a.name) - place(b.name));
}

export interface Sort {
  column: string;
  down: boolean;
}

export interface Asked {
  rows: string[];
  columns: string[];
  measures: string[];
  scope: Row;
  /** What the answer for the whole was made with and the scope does not say: a node is asked with the same, since a filter to one desk takes that desk's standard. */
  settled: Row;
  /** Of the P&L by scenario. */
  scenarios: string[];
  open: Path[];
  at: Path | null;
  sort: Sort | null;
  heat: boolean;
  panel: string | null;
  against: string | null;
  view: string;
}

export const keyOf = (path: Path): string => JSON.stringify(path);

function paths(texts: readonly string[]): Path[] {
  return texts.flatMap((text) => {
    try {
      const path: unknown = JSON.parse(text);
      return Array.isArray(path) && path.every((m) => m === null || typeof m === "string") ? [path as Path] : [];
    } catch {
      return [];
    }
  });
}

export async function read(state: State, question: Question): Promise<Asked> {
  const sort = state.one("sort");
  return {
    rows: state.all("rows"),
    columns: state.all("columns"),
    measures: state.all("measures"),
    scope: await asBody(question.name, state.only(settings(question).map((p) => p.name))),
    settled: {},
    scenarios: state.all("scenarios"),
    open: paths(state.all("open")),
    at: paths(state.all("at"))[0] ?? null,
    sort: sort ? { column: sort.replace(/^-/, ""), down: sort.startsWith("-") } : null,
    heat: state.one("heat") === "true",
    panel: state.one("panel"),
    against: state.one("against"),
    view: state.one("view") ?? "tree",
  };
}

/** Values of the address that open these nodes and no others. */
export function opened(open: readonly Path[]): Values {
  return { open: open.map(keyOf) };
}

/** The currency and the valuation set of an answer. */
export function settledBy(answer: Answer): Row {
  const { question, valuation_set_id } = answer.receipt;
  const settled = { currency: (question as Row | undefined)?.currency, valuation_set: valuation_set_id };
  return Object.fromEntries(Object.entries(settled).filter(([, v]) => typeof v === "string"));
}

/** The filters of the question, and those of a node on the way to it. */
export function within(asked: Asked, path: Path): Row {
  const where = (asked.scope.where as unknown[] | undefined) ?? [];
  return { ...(path.length ? asked.settled : {}), ...asked.scope, where: [...where, ...path.map((member, i) => ({ dimension: asked.rows[i], values: [member] }))] };
}

/** Of a question's fields those that another has too. */
export function fitted(body: Row, question: Question): Row {
  const names = new Set(question.parameters.map((p) => p.name));
  return Object.fromEntries(Object.entries(body).filter(([name]) => names.has(name)));
}
