// Explore: the pivot of risk. Every node is the service's own figure, since VaR does not add up.

import { Problem, get } from "../api";
import { Asking } from "../asking";
import { fill, h } from "../dom";
import { shownMenu } from "../exports";
import { QuestionForm } from "../form";
import type { Opened, Page, View } from "../page";
import { questions } from "../questions";
import { asText } from "../table";
import { type Asked, FIRST, type Path, keyOf, opened, read, settings } from "./explore/asked";
import { Grid } from "./explore/grid";
import { Panel } from "./explore/panel";
import { Answers, MOST_COLUMNS, type Node, Pivot } from "./explore/pivot";
import { type SourceName, sources } from "./explore/sources";
import { type Placed, Zones } from "./explore/zones";

const [AHEAD_MS, NEAR_MS, AT_ONCE_MS] = [150, 60, 120];
const FIRST_ROWS = ["desk", "book"];

interface Dimension { dimension: string; members: number; meaning: string }

export const explore: Page = {
  name: "explore",
  title: "Explore",
  about: "The pivot of risk: any measure by any dimensions, every node from its own positions.",
  async open(place, view) {
    const day = view.state.one("as_of");
    const [all, kinds, days, dimensions] = await Promise.all([
      questions(), sources(), get<{ rows: { positions_date: string }[] }>("/positions/dates"), get<{ rows: { name: string; meaning: string }[] }>("/dimensions"),
    ]);
    const dates = days.rows.map((r) => r.positions_date);
    const ofDay = day ?? dates.at(-1);
    const book = ofDay ? await ofDate(ofDay) : [];
    const fields = book.length ? book : dimensions.rows.map((d) => ({ dimension: d.name, members: Infinity, meaning: d.meaning }));
    return new Explore(place, view, { all, kinds, dates, fields });
  },
};

async function ofDate(day: string): Promise<Dimension[]> {
  try {
    return (await get<{ rows: Dimension[] }>("/dimensions/of-date", new URLSearchParams({ as_of: day }))).rows;
  } catch (error) {
    if (error instanceof Problem) return []; // the question itself says what is wrong with the date
    throw error;
  }
}

interface Known {
  all: Awaited<ReturnType<typeof questions>>;
  kinds: Awaited<ReturnType<typeof sources>>;
  dates: string[];
  fields: Dimension[];
}

class Explore implements Opened {
  private readonly answers = new Answers();
  private readonly zones: Zones;
  private readonly grid: Grid;
  private readonly panel: Panel;
  private readonly form: QuestionForm;
  private readonly more = h("p", { class: "notes" });
  private readonly said = h("div", { class: "sources" });
  private readonly tools: HTMLElement;
  private readonly heat = h("input", { type: "checkbox", id: "heat", onchange: () => this.view.set({ heat: this.heat.checked ? "true" : null }) });
  private readonly members: Map<string, number>;
  private readonly loading = new Set<string>();
  /** What is shown, and what is asked for: the same once it has come. */
  private pivot: Pivot | undefined;
  private wanted: Pivot | undefined;
  private askings = new Map<string, Asking>();
  private shownKey = "";
  private timer: number | undefined;

