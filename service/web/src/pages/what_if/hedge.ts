// Limit hedge: what may be done and what it costs, and the cheapest of it that brings the measure under its limit.

import type { Answer, Problem, Row } from "../../api";
import { Asking } from "../../asking";
import { fill, h } from "../../dom";
import { figure, words } from "../../format";
import { fromAddress, inAddress, jsonOf } from "../../kept";
import type { Opened, View } from "../../page";
import type { Question } from "../../questions";
import { table } from "../../table";

const KINDS = { where: "unwind by filters", trade: "unwind a trade", contract_id: "trade in a contract of the lake", hedge: "trade in a contract by its terms (JSON)" };
type Kind = keyof typeof KINDS;
const NUMBERS = ["cost", "max_quantity", "lot"];
const COLUMNS = ["name", ...NUMBERS, "side"];
/** What the address has of the hedge beside the book. */
const OWN = ["limit", "hedge_measure", "hedge_level"] as const;

export class HedgePanel implements Opened {
  private readonly result = h("section", { class: "answer", "aria-label": "limit hedge" });
  private readonly grid = h("div");
  private readonly own: Record<(typeof OWN)[number], HTMLInputElement | HTMLSelectElement>;
  private readonly asking: Asking;
  private moves: (Row & { kind: Kind })[] = [{ kind: "where" }];
  private faults: readonly { pointer: string; message: string }[] = [];
  private read: string | null = null;

  constructor(place: HTMLElement, private readonly asked: Question, private view: View, private readonly onfault: (problem: Problem) => void, private readonly onuse: (changes: Row) => void) {
    const measures = asked.parameters.find((p) => p.name === "measures");
    this.own = {
      hedge_measure: h("select", { id: "hedge_measure" }, ...(measures?.choices ?? []).map((c) => h("option", { value: c, selected: (measures?.default as string[]).includes(c) }, c))),
      hedge_level: h("input", { id: "hedge_level", inputmode: "decimal", placeholder: "0.975" }),
      limit: h("input", { id: "limit", inputmode: "decimal", required: true, "aria-describedby": "limit-fault" }),
    };
    const field = (name: (typeof OWN)[number]) => h("div", { class: "field" }, h("label", { for: name }, words(name.replace("hedge_", ""))), this.own[name], h("small", { id: `${name}-fault`, class: "fault", role: "alert" }));
    this.asking = new Asking(this.result, asked.name, (a, p) => this.shown(a, p), (problem) => this.fault(problem));
    fill(place, h("p", { class: "faint" }, asked.meaning),
      h("form", { class: "hedge", novalidate: true, onsubmit: (e: Event) => { e.preventDefault(); this.send(); } },
        h("div", { class: "in-a-row" }, field("hedge_measure"), field("hedge_level"), field("limit")), this.grid,
        h("button", { type: "button", onclick: () => { this.moves.push({ kind: "where" }); this.draw(); } }, "Add a candidate"), " ",
        h("button", { type: "submit", class: "primary" }, "Find the cheapest hedge")), this.result);
  }

  async update(view: View): Promise<void> {
    this.view = view;
    const { state } = view;
    for (const name of OWN) if (state.one(name)) this.own[name].value = state.one(name)!;
    const moves = fromAddress(state.one("moves") ?? "");
    const sent = jsonOf(moves ?? "");
    if (moves !== this.read && Array.isArray(sent)) this.moves = (sent as Row[]).map((m) => ({ ...m, kind: (Object.keys(KINDS) as Kind[]).find((k) => k in m) ?? "where" }));
    this.read = moves;
    this.draw();
    const [asOf, limit] = [state.one("as_of"), state.one("limit")];
    if (!asOf || !limit || !moves) return fill(this.result, h("p", { class: "empty" }, "Give the limit and what may be done to reach it."));
    const names = this.asked.parameters.map((p) => p.name).filter((n) => !["measures", "levels", "moves", "limit", "by"].includes(n));
    const given = state.only(names);
    await this.asking.ask({
      ...Object.fromEntries([...new Set(given.keys())].map((n) => [n, n === "where" ? given.getAll(n) : given.get(n)])),
      limit: Number.isFinite(Number(limit)) ? Number(limit) : limit, moves: sent,
      ...(state.one("hedge_measure") ? { measures: [state.one("hedge_measure")] } : {}), ...(state.one("hedge_level") ? { levels: [state.one("hedge_level")] } : {}),
    });
  }

