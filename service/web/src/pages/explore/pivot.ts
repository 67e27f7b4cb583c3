// The pivot itself: a tree of nodes whose every figure is the service's, asked for when a node is opened, and kept.

import type { Answer, Problem, Row } from "../../api";
import { asked as ask } from "../../asking";
import { type Asked, type Path, keyOf, settledBy } from "./asked";
import type { Figure, Found, Group, SourceName, Sources } from "./sources";

const KEPT_ANSWERS = 300;
/** A whole level is asked for ahead where it has no more groups than this. */
const AHEAD_GROUPS = 5000;
export const MOST_COLUMNS = 200;

export interface Node {
  path: Path;
  key: string;
  label: string;
  /** Of each member across (`[]` for all of them) what each source says. */
  cells: Map<string, Partial<Record<SourceName, Row>>>;
  /** How many groups the node stands for, where it is the rest beyond a limit. */
  others: number;
  children: Node[] | null;
  problem: Problem | null;
  /** The sources that have said what its children are. */
  opened: Set<SourceName>;
  answers: Partial<Record<SourceName, Answer>>;
}

/** A column of figures: of all, or of a member across. */
export interface Column {
  id: string;
  members: Path;
  source: SourceName;
  figure: Figure;
}

/** Answers by what was asked, the least used forgotten first. What is asked for ahead gives way to what is wanted now. */
export class Answers {
  private readonly kept = new Map<string, Promise<Answer>>();
  private ahead: AbortController | undefined;

  ask(question: string, body: Row, signal?: AbortSignal): Promise<Answer> {
    const found = this.kept.get(keyed(question, body));
    if (!found) {
      this.ahead?.abort();
      return this.keep(keyed(question, body), ask(question, body, signal));
    }
    // whoever asked first may have gone
    return this.keep(keyed(question, body), found).catch((error: unknown) => {
      if (!(error instanceof DOMException) || signal?.aborted) throw error;
      return this.ask(question, body, signal);
    });
  }

  /** Asks for what may be wanted next, unless something else is wanted first; null then. */
  async askAhead(question: string, body: Row): Promise<Answer | null> {
    const key = keyed(question, body);
    try {
      return await (this.kept.get(key) ?? this.keep(key, ask(question, body, (this.ahead = new AbortController()).signal)));
    } catch {
      return null;
    }
  }

  /** Has an answer stand for a question that was not asked alone. */
  put(question: string, body: Row, answer: Answer): void {
    void this.keep(keyed(question, body), Promise.resolve(answer));
  }

  forget(): void {
    this.kept.clear();
  }

  private keep(key: string, found: Promise<Answer>): Promise<Answer> {
    this.kept.delete(key);
    this.kept.set(key, found);
    found.catch(() => { if (this.kept.get(key) === found) this.kept.delete(key); });
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT_ANSWERS) break;
      this.kept.delete(oldest);
    }
    return found;
  }
}

const keyed = (question: string, body: Row): string => `${question} ${JSON.stringify(body)}`;

export class Pivot {
  readonly root: Node = nodeOf([], "All", 0);
  readonly members: Path[] = [];
  private readonly byKey = new Map<string, Node>([[this.root.key, this.root]]);

  constructor(readonly asked: Asked, private readonly sources: Sources, private readonly answers: Answers) {}

  /** The sources of the chosen measures, VaR's first: it says what there is and how much of it is covered. */
  get used(): SourceName[] {
    return (Object.keys(this.sources) as SourceName[]).filter((s) => s === "var" || this.chosen(s).length > 0);
  }

  private chosen(source: SourceName): string[] {
    return this.asked.measures.filter((m) => this.sources[source].measures.some((o) => o.name === m));
  }

  node(path: Path): Node | undefined {
    return this.byKey.get(keyOf(path));
  }

  canOpen(node: Node): boolean {
    return node.others === 0 && node.path.length < this.asked.rows.length;
  }

  /** What a source says of a node's children; the answer is the first of its questions', which the node is told by. */
  async ask(source: SourceName, path: Path, signal?: AbortSignal): Promise<Answer> {
    const answers = await this.asking(source, path, signal);
    this.place(source, path, this.sources[source].found(this.asked, path, answers), answers[0] as Answer);
    return answers[0] as Answer;
  }

  bodies(source: SourceName, path: Path): { question: string; body: Row }[] {
    return this.sources[source].bodies(this.asked, path, this.chosen(source));
  }

  private asking(source: SourceName, path: Path, signal?: AbortSignal): Promise<Answer[]> {
    return Promise.all(this.bodies(source, path).map((b) => this.answers.ask(b.question, b.body, signal)));
  }

  /** Asks VaR's source for all nodes that are to be open, as soon as the root has said in what they are asked. */
  private begin(): void {
    for (const path of this.asked.open) if (path.length < this.asked.rows.length) this.asking("var", path).catch(() => undefined); // said when it is opened
  }

  /** Asks all sources for the children of a node. A source that fails leaves the others' figures. */
  async open(path: Path): Promise<void> {
    const node = this.node(path);
    if (!node) return;
    const failed = (await Promise.allSettled(this.lacking(node).map((s) => this.ask(s, path)))).find((r) => r.status === "rejected");
    node.problem = failed ? (failed.reason as Problem) : null;
  }

  /** The sources that have not said what a node holds, and have answered for the whole. */
  lacking(node: Node): SourceName[] {
    return this.canOpen(node) ? this.used.filter((s) => this.root.answers[s] && !node.opened.has(s)) : [];
  }