  constructor(place: HTMLElement, private view: View, private readonly known: Known) {
    this.members = new Map(known.fields.map((f) => [f.dimension, f.members]));
    const var_ = known.all.get("var");
    if (!var_) throw new Error("The service has no question var.");
    const scenarios = known.all.get("pnl")?.parameters.filter((p) => p.name === "scenarios") ?? [];
    const parameters = [...settings(var_), ...scenarios];
    const dimensions = known.fields.map((f) => ({ name: f.dimension, about: `${f.meaning} (${f.members.toLocaleString("en-US")} members)`, group: f.dimension.startsWith("attribute.") ? "Attributes" : "Dimensions" }));
    const measures = Object.values(known.kinds).flatMap((k) => k.measures).map((m) => ({ name: m.name, about: m.meaning, group: m.group }));
    this.zones = new Zones({ dimension: dimensions, measure: measures }, (placed) => this.placed(placed));
    this.grid = new Grid({
      open: (node, open) => this.toggle(node, open), sort: (column) => this.sort(column),
      select: (node) => view.set({ at: keyOf(node.path), panel: this.asked?.panel ?? "trades" }), near: (node) => this.later(NEAR_MS, (pivot) => pivot.near(node)),
    });
    this.panel = new Panel(known.all, known.dates, {
      scenario: (label) => this.scenario(label),
      tab: (panel) => view.set({ panel }), against: (against) => view.set({ against: against || null }),
      filter: (node, exclude) => this.filter(node, exclude), close: () => { view.set({ panel: null }); this.grid.focus(); },
    });
    this.form = new QuestionForm({
      parameters, first: FIRST, submit: "Show", suggestions: { as_of: known.dates, where: known.fields.map((f) => `${f.dimension}=`) },
      onsubmit: (values) => view.set(values),
    }, view.state);
    this.tools = h("div", { class: "pivot-tools" },
      h("button", { type: "button", onclick: () => this.expandAll() }, "Expand all"),
      h("button", { type: "button", onclick: () => view.set(opened([])) }, "Collapse all"),
      h("label", { class: "inline" }, this.heat, " heat"),
      h("button", { type: "button", onclick: () => void navigator.clipboard.writeText(asText(this.grid.rows())) }, "Copy table"),
      shownMenu("explore", () => this.grid.shown()),
      h("button", { type: "button", onclick: () => { this.answers.forget(); this.shownKey = ""; void this.update(this.view); } }, "Ask again"));
    const main = h("section", { class: "pivot-main", "aria-label": "pivot" }, this.zones.element, this.tools, this.grid.element, this.more, this.said);
    fill(place, h("h1", {}, "Explore"),
      h("div", { class: "explore" }, h("section", { class: "pivot-side", "aria-label": "what is asked" }, this.form.element, this.zones.fields), main, this.panel.element));
    void this.update(view);
  }

  private get asked(): Asked | undefined {
    return this.pivot?.asked;
  }

  close(): void {
    window.clearTimeout(this.timer);
    this.askings.forEach((a) => a.cancel());
  }

  async update(view: View): Promise<void> {
    this.view = view;
    const { state } = view;
    const [day, measures] = [state.one("as_of") ?? this.known.dates.at(-1), state.all("measures")];
    if (!day) {
      fill(this.said, h("p", { class: "empty" }, "The lake holds no positions yet: bring in a file of positions first."));
      return;
    }
    if (!state.one("as_of") || measures.length === 0) {
      const fresh = !["rows", "columns", "measures"].some((name) => state.one(name));
      view.set({ as_of: day, measures: measures.length ? measures : ["var", "es"], ...(fresh ? { rows: FIRST_ROWS.filter((d) => this.members.has(d)) } : {}) }, { replace: true });
      return;
    }
    const question = this.known.all.get("var");
    if (!question) return;
    const asked = await read(state, question);
    this.form.update(state);
    this.zones.show({ rows: asked.rows, columns: asked.columns, measures: asked.measures });
    this.heat.checked = asked.heat;
    const key = JSON.stringify([asked.rows, asked.columns, asked.measures, asked.scope, asked.scenarios, asked.scope.limit === undefined ? null : asked.sort]);
    if (key !== this.shownKey) {
      this.shownKey = key;
      await this.begin(asked);
    } else if (this.pivot) {
      Object.assign(this.pivot.asked, asked);
      await this.show();
    }
  }

  /** Asks for the root, source by source: each says its own coverage, notes and receipt, and what it would cost where it is not valued. */
  private async begin(asked: Asked): Promise<void> {
    const pivot = (this.wanted = new Pivot(asked, this.known.kinds, this.answers));
    this.grid.element.setAttribute("aria-busy", "true");
    const used = pivot.used.map((source) => {
      const { question, body } = pivot.bodies(source, [])[0] ?? { question: source, body: {} };
      const asking = this.askings.get(`${source} ${question}`) ?? this.asking(source, question);
      return { key: `${source} ${question}`, asking, body };
    });
    for (const [key, asking] of this.askings) if (!used.some((u) => u.key === key)) asking.cancel();
    this.askings = new Map(used.map((u) => [u.key, u.asking]));
    const places = used.map((u) => u.asking.place);
    if (places.length !== this.said.children.length || places.some((p, i) => this.said.children[i] !== p)) fill(this.said, ...places);
    await Promise.all(used.map((u) => u.asking.ask(u.body)));
    if (this.wanted !== pivot) return;
    this.grid.element.hidden = this.pivot !== pivot;
    this.grid.element.removeAttribute("aria-busy");
  }

  private asking(source: SourceName, question: string): Asking {
    const place = h("section", { class: "source", "aria-label": source });
    const ask = (_question: string, _parameters: unknown, signal: AbortSignal) => (this.wanted as Pivot).ask(source, [], signal);
    return new Asking(place, question, () => this.arrived(), (problem) => this.form.fault(problem), ask);
  }

