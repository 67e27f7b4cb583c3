// Chosen scenarios: written with completion and errors at the character, looked at before anything is valued, and valued side by side.

import { type Answer, type Row, get, request, send } from "../api";
import { Asking, faultAt, followed, shownProblem } from "../asking";
import { fill, h } from "../dom";
import { QuestionForm } from "../form";
import { figure, words } from "../format";
import { heatMap } from "../heat";
import { fromAddress, draft, inAddress, isKept } from "../kept";
import type { Opened, Page, View } from "../page";
import { QuestionPanel } from "../question_panel";
import { type Question, questions } from "../questions";
import { type Held, beginWithNewest, held, suggested } from "../suggestions";
import { table } from "../table";
import { Tabs } from "../tabs";
import { StressEditor } from "./stress/editor";
import { Preview } from "./stress/preview";

const TABS = [
  { name: "preview", title: "Preview", about: "What the scenario does to risk factors and curves; nothing is valued" },
  { name: "result", title: "Result", about: "Gains and losses by member, of every scenario side by side" },
  { name: "ladder", title: "Ladder", about: "Gains and losses over a grid of moves" },
  { name: "stressed-var", title: "Stressed VaR", about: "The book under the moves of a stress period" },
  { name: "stress-period", title: "Stress period", about: "The worst window of the history for this book" },
  { name: "reverse-stress", title: "Reverse stress", about: "The most plausible scenario that loses an amount" },
];
/** What all tabs have in common. */
const COMMON = ["as_of", "by", "where", "currency", "translation", "positions_date", "as_known"];

export const stress: Page = {
  name: "stress",
  title: "Stress",
  about: "Scenarios of your own: written, looked at, valued side by side; ladders, stressed VaR, reverse stress.",
  async open(place, view) {
    const [all, lake] = await Promise.all([questions(), held()]);
    await beginWithNewest(view.state, lake);
    return new StressPage(place, view, all, lake);
  },
};

class StressPage implements Opened {
  private readonly form: QuestionForm;
  private readonly tabs: Tabs;
  private readonly editor: StressEditor;
  private readonly list = h("div", { class: "scenario-list", role: "group", "aria-label": "scenarios" });
  private readonly note = h("p", { class: "notes", role: "status" });
  private readonly stored = h("div");
  /** As they are typed, and as the address has them. */
  private texts: string[] = [""];
  private sent: string[] = [];
  private at = 0;
  private read: string | undefined;
  private open: { tab: string; several: boolean; opened: Opened } | undefined;

  constructor(place: HTMLElement, private view: View, private readonly all: Map<string, Question>, private readonly lake: Held) {
    this.form = new QuestionForm({
      parameters: all.get("stress")!.parameters.filter((p) => p.name !== "scenario"), groups: [{ legend: "Book", names: ["as_of", "by", "where"] }],
      suggestions: suggested(lake), submit: "Apply", onsubmit: (values) => this.view.set(values),
    }, view.state);
    this.editor = new StressEditor(() => this.view.state.one("as_of"), (text) => this.typed(text), () => this.run("result"));
    this.tabs = new Tabs("what is asked", TABS, (tab) => this.view.set({ tab }));
    const run = (tab: string, title: string, primary: boolean) => h("button", { type: "button", class: primary ? "primary" : null, onclick: () => this.run(tab) }, title);
    fill(place, h("h1", {}, "Stress"), h("div", { class: "two-columns stress" },
      h("section", { "aria-label": "scenarios" }, this.list, this.editor.element, this.note,
        h("div", { class: "in-a-row" }, run("preview", "Preview", false), run("result", "Run", true)), this.stored, this.form.element),
      this.tabs.element));
    void this.shelf().catch((error: unknown) => fill(this.stored, shownProblem(error)));
    void this.update(view);
  }

  async update(view: View): Promise<void> {
    this.view = view;
    const { state } = view;
    this.form.update(state);
    this.take(state.all("scenarios"), Number(state.one("edit") ?? 0));
    const tab = this.tabs.choose(state.one("tab"));
    const several = this.sent.length > 1;
    if (this.open?.tab !== tab || (tab === "result" && this.open.several !== several)) {
      this.open = { tab, several, opened: this.opened(tab, several) };
    }
    await this.open.opened.update(view);
  }