  private place(source: SourceName, path: Path, found: Found, answer: Answer): void {
    const parent = this.node(path);
    if (!parent) return;
    parent.opened.add(source);
    if (path.length === 0) {
      if (found.total) put(parent, [], source, found.total);
      for (const c of found.columns) put(parent, c.members, source, c.figures);
      if (source === "var") this.members.splice(0, this.members.length, ...found.columns.map((c) => c.members));
      parent.answers[source] = answer;
      if (source === "var") {
        this.asked.settled = settledBy(answer);
        this.begin();
      }
    }
    const children = found.children.map((g) => this.child(parent, g, answer, source));
    if (source === "var") parent.children = children;
    const width = this.asked.columns.length;
    for (const cell of found.cells) {
      const owner = cell.members.slice(0, cell.members.length - width);
      const child = cell.others ? children.find((c) => c.others > 0) : this.node([...path, ...owner]);
      if (child) put(child, cell.members.slice(-width), source, cell.figures);
    }
  }

  private child(parent: Node, g: Group, answer: Answer, source: SourceName): Node {
    const path = g.others ? [...parent.path, `\u0000others`] : [...parent.path, ...g.members];
    const label = g.others ? `${g.others.toLocaleString("en-US")} others` : (g.members[0] ?? "(none)");
    const key = keyOf(path);
    const node = this.byKey.get(key) ?? nodeOf(path, label, g.others);
    this.byKey.set(key, node);
    put(node, [], source, g.figures);
    node.answers[source] = answer;
    return node;
  }

  /** All columns, in the order of the members across; the totals last. */
  columns(): Column[] {
    const figures = this.used.flatMap((source) => {
      const rows = [this.root, ...(this.root.children ?? [])].map((n) => n.cells.get("[]")?.[source] ?? {});
      return this.sources[source].figures(rows, this.chosen(source), this.asked).map((figure) => ({ source, figure }));
    });
    const order = (name: string) => this.asked.measures.findIndex((m) => name === m || name.startsWith(`${m}_`) || name.startsWith(`${m} `));
    figures.sort((a, b) => order(a.figure.name) - order(b.figure.name));
    const across = this.asked.columns.length ? this.members.slice(0, MOST_COLUMNS) : [];
    return [...across, []].flatMap((members) => figures.map(({ source, figure }) => (
      { id: `${source}:${figure.name}${members.length ? `:${keyOf(members)}` : ""}`, members, source, figure })));
  }

  value(node: Node, column: Column): unknown {
    return node.cells.get(keyOf(column.members))?.[column.source]?.[column.figure.name];
  }

  /** The nodes as they stand one below the other. */
  shown(open: ReadonlySet<string>): { node: Node; place: number; of: number }[] {
    const rows: { node: Node; place: number; of: number }[] = [];
    const columns = this.asked.sort ? this.columns() : [];
    const by = columns.find((c) => c.id === this.asked.sort?.column);
    const walk = (node: Node, place: number, of: number) => {
      rows.push({ node, place, of });
      if (node !== this.root && !open.has(node.key)) return;
      const children = this.sorted(node.children ?? [], by);
      children.forEach((child, i) => walk(child, i + 1, children.length));
    };
    walk(this.root, 1, 1);
    return rows;
  }

  /** In the order asked for; what has no figure, and the rest beyond a limit, last. */
  private sorted(children: readonly Node[], by: Column | undefined): readonly Node[] {
    const { sort } = this.asked;
    if (!sort || (!by && sort.column !== "label")) return children;
    const sign = sort.down ? -1 : 1;
    const of = (node: Node) => (by ? this.value(node, by) : node.label);
    return [...children].sort((a, b) => {
      if (a.others || b.others) return a.others - b.others;
      const [x, y] = [of(a), of(b)];
      if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
    });
  }

  /** Asks for the children of a node that may be opened next. */
  async near(node: Node): Promise<void> {
    if (node === this.root || !this.canOpen(node) || node.opened.has("var")) return;
    const first = this.bodies("var", node.path)[0];
    if (first) await this.answers.askAhead(first.question, first.body);
  }

  /** Asks for the children of all nodes of the level below in one question, where they are not too many, so that opening one waits for nothing. */
  async ahead(level: number, members: ReadonlyMap<string, number>): Promise<void> {
    const by = this.asked.rows.slice(0, level + 1);
    const groups = by.reduce((n, d) => n * (members.get(d) ?? Infinity), 1);
    if (by.length !== level + 1 || this.asked.columns.length || this.asked.scope.limit !== undefined || groups > AHEAD_GROUPS) return;
    const parents = [...this.byKey.values()].filter((n) => n.path.length === level && !n.children && this.canOpen(n));
    if (parents.length < 2) return;
    const first = this.bodies("var", [])[0];
    if (!first) return;
    const answer = await this.answers.askAhead(first.question, { ...first.body, by });
    if (!answer) return;
    for (const parent of parents) {
      const one = this.bodies("var", parent.path)[0];
      const rows = answer.rows.filter((r) => parent.path.every((m, i) => (r[by[i] as string] ?? null) === m));
      if (one && rows.length) this.answers.put(one.question, one.body, { ...answer, rows });
    }
  }
}

function nodeOf(path: Path, label: string, others: number): Node {
  return { path, key: keyOf(path), label, others, cells: new Map(), children: null, problem: null, opened: new Set(), answers: {} };
}

function put(node: Node, members: Path, source: SourceName, figures: Row): void {
  const key = keyOf(members);
  node.cells.set(key, { ...node.cells.get(key), [source]: figures });
}
