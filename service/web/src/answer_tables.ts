// An answer of any question: its single figures as a table of facts, and each of its tables.

import type { Answer, Row } from "./api";
import { tablesOf } from "./asking";
import { h } from "./dom";
import { words } from "./format";
import { table } from "./table";

const MOST_ROWS = 500;

const single = (value: unknown) => ["string", "number", "boolean"].includes(typeof value);

/** The figures and tables of the answer, the rows first; `called` is what these are of. */
export function showAnswer(called: string, answer: Answer, where: HTMLElement): void {
  const facts = Object.entries(answer).filter(([, v]) => single(v)).map(([fact, value]): Row => ({ fact: words(fact), value }));
  if (facts.length > 0) where.append(table(facts, { caption: words(called) }));
  const total = answer.total;
  const totals: [string, Row[]][] = total && !Array.isArray(total) && Object.values(total).every((v) => v === null || single(v)) ? [["total", [total]]] : [];
  for (const [name, all] of [...totals, ...tablesOf(answer)]) {
    const rows = all.slice(0, MOST_ROWS);
    where.append(table(rows, { caption: `${words(name === "rows" ? called : name)}${name === "total" ? "" : `: ${all.length} rows`}` }));
    if (rows.length < all.length) where.append(h("p", {}, `The first ${MOST_ROWS} rows are shown; export has all ${all.length}.`));
  }
}