  /** The scenarios of the address, or what was typed and not run. */
  private take(values: readonly string[], edit: number): void {
    const key = JSON.stringify([values, edit]);
    if (key === this.read) return;
    const first = this.read === undefined;
    this.read = key;
    const unsent = first ? draft.get("stress") : null;
    const found = values.map(fromAddress);
    this.note.textContent = found.includes(null)
      ? "This address names a text that is too long for an address and was kept in another tab: open it there, or paste the text."
      : values.some(isKept) ? "These texts are too long for an address: the link opens them in this tab alone. Save them as a scenario set to share them." : "";
    this.sent = found.flatMap((t) => t?.trim() || []);
    this.texts = unsent ? JSON.parse(unsent) as string[] : found.map((t) => t ?? "");
    if (this.texts.length === 0) this.texts = [""];
    if (unsent) this.note.textContent = "What was typed here and not run is back.";
    this.at = Math.min(Math.max(edit, 0), this.texts.length - 1);
    this.editor.put(this.texts[this.at]!);
    this.chooser();
  }

  private typed(text: string): void {
    this.texts[this.at] = text;
    draft.put("stress", JSON.stringify(this.texts));
    const button = this.list.querySelectorAll("button")[this.at];
    if (button) button.textContent = titleOf(text, this.at);
  }

  /** Sends what is typed to the address, and shows it in a tab. */
  private run(tab: string): void {
    this.send(this.texts, this.at, { tab });
  }

  private send(texts: readonly string[], edit: number, more: Record<string, string> = {}): void {
    draft.forget("stress");
    this.read = ""; // what is sent is shown, even where the address has it already
    const scenarios = inAddress(texts.map((t) => t.trim()).filter((t, i) => t || i === edit));
    this.view.set({ scenarios, edit: String(Math.min(edit, scenarios.length - 1)), ...more });
  }

  /** A button a scenario, and one for another. */
  private chooser(): void {
    const go = (i: number) => { if (i !== this.at) this.send(this.texts, i); };
    fill(this.list,
      ...this.texts.map((text, i) => h("button", { type: "button", "aria-pressed": String(i === this.at), onclick: () => go(i) }, titleOf(text, i))),
      h("button", { type: "button", title: "Another scenario beside these", onclick: () => { this.texts.push(""); this.at = this.texts.length - 1; this.editor.put(""); draft.put("stress", JSON.stringify(this.texts)); this.chooser(); this.editor.field.focus(); } }, "Add a scenario"),
      this.texts.length > 1 && h("button", { type: "button", onclick: () => this.send(this.texts.filter((_, i) => i !== this.at), 0) }, "Take this one out"));
  }

  /** Stored bespoke scenarios, to open and to save as. */
  private async shelf(): Promise<void> {
    const { rows } = await get<{ rows: Row[] }>("/scenario-sets");
    const names = [...new Set(rows.filter((r) => r.method === "stress").map((r) => String(r.name)))];
    const choose = h("select", { id: "stored-scenario" }, ...names.map((n) => h("option", { value: n }, n)));
    const name = h("input", { id: "scenario-name", autocomplete: "off", "aria-describedby": "scenario-name-fault" });
    const fault = h("small", { id: "scenario-name-fault", class: "fault", role: "alert" });
    const said = h("div", { role: "status" });
    const open = async () => {
      const text = await (await request(`/scenario-sets/${encodeURIComponent(choose.value)}/export?format=text`)).text();
      this.send(this.texts.map((t, i) => (i === this.at ? text : t)), this.at, { tab: "preview" });
    };
    const save = async () => {
      const as_of = this.view.state.one("as_of");
      const job = await send("POST", "/scenario-sets", { as_of, method: "stress", parameters: { text: this.editor.text }, ...(name.value.trim() ? { name: name.value.trim() } : {}) });
      const done = (await followed(said, String(job.job_id))).result as Row;
      fill(said, h("p", { class: "good" }, `Saved as ${done.name}, version ${done.version}, on the market of ${done.market_date}.`));
      await this.shelf();
      this.stored.querySelector("details")?.setAttribute("open", "");
      this.stored.append(said);
    };
    const told = (work: () => Promise<void>) => () => {
      fault.textContent = "";
      name.removeAttribute("aria-invalid");
      void work().catch((error: unknown) => faultAt("/name", error, name, fault) || fill(said, shownProblem(error)));
    };
    fill(this.stored, h("details", {}, h("summary", {}, "Open or save a scenario set"),
      names.length > 0
        ? h("div", { class: "in-a-row" }, h("div", { class: "field" }, h("label", { for: "stored-scenario" }, "stored scenario"), choose), h("button", { type: "button", onclick: told(open) }, "Open"))
        : h("p", { class: "empty" }, "No bespoke scenario is stored yet."),
      h("div", { class: "in-a-row" }, h("div", { class: "field" }, h("label", { for: "scenario-name" }, "name (empty: made from the text)"), name, fault), h("button", { type: "button", onclick: told(save) }, "Save as a scenario set")), said));
  }

