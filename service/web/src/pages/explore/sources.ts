// Where the figures of a pivot come from: three questions, each asked by the next dimension of a node, each with its own receipt.

import { type Answer, type Row, get } from "../../api";
import { words } from "../../format";
import { type Question, question } from "../../questions";
import { type Asked, type Path, fitted, within } from "./asked";

/** A figure that can be put into the pivot. */
export interface Measure {
  name: string;
  group: string;
  meaning: string;
}

export interface Figure {
  name: string;
  title: string;
}

/** A group of positions of an answer: its members, outermost first, and its figures by name. */
export interface Group {
  members: Path;
  figures: Row;
  /** How many groups it stands for where only the first few are asked for. */
  others: number;
}

/** What one question says of a node: of its children, of the columns, and of the node itself. */
export interface Found {
  children: Group[];
  cells: Group[];
  columns: Group[];
  total: Row | null;
}

interface Kind {
  measures: Measure[];
  /** The questions of a node's children, their cells and the columns of the node, the main one first. */
  bodies(asked: Asked, path: Path, measures: string[]): { question: string; body: Row }[];
  found(asked: Asked, path: Path, answers: Answer[]): Found;
  figures(shown: readonly Row[], measures: string[], asked: Asked): Figure[];
}

export type SourceName = "var" | "pnl" | "contributions" | "greeks";
export type Sources = Record<SourceName, Kind>;

const BOOK: Measure[] = [
  { name: "base_value", group: "Book", meaning: "value today in the reporting currency" },
  { name: "positions", group: "Book", meaning: "positions of the group" },
];
const SPLIT = ["var", "es", "volatility"];
const SAID = new Set(["level", "others", "part", "positions", "covered", "failed", "missing", "substituted", "status"]);

const membersOf = (row: Row, by: readonly string[]): Path => by.map((d) => (row[d] ?? null) as string | null);
const group = (row: Row, by: readonly string[]): Group => ({ members: membersOf(row, by), figures: row, others: Number(row.others ?? 0) });
const startsWith = (members: Path, path: Path) => path.every((m, i) => members[i] === m);

/** All sources, with what each offers, asked of the service once. */
export async function sources(): Promise<Sources> {
  const [risk, pivot, pnl, contributions, greeks, measures] = await Promise.all([
    question("var"), question("pivot"), question("pnl"), question("contributions"), question("greeks"), get<{ rows: { name: string; meaning: string }[] }>("/measures"),
  ]);
  return {
    var: ofRisk([...BOOK, ...measures.rows.map((m) => ({ ...m, group: "Risk and P&L" }))], risk, pivot),
    pnl: ofScenarios(pnl),
    contributions: ofContributions(contributions),
    greeks: ofGreeks(greeks),
  };
}

/** VaR, ES and the other measures: `var`, or `pivot` where there are columns. */
function ofRisk(measures: Measure[], risk: Question, pivot: Question): Kind {
  const bodies: Kind["bodies"] = (asked, path, chosen) => {
    const scope = fitted(within(asked, path), risk);
    const known = chosen.filter((m) => !BOOK.some((b) => b.name === m));
    const next = asked.rows[path.length];
    const some = { ...scope, ...(known.length ? { measures: known } : {}), ...limited(asked) };
    if (asked.columns.length === 0 || next === undefined) return [{ question: "var", body: { ...some, by: next === undefined ? asked.columns : [next] } }];
    return [{ question: "pivot", body: { ...fitted(some, pivot), rows: [next], columns: asked.columns } }];
  };
  return {
    measures,
    bodies,
    found(asked, path, [answer]) {
      const next = asked.rows.slice(path.length, path.length + 1);
      const rows = answer?.rows ?? [];
      const whole = { total: (answer?.total as Row | undefined) ?? null, cells: [], columns: [], children: [] };
      if (next.length === 0) return { ...whole, columns: asked.columns.length ? rows.map((r) => group(r, asked.columns)) : [] };
      if (asked.columns.length === 0) return { ...whole, children: rows.map((r) => group(r, next)) };
      const cells = (answer?.cells as Row[] | undefined) ?? [];
      const others = cells.filter((c) => c.part === "others").length;
      const of = (part: string, by: string[]) => cells.filter((c) => c.part === part).map((c) => group(c, by));
      const rest = (part: string, by: string[]) => of(part, by).map((g) => ({ ...g, others: g.others || others }));
      return {
        children: [...of("row", next), ...rest("others", next)],
        cells: [...of("cell", [...next, ...asked.columns]), ...rest("cell of others", [...next, ...asked.columns])],
        columns: of("column", asked.columns),
        total: cells.find((c) => c.part === "total") ?? null,
      };
    },
    figures: (shown, chosen) => chosen.flatMap((m) => names(shown).filter((n) => ofMeasure(n, m)).map((n) => ({ name: n, title: words(n) }))),
  };
}

/** Whether a column is of the measure: its name, and behind it level, tail, horizon and end of the interval. */
function ofMeasure(column: string, measure: string): boolean {
  return column.startsWith(measure) && /^(_-?[\d.]+(e[+-]?\d+)?)?(_gain)?(_\d+d)?(_low|_high)?$/.test(column.slice(measure.length));
}

/** With a limit on the rows the service sorts them, since the rest becomes one row. */
function limited(asked: Asked): Row {
  if (asked.scope.limit === undefined || !asked.sort) return {};
  const [source, figure] = asked.sort.column.split(":");
  return source === "var" && figure ? { sort: [`${asked.sort.down ? "-" : ""}${figure}`] } : {};
}