  private send(): void {
    const moves = this.moves.map(({ kind, ...move }) => {
      const row: Row = {};
      for (const n of [kind, ...COLUMNS]) {
        const text = String(move[n] ?? "").trim();
        if (text) row[n] = NUMBERS.includes(n) && Number.isFinite(Number(text)) ? Number(text) : n === "hedge" ? jsonOf(text) : text;
      }
      return row;
    });
    this.faults = [];
    this.view.set({ moves: inAddress([JSON.stringify(moves)]), ...Object.fromEntries(OWN.map((n) => [n, this.own[n].value.trim() || null])) });
  }

  private fault(problem: Problem): void {
    this.faults = problem.faults;
    this.draw();
    const limit = problem.faults.find((f) => f.pointer === "/limit");
    const place = document.getElementById("limit-fault");
    if (place) place.textContent = limit?.message ?? "";
    this.own.limit.setAttribute("aria-invalid", String(limit !== undefined));
    this.onfault(problem);
  }

  private draw(): void {
    const cell = (i: number, name: string) => {
      const move = this.moves[i]!;
      const fault = this.faults.find((f) => f.pointer.startsWith(`/moves/${i}/${name}`) || (name === move.kind && f.pointer === `/moves/${i}`));
      const common = { "aria-label": `${words(name)} of candidate ${i + 1}`, "aria-invalid": fault ? "true" : null, "aria-describedby": fault ? `move-${i}-${name}` : null, oninput: (e: Event) => { move[name] = (e.target as HTMLInputElement).value; } };
      const field = name === "side"
        ? h("select", common, ...["", "buy", "sell", "both"].map((s) => h("option", { value: s, selected: move.side === s }, s)))
        : h("input", { ...common, value: typeof move[name] === "object" ? JSON.stringify(move[name]) : String(move[name] ?? ""), placeholder: name === "where" ? "desk=Treasury;book=B1" : null, size: NUMBERS.includes(name) ? 8 : 18, autocomplete: "off" });
      return h("td", {}, field, fault && h("small", { id: `move-${i}-${name}`, class: "fault" }, fault.message));
    };
    fill(this.grid, h("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "hedge candidates" }, h("table", {}, h("caption", {}, "Hedge candidates: what may be done, and what a unit costs"),
      h("thead", {}, h("tr", {}, ...["kind", "which", ...COLUMNS, ""].map((c) => h("th", { scope: "col" }, words(c) || h("span", { class: "unseen" }, "remove"))))),
      h("tbody", {}, ...this.moves.map((move, i) => h("tr", {},
        h("td", {}, h("select", { "aria-label": `kind of candidate ${i + 1}`, onchange: (e: Event) => { move.kind = (e.target as HTMLSelectElement).value as Kind; this.draw(); } }, ...Object.entries(KINDS).map(([k, text]) => h("option", { value: k, selected: k === move.kind }, text)))),
        cell(i, move.kind), ...COLUMNS.map((c) => cell(i, c)),
        h("td", {}, h("button", { type: "button", "aria-label": `remove candidate ${i + 1}`, onclick: () => { this.moves.splice(i, 1); this.draw(); } }, "✕"))))))));
  }

  private shown(answer: Answer, place: HTMLElement): void {
    const changes = answer.changes as Row | null;
    place.append(
      h("p", {}, h("strong", {}, String(answer.status)), `: ${words(String(answer.measure))} ${figure(answer.before)}, afterwards ${figure(answer.after)}; the limit is ${figure(answer.limit)}. It costs ${figure(answer.cost)}`, answer.bound == null ? "." : `, and no change of these candidates costs less than ${figure(answer.bound)}.`),
      table(answer.actions as Row[], { caption: "What to do" }));
    if ((answer.unusable as Row[]).length > 0) place.append(table(answer.unusable as Row[], { caption: "Candidates that are left out" }));
    if (changes) place.append(h("p", {}, h("button", { type: "button", class: "primary", onclick: () => this.onuse(changes) }, "Try them as a what-if")));
  }
}