  private opened(tab: string, several: boolean): Opened {
    const place = h("div");
    fill(this.tabs.panel, place);
    if (tab === "preview") return this.preview(place);
    if (tab === "result") return this.result(place, several);
    const show = { ladder: (a: Answer, p: HTMLElement) => ladder(a, p), "reverse-stress": undefined, "stressed-var": undefined, "stress-period": undefined }[tab];
    return new QuestionPanel(place, this.all.get(tab)!, this.view, { shared: COMMON, suggestions: suggested(this.lake), show });
  }

  private preview(place: HTMLElement): Opened {
    const preview = new Preview(place);
    return {
      update: async ({ state }) => {
        const [asOf, text] = [state.one("as_of"), this.sent[this.at]];
        if (!asOf || !text) fill(place, h("p", { class: "empty" }, "Write a scenario and press Preview."));
        else await preview.show(asOf, text);
      },
    };
  }

  private result(place: HTMLElement, several: boolean): Opened {
    const result = h("section", { class: "answer", "aria-label": "result" });
    fill(place, result);
    const name = several ? "stress-compare" : "stress";
    const asking = new Asking(result, name, (answer, where) => this.shown(answer, where, several), (problem) => this.form.fault(problem));
    const names = this.all.get(name)!.parameters.map((p) => p.name);
    return {
      update: async ({ state }) => {
        const texts = this.sent;
        if (!state.one("as_of") || texts.length === 0) return fill(result, h("p", { class: "empty" }, "Write a scenario and press Run."));
        const given = state.only(names.filter((n) => n !== "scenarios"));
        // texts may be long: they go in a body
        const body = Object.fromEntries([...new Set(given.keys())].map((n) => [n, n === "by" || n === "where" ? given.getAll(n) : given.get(n)]));
        await asking.ask({ ...body, ...(several ? { scenarios: texts } : { scenario: texts[0] }) });
      },
    };
  }

  private async shown(answer: Answer, place: HTMLElement, several: boolean): Promise<void> {
    const by = this.view.state.all("by");
    const other = new Set([...by, "positions", "covered", "failed", "missing", "substituted", "status", "base_value"]);
    const columns = Object.keys(answer.total ?? answer.rows[0] ?? {}).filter((c) => !other.has(c));
    const titles = several ? titlesOf(answer, this.sent, columns) : columns.map((c) => words(c.replace(/^pnl_/, "")));
    const member = (row: Row) => by.map((b) => figure(row[b])).join(" · ");
    const amounts = (row: Row) => columns.map((c) => (typeof row[c] === "number" ? row[c] : null));
    const total = answer.total ? [{ down: "all together", values: amounts(answer.total) }] : [];
    const lines = [...total, ...(by.length > 0 ? answer.rows.map((r) => ({ down: member(r), values: amounts(r) })) : [])];
    await heatMap(place, {
      label: `Gains and losses by ${by.map(words).join(", ") || "the whole book"} and scenario`, across: titles, down: lines.map((l) => l.down), values: lines.map((l) => l.values),
    });
    const head = (rows: readonly Row[]) => rows.map((r) => ({ ...Object.fromEntries(by.map((b) => [b, r[b]])), ...Object.fromEntries(columns.map((c, i) => [titles[i]!, r[c]])), "base value": r.base_value, positions: r.positions, ...(r.status ? { status: r.status } : {}) }));
    if (answer.total) place.append(table(head([answer.total]), { caption: "All together, gains positive", head: (c) => c, columns: [...titles, "base value", "positions"] }));
    if (by.length > 0) place.append(table(head(answer.rows), { caption: `By ${by.map(words).join(", ")}, gains positive`, head: (c) => c }));
  }
}