  private async arrived(): Promise<void> {
    if (!this.wanted?.root.children) return; // VaR's answer says which nodes there are
    this.pivot = this.wanted;
    await this.show();
    this.grid.element.hidden = false;
  }

  /** Shows the nodes that are open: at once where their answers come at once, else as they come. */
  private async show(): Promise<void> {
    const { pivot } = this;
    if (!pivot) return;
    const filled = this.fillOpen(pivot);
    await Promise.race([filled, new Promise((go) => setTimeout(go, this.loading.size ? AT_ONCE_MS : 0))]);
    if (this.loading.size) this.draw();
    await filled;
    if (this.pivot !== pivot) return;
    this.draw();
    this.panel.show(pivot, pivot.asked.at ? pivot.node(pivot.asked.at) : undefined);
    this.later(AHEAD_MS, (now) => this.ahead(now));
  }

  /** Asks for the children of the open nodes that are not there yet, from the outermost in. */
  private async fillOpen(pivot: Pivot): Promise<void> {
    for (let level = 1; level < pivot.asked.rows.length; level++) {
      const lacking = pivot.asked.open.map((p) => pivot.node(p)).filter((n) => n !== undefined && n.path.length === level && pivot.lacking(n).length > 0) as Node[];
      lacking.forEach((n) => this.loading.add(n.key));
      await Promise.all(lacking.map(async (n) => { await pivot.open(n.path); this.loading.delete(n.key); if (level > 1) this.draw(); }));
    }
  }

  /** Does something with the pivot when the reader has paused for so long. */
  private later(ms: number, act: (pivot: Pivot) => Promise<void>): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => { if (this.pivot) void act(this.pivot); }, ms);
  }

  private async ahead(pivot: Pivot): Promise<void> {
    const deepest = Math.max(0, ...pivot.asked.open.map((p) => p.length));
    for (let level = 1; level <= deepest + 1 && this.pivot === pivot; level++) await pivot.ahead(level, this.members);
  }

  private draw(): void {
    const { pivot } = this;
    if (!pivot) return;
    const { open, at, heat } = pivot.asked;
    this.grid.show(pivot, new Set(open.map(keyOf)), this.loading, at ? keyOf(at) : "", heat);
    const all = pivot.members.length;
    this.more.textContent = all > MOST_COLUMNS ? `The first ${MOST_COLUMNS} of ${all} columns are shown; put the dimension into rows, or filter.` : "";
  }

  private placed({ rows, columns, measures }: Placed): void {
    const same = this.asked && JSON.stringify(this.asked.rows) === JSON.stringify(rows);
    this.view.set({ rows, columns, measures, ...(same ? {} : { open: null, at: null }) });
  }

  private toggle(node: Node, open: boolean): void {
    const now = this.asked?.open ?? [];
    this.view.set(opened(open ? [...now, node.path] : now.filter((p) => keyOf(p) !== node.key)));
  }

  private expandAll(): void {
    const { pivot } = this;
    if (!pivot) return;
    const lines = pivot.shown(new Set(pivot.asked.open.map(keyOf)));
    const more: Path[] = lines.filter(({ node }) => node !== pivot.root && pivot.canOpen(node)).map(({ node }) => node.path);
    this.view.set(opened(more));
  }

  /** Figures from the greatest down first, then up, then as they came. */
  private sort(column: string): void {
    const now = this.asked?.sort;
    const first = column === "label" ? column : `-${column}`;
    const next = now?.column !== column ? first : now.down === first.startsWith("-") ? (first.startsWith("-") ? column : `-${column}`) : null;
    this.view.set({ sort: next });
  }

  /** Puts the P&L of a scenario into the pivot. */
  private scenario(label: string): void {
    const { state } = this.view;
    this.view.set({ scenarios: [...new Set([...state.all("scenarios"), label])], measures: [...new Set([...state.all("measures"), "pnl"])] });
  }

  private filter(node: Node, exclude: boolean): void {
    const { asked } = this;
    if (!asked) return;
    const more = node.path.map((member, i) => `${asked.rows[i]}${exclude ? "!" : ""}=${member ?? ""}`);
    const rows = exclude ? asked.rows : asked.rows.slice(Math.min(node.path.length, asked.rows.length - 1));
    this.view.set({ where: [...this.view.state.all("where"), ...more], rows, open: null, at: null, panel: null });
  }
}
