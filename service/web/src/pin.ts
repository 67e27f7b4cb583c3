// A view follows what is newest, until it is pinned: its address then names what its answers were made from, and shows the same digits later.

import type { Answer, Row } from "./api";
import type { Question } from "./questions";
import { State, type Values } from "./state";

/** In an address: the parameters that pinning has put there. */
export const PINNED = "pinned";

/** What an answer was made from: versions of tables, and where it rests on one of them its valuation set and scenarios. */
function usedBy(receipt: Row): { versions: Map<string, number>; values: Record<string, string> } {
  const versions = new Map<string, number>();
  const read = (part: unknown): void => {
    if (Array.isArray(part)) part.forEach(read);
    else if (part && typeof part === "object") {
      for (const [name, value] of Object.entries(part)) {
        if (name === "table_versions") for (const [table, v] of Object.entries(value as Record<string, number>)) versions.set(table, Math.max(v, versions.get(table) ?? -1));
        else if (name !== "question") read(value);
      }
    }
  };
  read(receipt);
  const asked = (receipt.question ?? {}) as Row;
  const values: Record<string, string> = {};
  for (const [name, value] of [["valuation_set", receipt.valuation_set_id], ["scenario_set", receipt.scenario_set_id], ["currency", asked.currency]] as const) {
    if (typeof value === "string") values[name] = value;
  }
  return { versions, values };
}

const asKnown = (versions: ReadonlyMap<string, number>): string => [...versions].map(([table, v]) => `${table}@${v}`).sort().join(",");

/** The parameters that pin answers which are shown together: what all of them were made from. */
function pinOf(answers: readonly Answer[]): Values {
  const versions = new Map<string, number>();
  const values: Record<string, string | null> = {};
  for (const used of answers.map((a) => usedBy(a.receipt))) {
    for (const [table, v] of used.versions) versions.set(table, Math.max(v, versions.get(table) ?? -1));
    for (const [name, value] of Object.entries(used.values)) values[name] = name in values && values[name] !== value ? null : value;
  }
  const put: Record<string, string> = Object.fromEntries(Object.entries(values).filter((e): e is [string, string] => e[1] !== null));
  if (versions.size) put.as_known = asKnown(versions);
  return put;
}

/** The address with the pin; what somebody chose by hand, and a pin that is there, stay as they are. */
export function pinned(state: State, answers: readonly Answer[]): State {
  if (state.one(PINNED) !== null) return state;
  const put = Object.entries(pinOf(answers)).filter(([name]) => state.one(name) === null);
  return state.with({ ...Object.fromEntries(put), [PINNED]: put.map(([name]) => name).join(",") });
}

export function unpinned(state: State): State {
  return state.with({ ...Object.fromEntries((state.one(PINNED) ?? "").split(",").map((name) => [name, null])), [PINNED]: null });
}

/** The parameters, with those of the values that the question takes and that are not given. */
function completed<T extends URLSearchParams | Row>(question: Question, parameters: T, values: Values): T {
  const names = new Set(question.parameters.map((p) => p.name));
  const given = (name: string) => (parameters instanceof URLSearchParams ? parameters.has(name) : name in parameters);
  const points = ["from_as_known", "to_as_known"].some(given);
  const more = Object.entries(values).filter((e): e is [string, string] => typeof e[1] === "string" && names.has(e[0]) && !given(e[0]) && !(points && e[0] === "as_known"));
  return (parameters instanceof URLSearchParams ? new URLSearchParams([...parameters, ...more]) : { ...parameters, ...Object.fromEntries(more) }) as T;
}

/** The question as a pinned address has it, whoever puts it together: what was known is part of it. */
export function heldTo<T extends URLSearchParams | Row>(question: Question, parameters: T): T {
  const state = State.here();
  return completed(question, parameters, state.one(PINNED) === null ? {} : { as_known: state.one("as_known") });
}

/** The question whose answer is this one, whatever has come into the lake since. */
export function exactly<T extends URLSearchParams | Row>(question: Question, parameters: T, answer: Answer): T {
  return completed(question, parameters, pinOf([answer]));
}
