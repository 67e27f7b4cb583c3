// Answers under one form, and what stands behind a row of theirs: the same or a finer question of that row alone.

import type { Answer, Problem, Row } from "../../api";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { figure, words } from "../../format";
import type { Opened, View } from "../../page";
import { inTurn, orElse, Panel } from "../../panel";
import { type Parameter, questions } from "../../questions";
import type { State, Values } from "../../state";

/** press : makes a row one that opens what stands behind it; none where nothing does. */
export type Show = (answer: Answer, place: HTMLElement, press?: (row: Row) => void) => void | Promise<void>;
export interface Figures { title: string; question: string; show: Show }
/** by : the groups of the question behind a row, in place of those of the page. */
export interface Behind { title: string; question: string; by: readonly string[]; show: Show }

export interface WithBehind {
  lead: string;
  first: readonly string[];
  defaults: Values;
  dimensions: readonly string[];
  figures: readonly Figures[];
  behind: readonly Behind[];
}

/** The members that a row of the page stands for, as the address has them. */
function cellOf(state: State): Record<string, string> {
  try {
    const cell: unknown = JSON.parse(state.one("cell") ?? "{}");
    return typeof cell === "object" && cell !== null ? Object.fromEntries(Object.entries(cell).map(([k, v]) => [k, String(v)])) : {};
  } catch {
    return {};
  }
}

export async function withBehind(place: HTMLElement, view: View, options: WithBehind): Promise<Opened> {
  const all = await questions();
  const named = (name: string) => all.get(name)?.parameters ?? [];
  const parameters = [...new Map(options.figures.flatMap((f) => named(f.question)).map((p): [string, Parameter] => [p.name, p])).values()]
    .filter((p) => p.kind !== "objects" && p.kind !== "pairs");
  const state = (now: View) => orElse(now.state, options.defaults);
  let current = view;
  const form = new QuestionForm({
    parameters, first: options.first, suggestions: { by: options.dimensions }, submit: "Show", onsubmit: (values) => current.set({ ...values, cell: null }),
  }, state(view));
  const fault = (problem: Problem) => form.fault(problem);
  const press = (row: Row) => {
    const by = state(current).all("by");
    current.set({ cell: JSON.stringify(Object.fromEntries(by.map((b) => [b, row[b]]))) });
  };
  /** Whether a row can be asked for alone: every group is a dimension of positions, and has a member. */
  const opens = () => options.behind.length > 0 && state(current).all("by").every((b) => options.dimensions.includes(b));
  const panels = options.figures.map((f) => new Panel(f.title, f.question, (answer, where) => f.show(answer, where, opens() ? press : undefined), fault));
  panels.forEach((p) => p.element.classList.add("wide"));
  const below = h("section", { "aria-label": "behind the row", class: "panels" });
  let [opened, behind]: [string, Panel[]] = ["", []];
  const body = h("div");
  fill(place, h("p", {}, options.lead), h("div", { class: "fields-across" }, form.element), body);

  /** The parameters of the question that the address has. */
  const given = (name: string, of: State) => of.only(named(name).map((p) => p.name));

  function open(now: State): (() => Promise<void>)[] {
    const cell = cellOf(now);
    const members = Object.entries(cell);
    const of = members.map(([k, v]) => `${words(k)} ${figure(v)}`).join(", ");
    if (members.length === 0) {
      opened = "";
      fill(below);
      return [];
    }
    if (opened !== JSON.stringify(cell)) {
      opened = JSON.stringify(cell);
      behind = options.behind.map((b) => new Panel(`${b.title}: ${of}`, b.question, (answer, where) => b.show(answer, where)));
      behind.forEach((p) => p.element.classList.add("wide"));
      fill(below, h("p", { class: "inline wide" }, h("strong", {}, of), h("button", { type: "button", onclick: () => current.set({ cell: null }) }, "Close")), ...behind.map((p) => p.element));
    }
    const where = [...now.all("where"), ...members.map(([k, v]) => `${k}=${v}`)];
    return options.behind.map((b, i) => async () => behind[i]?.ask(given(b.question, now.with({ by: b.by, where }))));
  }

  const shown: Opened = {
    async update(now) {
      current = now;
      const effective = state(now);
      form.update(effective);
      if (!effective.one("as_of")) return fill(body, h("p", { class: "empty" }, "Nothing is valued yet under the standard of the lake. ", h("a", { href: "data" }, "What the lake holds")));
      if (!below.isConnected) fill(body, h("div", { class: "panels" }, ...panels.map((p) => p.element)), below);
      // one after the other: several heavy questions at once are refused
      void inTurn([...options.figures.map((f, i) => async () => panels[i]?.ask(given(f.question, effective))), ...open(effective)]);
    },
  };
  await shown.update(view);
  return shown;
}
