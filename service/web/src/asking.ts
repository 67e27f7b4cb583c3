// A question on a page: asked, planned where a valuation is missing, valued as a job on a click, and shown without a reload.

import { type Answer, Problem, type Row, get, partOf, send } from "./api";
import { fill, h } from "./dom";
import { figure, words } from "./format";
import { type Question, question } from "./questions";
import { keep } from "./receipts";
import { table } from "./table";

export interface Job extends Row {
  job_id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  progress: { stage: string | null; done: number; total: number };
  problem: { title: string; detail: string } | null;
}

const POLL_MS = 400;

/** Shows a failure in words: what was given, what is expected, what to do. */
export function shownProblem(error: unknown): HTMLElement {
  if (!(error instanceof Problem)) throw error;
  const faults = error.faults.map((f) => h("li", {}, h("code", {}, f.pointer.replace(/^\//, "") || "the request"), " ", f.message));
  return h("div", { class: "problem", role: "alert" },
    h("strong", {}, error.title), h("p", {}, error.message),
    error.faults.length > 1 && h("ul", {}, ...faults),
    error.signedOut && h("p", {}, h("a", { href: "/sign-in", target: "_blank" }, "Sign in"), " in another tab, then try again: nothing is lost."),
    error.errorId && h("p", { class: "faint" }, `Error id ${error.errorId}`));
}

/** What the figures of an answer cover: one book, or one of each side of a comparison or a change, or of each result. */
function coverages(answer: Answer): [string, Row][] {
  const { coverage, coverage_before, coverage_after, before, after, results } = answer;
  const of = (part: unknown) => (part as Row | null)?.coverage;
  const all = Array.isArray(coverage) ? coverage : coverage ? [coverage] : Array.isArray(results) ? results.map(of) : [coverage_before ?? of(before), coverage_after ?? of(after)];
  const there = all.filter((c): c is Row => typeof c === "object" && c !== null);
  const names = there.length === 1 ? ["Coverage"] : results ? there.map((_, i) => `Coverage ${i + 1}`) : ["Coverage before", "Coverage after"];
  return there.map((c, i) => [names[i] ?? "Coverage", c]);
}

/** What every answer says beside its figures: coverage, notes, receipt. */
export function said(answer: Answer): HTMLElement {
  const { receipt } = answer;
  const notes = new Set([answer, answer.before as Answer | null, answer.after as Answer | null].flatMap((a) => a?.notes ?? []));
  const digest = String(receipt.receipt_digest ?? "");
  keep(answer);
  return h("footer", { class: "said" },
    ...coverages(answer).map(([name, coverage]) => h("p", { class: coverage.status === "complete" ? "coverage" : "coverage partial" },
      `${name}: `, Object.entries(coverage).filter(([, v]) => v !== null && typeof v !== "object").map(([k, v]) => `${words(k)} ${figure(v)}`).join(" · "))),
    notes.size > 0 && h("ul", { class: "notes" }, ...[...notes].map((n) => h("li", {}, n))),
    digest && h("p", { class: "faint" }, "Receipt ", h("a", { href: `receipt?${new URLSearchParams({ digest })}`, "data-receipt": digest }, digest.slice(0, 12))));
}

/** One question in one place of a page. A new question takes the place of the one that is being answered. */
export class Asking {
  private stop: AbortController | undefined;
  answer: Answer | undefined;

  constructor(
    readonly place: HTMLElement, readonly name: string,
    private readonly show: (answer: Answer, place: HTMLElement) => void | Promise<void>,
    private readonly onproblem: (problem: Problem) => void = () => undefined,
  ) {
    place.setAttribute("aria-live", "polite");
  }

  /** Asks with the parameters of an address, or, where the question does not fit into one, with a body. */
  async ask(parameters: URLSearchParams | Row): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    this.place.setAttribute("aria-busy", "true");
    if (!this.answer) fill(this.place, h("p", { class: "loading" }, "Being computed …"));
    try {
      const answer = await asked(this.name, parameters, signal);
      await this.shown(answer);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.notValued) await this.plan(parameters, error, signal).catch((e: unknown) => this.failed(e));
      else {
        this.failed(error);
        if (error instanceof Problem) this.offer(parameters, error);
      }
    } finally {
      if (!signal.aborted) this.place.removeAttribute("aria-busy");
    }
  }

  private async shown(answer: Answer): Promise<void> {
    this.answer = answer;
    this.place.replaceChildren();
    if (answer.rows?.length === 0) this.place.append(h("p", { class: "empty" }, "There is nothing to show: no row answers this question."));
    await this.show(answer, this.place);
    this.place.append(said(answer));
  }

  private failed(error: unknown): void {
    this.answer = undefined;
    fill(this.place, shownProblem(error));
    if (error instanceof Problem) this.onproblem(error);
  }

  /** What is missing, what it costs, and a button that has it valued. */
  private async plan(parameters: URLSearchParams | Row, missing: Problem, signal: AbortSignal): Promise<void> {
    const plan = await (parameters instanceof URLSearchParams
      ? get(`/${this.name}/plan`, parameters, signal)
      : send("POST", `/${this.name}/plan`, parameters, signal));
    const [low, high] = plan.core_seconds_range as [number, number];
    const rows = (plan.valuations as { for: string; plan: Row }[]).map((v) => ({ for: v.for, ...v.plan }));
    const columns = ["for", "wanted", "present", "missing", "expected_core_seconds"].filter((c) => rows.some((r) => c in r));
    fill(this.place, h("div", { class: "plan" },
      h("h3", {}, "Not valued yet"), h("p", {}, missing.message),
      h("p", {}, `That takes about ${figure(plan.expected_core_seconds)} seconds of one core (between ${figure(low)} and ${figure(high)}).`),
      table(rows, { caption: "What is missing", columns }),
      h("button", { type: "button", class: "primary", onclick: () => void this.value(parameters) }, "Value it now")));
  }

  /** What may help: a job, which may take longer than a request, or to ask again later. */
  private offer(parameters: URLSearchParams | Row, problem: Problem): void {
    const button = (label: string, act: () => Promise<void>) => this.place.append(h("button", { type: "button", class: "primary", onclick: () => void act() }, label));
    if (problem.outOfTime) button("Have the engine answer it", () => this.value(parameters));
    else if ([0, 429, 503].includes(problem.status)) button("Try again", () => this.ask(parameters));
  }

  private async value(parameters: URLSearchParams | Row): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    try {
      const body = parameters instanceof URLSearchParams ? await asBody(this.name, parameters) : parameters;
      const job = await send<Job>("POST", `/${this.name}/value`, body);
      const done = await followed(this.place, job.job_id);
      if (!signal.aborted) await this.shown(partOf<Answer>(done, "result"));
    } catch (error) {
      this.failed(error);
    }
  }
}

/** The answer to a question. */
export function asked(name: string, parameters: URLSearchParams | Row, signal?: AbortSignal): Promise<Answer> {
  return parameters instanceof URLSearchParams ? get<Answer>(`/${name}`, parameters, signal) : send<Answer>("POST", `/${name}`, parameters, signal);
}

/** The question of an address as a body has it. */
export async function asBody(name: string, parameters: URLSearchParams): Promise<Row> {
  return bodyOf(await question(name), parameters);
}

function bodyOf(asked: Question, parameters: URLSearchParams): Row {
  const body: Row = {};
  for (const p of asked.parameters) {
    const values = parameters.getAll(p.name);
    if (values.length === 0) continue;
    const typed = values.map((v) => (p.type === "boolean" ? v === "true" : p.type === "integer" || p.type === "number" ? Number(v) : v));
    body[p.name] = p.kind === "several" || p.kind === "labels" ? typed : typed[0];
  }
  return body;
}

/** Follows a job to its end, showing its progress; a failed or cancelled one is a `Problem`. */
export async function followed(place: HTMLElement, jobId: string): Promise<Job> {
  const bar = h("progress", { max: 1, "aria-label": "progress of the job" });
  const line = h("p", {}, "The job waits for the engine …");
  const cancel = h("button", { type: "button", onclick: () => void send("DELETE", `/jobs/${jobId}`) }, "Cancel");
  fill(place, h("div", { class: "job", role: "status" }, line, bar, cancel));
  for (;;) {
    const job = await get<Job>(`/jobs/${jobId}`);
    const { stage, done, total } = job.progress;
    if (stage) line.textContent = total ? `${stage}: ${figure(done)} of ${figure(total)}` : stage;
    if (total) bar.value = done / total;
    if (job.state === "done") return job;
    if (job.state === "failed") throw new Problem(500, "", job.problem?.title ?? "The job failed", job.problem?.detail ?? "");
    if (job.state === "cancelled") throw new Problem(409, "", "Cancelled", "The job was cancelled. What had been valued is kept.");
    await new Promise((go) => setTimeout(go, POLL_MS));
  }
}
