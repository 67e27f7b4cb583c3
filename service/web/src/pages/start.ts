// The morning's first page: the risk of the newest valued day, what changed it, and what needs attention. Every number is a link.

import { type Answer, get, type Row } from "../api";
import { type Job, shownProblem } from "../asking";
import { fill, h } from "../dom";
import { figure, words } from "../format";
import { valuedDays } from "../lake";
import type { Opened, Page } from "../page";
import { addressOf, inTurn, Panel, parametersOf } from "../panel";
import { table } from "../table";
import { light } from "./time/backtest";

const CAUSES = 4;

export const start: Page = {
  name: "start",
  title: "Start",
  about: "The newest valued day: VaR and ES by desk, what changed, exceptions, jobs, and what needs attention.",
  async open(place, view) {
    const loading = () => h("p", { class: "loading" }, "Being loaded …");
    const attention = h("section", { class: "panel", "aria-label": "What needs attention" }, loading());
    const body = h("div", { class: "panels" }, loading());
    const [title, lead] = [h("h1", {}, "Start"), h("p", {})];
    fill(place, title, lead, body);
    let shown = "";
    const opened: Opened = {
      async update(now) {
        const days = await valuedDays();
        const asked = now.state.one("as_of") ?? days[0]?.valuation_date;
        const at = days.findIndex((d) => d.valuation_date === asked);
        const [day, before] = [days[at], at < 0 ? undefined : days[at + 1]];
        void needs(attention).catch((error: unknown) => fill(attention, h("h2", {}, "What needs attention"), shownProblem(error)));
        if (!day) {
          shown = "";
          fill(lead);
          fill(body, h("section", { class: "panel" }, h("p", { class: "empty" }, asked ? `${asked} is not valued under the standard.` : "Nothing is valued yet under the standard of the lake."),
            h("p", {}, "Bring in positions and market data and have a day valued: ", h("a", { href: "data?tab=ingest" }, "bring files in"), ", ", h("a", { href: "data" }, "what the lake holds"), ".")), attention);
          return;
        }
        if (shown === day.valuation_date) return;
        shown = day.valuation_date;
        fill(lead, h("strong", {}, day.valuation_date), ` under ${day.scenario_set_name}, ${figure(day.scenario_count)} scenarios, `,
          h("a", { href: "data" }, "valued"), ` ${day.sealed_at.slice(0, 16).replace("T", " ")} UTC. `,
          before && h("a", { href: `start?as_of=${before.valuation_date}` }, `The valued day before: ${before.valuation_date}`));
        const risk = new Panel("Risk by desk", "var", (answer, where) => showRisk(answer, where, day.valuation_date));
        const why = new Panel(`Change since ${before?.valuation_date}`, "explain", showChange);
        const tested = new Panel("Exceptions", "backtest", (answer, where) => showExceptions(answer, where));
        fill(body, risk.element, before ? why.element : h("section", { class: "panel" }, h("h2", {}, "Change"), h("p", { class: "empty" }, "No earlier day is valued under the standard.")),
          before && tested.element, attention);
        const range = { from: before?.valuation_date, to: day.valuation_date };
        // each shows its own answer or failure; one after the other, so that they leave room for what others ask
        void inTurn([
          () => risk.ask(parametersOf({ as_of: day.valuation_date, by: ["desk"], measures: ["var", "es"], sort: ["-var_0.99"] })),
          ...(before ? [() => why.ask(parametersOf(range))] : []),
          ...(before ? [() => tested.ask(parametersOf({ ...range, calendar: "books", simulations: "0", levels: ["0.99"] }))] : []),
        ]);
      },
    };
    await opened.update(view);
    return opened;
  },
};

function showRisk(answer: Answer, place: HTMLElement, day: string): void {
  const total = answer.total as Row;
  // a filter to one desk takes the desk's own standard: its figures here are made with that of all
  const { currency } = answer.receipt.question as { currency: string };
  const same = { currency, valuation_set: String(answer.receipt.valuation_set_id) };
  const link = (column: string, parameters: Record<string, string>) =>
    h("a", { href: addressOf("contributions", parametersOf({ as_of: day, by: ["desk"], measures: [column.split("_")[0] ?? "var"], ...same, ...parameters })) }, figure(total[column]));
  place.append(
    h("p", { class: "headline" }, h("span", {}, "VaR 99% ", link("var_0.99", {})), h("span", {}, "ES 99% ", link("es_0.99", {}))),
    table(answer.rows, {
      caption: `By desk in ${currency}, 1 day, losses positive`, columns: ["desk", "var_0.99", "es_0.99", "base_value", ...(answer.rows.some((r) => r.status !== "complete") ? ["status"] : [])],
      cell: (row, column) => (["desk", "var_0.99", "es_0.99"].includes(column) && typeof row.desk === "string" && !/[,~]/.test(row.desk)
        ? h("a", { href: addressOf("var", parametersOf({ as_of: day, by: ["book"], where: [`desk=${row.desk}`], ...same })) }, figure(row[column])) : figure(row[column])),
    }));
}