/** The first words of a scenario, as its title. */
function titleOf(text: string, i: number): string {
  const line = text.trim().split("\n")[0] ?? "";
  return line.length > 42 ? `${line.slice(0, 40)} …` : line || `Scenario ${i + 1}`;
}

/** Columns of scenarios side by side by what was written, which is read easier than the name of the set. */
function titlesOf(answer: Answer, texts: readonly string[], columns: readonly string[]): string[] {
  const titles = (answer.results as Answer[]).flatMap((result, i) => {
    const labels = Object.keys(result.total ?? {}).filter((c) => c.startsWith("pnl_"));
    return labels.map((label) => (labels.length === 1 ? titleOf(texts[i] ?? "", i) : `${titleOf(texts[i] ?? "", i)}: ${label.slice("pnl_".length)}`));
  });
  return columns.map((c, i) => (titles.filter((t) => t === titles[i]).length === 1 ? titles[i]! : c));
}

/** One axis: members by rung. Two: the rungs against each other, of all together or of one member. */
async function ladder(answer: Answer, place: HTMLElement): Promise<void> {
  const axes = answer.axes as string[];
  const units = answer.units as string[];
  const by = Object.keys(answer.rows[0] ?? {}).slice(0, Object.keys(answer.rows[0] ?? {}).indexOf("rung"));
  const total = answer.total as unknown as Row[];
  const figures = Object.keys(total[0] ?? {}).filter((c) => c !== "rung" && c !== "first" && c !== "second");
  const member = (row: Row) => by.map((b) => figure(row[b])).join(" · ");
  const members = by.length > 0 ? [...new Set(answer.rows.map(member))] : [];
  const picture = h("div");
  const select = (id: string, label: string, options: readonly string[]) => {
    const field = h("select", { id, onchange: () => void draw() }, ...options.map((o) => h("option", { value: o }, words(o))));
    return { field, element: h("div", { class: "field" }, h("label", { for: id }, label), field) };
  };
  const what = select("ladder-figure", "figure", figures);
  const whose = select("ladder-member", "of", ["all together", ...members]);
  const rung = (value: unknown, i: number) => `${typeof value === "number" && value > 0 ? "+" : ""}${figure(value)}${units[i] ?? ""}`;
  const number = (row: Row | undefined) => (typeof row?.[what.field.value] === "number" ? row[what.field.value] as number : null);

  async function draw(): Promise<void> {
    fill(picture);
    const losses = /^(var|es)_/.test(what.field.value);
    if (axes.length === 1) {
      const rungs = total.map((r) => String(r.rung));
      const down = ["all together", ...members];
      const rowsOf = (m: string) => (m === "all together" ? total : answer.rows.filter((r) => member(r) === m));
      return heatMap(picture, { label: `${words(what.field.value)} over ${axes[0]}`, across: rungs, down, losses, values: down.map((m) => rungs.map((g) => number(rowsOf(m).find((r) => r.rung === g)))) });
    }
    const rows = whose.field.value === "all together" ? total : answer.rows.filter((r) => member(r) === whose.field.value);
    const firsts = [...new Set(rows.map((r) => r.first))];
    const seconds = [...new Set(rows.map((r) => r.second))];
    await heatMap(picture, {
      label: `${words(what.field.value)} of ${whose.field.value}: ${axes[0]} down, ${axes[1]} across`, losses,
      down: firsts.map((v) => rung(v, 0)), across: seconds.map((v) => rung(v, 1)),
      values: firsts.map((a) => seconds.map((b) => number(rows.find((r) => r.first === a && r.second === b)))),
    });
  }

  place.append(h("div", { class: "in-a-row" }, what.element, axes.length > 1 && whose.element), h("p", { class: "faint" }, axes.length > 1 ? `${axes[0]} down, ${axes[1]} across.` : `${axes[0]} across.`), picture,
    table(total, { caption: "All together" }), by.length > 0 ? table(answer.rows, { caption: `By ${by.map(words).join(", ")}` }) : "");
  await draw();
}