/** Components of the whole selection, which add up: asked for a whole level at once, and so the same at every node. */
function ofContributions(contributions: Question): Kind {
  const figures = contributions.parameters.find((p) => p.name === "figures")?.choices ?? ["component"];
  const offered = ["component", "share", ...figures.filter((f) => f !== "component")];
  const measures = offered.map((name) => ({ name, group: "Contributions", meaning: `${words(name)} of the whole selection's VaR, ES or volatility` }));
  return {
    measures,
    bodies(asked, path, chosen) {
      const { levels, ...scope } = fitted(asked.scope, contributions);
      const one = Array.isArray(levels) && levels.length ? { levels: levels.slice(0, 1) } : {};
      const wanted = chosen.filter((m) => m !== "share");
      const rest = { ...scope, ...one, measures: [splitOf(asked)], figures: wanted.length ? wanted : ["component"] };
      const by = asked.rows.slice(0, path.length + 1);
      return bys(asked, path, by).map((b) => ({ question: "contributions", body: { ...rest, by: b } }));
    },
    found: (asked, path, answers) => split(asked, asked.rows.slice(0, path.length + 1), path, answers, (a) => a.rows, (a) => (a.total as Row | undefined) ?? null),
    figures: (shown, chosen, asked) =>
      chosen.flatMap((m) => names(shown).filter((n) => n === m || n.startsWith(`${m}_`)).map((n) => ({ name: n, title: `${words(n)} of ${splitOf(asked)}` }))),
  };
}

/** The measure whose components are shown: the first chosen one that splits. */
export function splitOf(asked: Asked): string {
  return asked.measures.find((m) => SPLIT.includes(m)) ?? "var";
}

function ofGreeks(greeks: Question): Kind {
  const about = greeks.parameters.find((p) => p.name === "greeks")?.description ?? "";
  const offered = about.replace(/^[^:]*: /, "").replace(/;.*$/, "").split(", ").filter(Boolean);
  return {
    measures: offered.map((name) => ({ name, group: "Sensitivities", meaning: `${words(name)}, by risk class` })),
    bodies(asked, path, chosen) {
      const scope = fitted(within(asked, path), greeks);
      const next = asked.rows.slice(path.length, path.length + 1);
      return bys(asked, path, next).map((b) => ({ question: "greeks", body: { ...scope, greeks: chosen, per: "class", by: b } }));
    },
    found: (asked, path, answers) => below(asked, path, answers, (r) => `${String(r.greek)} ${String(r.risk_class ?? "")}`.trim(), "value"),
    figures: (shown, chosen) => chosen.flatMap((m) => names(shown).filter((n) => n.split(" ")[0] === m).sort().map((n) => ({ name: n, title: words(n) }))),
  };
}

const names = (shown: readonly Row[]): string[] => [...new Set(shown.flatMap((row) => Object.keys(row)))].filter((n) => !SAID.has(n) || n === "positions");

/** P&L in chosen scenarios, or where none is chosen in the worst of each group. */
function ofScenarios(pnl: Question): Kind {
  const named = (asked: Asked) => (row: Row) => `pnl ${asked.scenarios.length ? String(row.scenario) : "worst"}`;
  return {
    measures: [{ name: "pnl", group: "Risk and P&L", meaning: "P&L in the chosen scenarios; where none is chosen, in the worst one of each group" }],
    bodies(asked, path) {
      const scope = fitted(within(asked, path), pnl);
      const which = asked.scenarios.length ? { scenarios: asked.scenarios } : { worst: 1 };
      return bys(asked, path, asked.rows.slice(path.length, path.length + 1)).map((by) => ({ question: "pnl", body: { ...scope, ...which, by } }));
    },
    found: (asked, path, answers) => below(asked, path, answers, named(asked), "pnl"),
    figures: (shown) => names(shown).filter((n) => n.startsWith("pnl ")).map((n) => ({ name: n, title: n })),
  };
}

/** The children of a node where an answer has several rows a group, each a figure of its own `name`, which stands in the column `value`. */
function below(asked: Asked, path: Path, answers: Answer[], name: (row: Row) => string, value: string): Found {
  const dimensions = [...asked.rows, ...asked.columns];
  const folded = (rows: readonly Row[]): Row[] => {
    const found = new Map<string, Row>();
    for (const row of rows) {
      const key = JSON.stringify(dimensions.map((d) => row[d] ?? null));
      const one = found.get(key) ?? Object.fromEntries([...dimensions, ...SAID].filter((d) => d in row).map((d) => [d, row[d]]));
      one[name(row)] = row[value];
      found.set(key, one);
    }
    return [...found.values()];
  };
  const next = asked.rows.slice(path.length, path.length + 1);
  return split(asked, next, [], answers, (a) => folded(a.rows), (a) => folded((a.total as unknown as Row[] | undefined) ?? [])[0] ?? null);
}

/** What to group by: the children, with columns their cells, and of the root the columns. */
function bys(asked: Asked, path: Path, by: string[]): string[][] {
  if (asked.columns.length === 0) return [by];
  return [by, [...by, ...asked.columns], ...(path.length === 0 ? [asked.columns] : [])];
}

/** Answers by children, cells and columns, of the groups below `path`. */
function split(
  asked: Asked, by: string[], path: Path, [children, cells, columns]: Answer[],
  rows: (answer: Answer) => Row[], total: (answer: Answer) => Row | null,
): Found {
  const groups = (answer: Answer | undefined, dimensions: string[]) =>
    (answer ? rows(answer) : []).map((r) => group(r, dimensions)).filter((g) => startsWith(g.members, path))
      .map((g) => ({ ...g, members: g.members.slice(path.length) }));
  return {
    children: groups(children, by),
    cells: groups(cells, [...by, ...asked.columns]),
    columns: columns ? rows(columns).map((r) => group(r, asked.columns)) : [],
    total: children ? total(children) : null,
  };
}