function showChange(answer: Answer, place: HTMLElement): void {
  const causes = (answer.causes as (Row & { cause: string; value: number; meaning: string })[]).toSorted((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const asked = answer.receipt.question as { from: { as_of: string }; to: { as_of: string } };
  const range = { from: asked.from.as_of, to: asked.to.as_of };
  place.append(
    h("p", { class: "headline" }, h("span", {}, "VaR 99% ", h("a", { href: addressOf("explain", parametersOf({ ...range, by: ["desk"] })) }, figure(answer.change)))),
    h("p", {}, `From ${figure(answer.before)} on ${range.from} to ${figure(answer.after)} on ${range.to}.`),
    table(causes.slice(0, CAUSES), {
      caption: `The ${CAUSES} largest of ${causes.length} causes`, columns: ["cause", "value", "meaning"],
      cell: (row, column) => (column === "value" ? h("a", { href: addressOf("explain-drill", parametersOf({ ...range, cell: `cause=${row.cause}` })) }, figure(row.value)) : words(figure(row[column]))),
    }));
}

function showExceptions(answer: Answer, place: HTMLElement): void {
  const asked = answer.receipt.question as Row;
  const [node] = answer.nodes as { levels: { traffic_light: Parameters<typeof light>[0]; exceptions: number }[]; exceptions: Row[] }[];
  const to = (day: unknown) => `time?${parametersOf({ tab: "backtest", from: String(asked.from), to: String(asked.to), calendar: "books", levels: ["0.99"], simulations: "0", day: String(day ?? "") })}`;
  place.append(h("p", { class: "headline" }, h("span", {}, "VaR 99% ", h("a", { href: to(null) }, `${figure(node?.levels[0]?.exceptions)} exceptions`))));
  if (node && node.exceptions.length > 0) {
    place.append(table(node.exceptions, {
      caption: "Since the valued day before", columns: ["day", ...Object.keys(node.exceptions[0] ?? {}).filter((c) => c.endsWith("_pnl")), "var_0.99", "remark"],
      cell: (row, column) => (column === "day" ? h("a", { href: to(row.day) }, String(row.day)) : figure(row[column])),
    }));
  } else place.append(h("p", { class: "empty" }, "None since the valued day before."));
}

/** The engine, jobs that failed or wait, values that are held, contracts without a value. */
async function needs(place: HTMLElement): Promise<void> {
  const [health, failed, waiting, held] = await Promise.all([
    get<Row & { status: string; notes: string[] }>("/health"),
    get<{ rows: Job[] }>("/jobs", parametersOf({ state: "failed", limit: "5" })),
    get<{ rows: Job[] }>("/jobs", parametersOf({ state: "queued", limit: "5" })),
    get<{ rows: Row[]; next_cursor: string | null }>("/market/issues", parametersOf({ state: "held", limit: "5" })),
  ]);
  const items: Node[] = [];
  const item = (...said: (Node | string)[]) => items.push(h("li", {}, ...said));
  if (health.status !== "ok") item(h("a", { href: "data?tab=health" }, "Health"), `: ${health.status}`);
  for (const note of health.notes) item(note);
  for (const job of failed.rows) item(h("a", { href: `data?tab=jobs&job=${job.job_id}` }, `${words(String(job.kind))} failed`), `: ${job.problem?.detail ?? ""}`);
  if (waiting.rows.length > 0) item(h("a", { href: "data?tab=jobs&state=queued" }, "Jobs are waiting"));
  for (const value of held.rows) item(h("a", { href: "data?tab=market&state=held" }, `${value.risk_factor_id} of ${value.as_of_date} is held`), `: ${figure(value.detail)}`);
  if (held.next_cursor) item(h("a", { href: "data?tab=market&state=held" }, "More market values are held"));
  fill(place, h("h2", {}, "What needs attention"), items.length > 0 ? h("ul", {}, ...items) : h("p", { class: "empty" }, "Nothing: the engine runs, no job has failed or waits, and no market value is held."));
}
