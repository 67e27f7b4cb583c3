// A question on a page: asked, planned where a valuation is missing, valued as a job on a click, and shown without a reload.

import { type Answer, Problem, type Row, get, partOf, send } from "./api";
import { fill, h } from "./dom";
import { type Asked, exportMenu } from "./exports";
import { figure, words } from "./format";
import { PINNED, heldTo, unpinned } from "./pin";
import { type Parameter, type Question, question } from "./questions";
import { keep } from "./receipts";
import { State } from "./state";
import { table } from "./table";

export interface Job extends Row {
  job_id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  progress: { stage: string | null; done: number; total: number };
  problem: { title: string; detail: string } | null;
}

const POLL_MS = 400;
const [ATTEMPTS, SOON_MS, LATER_MS] = [16, 100, 2500]; // for a place among heavy questions

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

/** Says at a field what is wrong with it, where the failure is about it; true where it is. */
export function faultAt(pointer: string, error: unknown, field: HTMLElement, place: HTMLElement): boolean {
  const wrong = error instanceof Problem && error.faults.find((f) => f.pointer === pointer);
  if (!wrong) return false;
  place.textContent = wrong.message;
  field.setAttribute("aria-invalid", "true");
  field.focus();
  return true;
}

/** What the figures of an answer cover: one book, or one of each side of a comparison or a change, or of each result. */
function coverages(answer: Answer): [string, Row][] {
  const { coverage, coverage_before, coverage_after, before, after, results, what_if } = answer;
  if (what_if) return coverages(what_if as Answer);
  const of = (part: unknown) => (part as Row | null)?.coverage;
  const all = Array.isArray(coverage) ? coverage : coverage ? [coverage] : Array.isArray(results) ? results.map(of) : [coverage_before ?? of(before), coverage_after ?? of(after)];
  const there = all.filter((c): c is Row => typeof c === "object" && c !== null);
  const names = there.length === 1 ? ["Coverage"] : results ? there.map((_, i) => `Coverage ${i + 1}`) : ["Coverage before", "Coverage after"];
  return there.map((c, i) => [names[i] ?? "Coverage", c]);
}

const answers = new WeakMap<Element, Answer>();

/** The answers that the page shows now. */
export function answersShown(): Answer[] {
  return [...document.querySelectorAll(".said")].flatMap((footer) => answers.get(footer) ?? []);
}

/** What every answer says beside its figures: coverage, notes, receipt; and, where it is said what was asked, its menu of exports. */
export function said(answer: Answer, asked?: Asked): HTMLElement {
  const { receipt } = answer;
  const notes = new Set([answer, answer.before as Answer | null, answer.after as Answer | null].flatMap((a) => a?.notes ?? []));
  const digest = String(receipt.receipt_digest ?? "");
  keep(answer);
  const { currency } = (receipt.question ?? {}) as Row;
  const footer = h("footer", { class: "said" },
    asked && exportMenu(asked, answer),
    typeof currency === "string" && h("p", { class: "basis" }, [`In ${currency}`, ...(typeof receipt.scenario_set_name === "string" ? [`scenarios ${receipt.scenario_set_name}`] : [])].join(" · ")),
    ...coverages(answer).map(([name, coverage]) => h("p", { class: coverage.status === "complete" ? "coverage" : "coverage partial" },
      `${name}: `, Object.entries(coverage).filter(([, v]) => v !== null && typeof v !== "object").map(([k, v]) => `${words(k)} ${figure(v)}`).join(" · "))),
    notes.size > 0 && h("ul", { class: "notes" }, ...[...notes].map((n) => h("li", {}, n))),
    digest && h("p", { class: "faint" }, "Receipt ", h("a", { href: `receipt?${new URLSearchParams({ digest })}`, "data-receipt": digest }, digest.slice(0, 12))));
  answers.set(footer, answer);
  return footer;
}

/** One question in one place of a page. A new question takes the place of the one that is being answered. */
export class Asking {
  private stop: AbortController | undefined;
  answer: Answer | undefined;

  constructor(
    readonly place: HTMLElement, readonly name: string,
    private readonly show: (answer: Answer, place: HTMLElement, asked: Asked) => void | Promise<void>,
    private readonly onproblem: (problem: Problem) => void = () => undefined,
    private readonly answers: (name: string, parameters: URLSearchParams | Row, signal: AbortSignal) => Promise<Answer> = asked,
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
      parameters = heldTo(await question(this.name), parameters);
      await this.shown(await this.answers(this.name, parameters, signal), { name: this.name, parameters });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.notValued) await this.plan(parameters, error, signal).catch((e: unknown) => { if (!signal.aborted) this.failed(e); });
      else {
        this.failed(error);
        if (error instanceof Problem) this.offer(parameters, error);
      }
    } finally {
      if (!signal.aborted) this.place.removeAttribute("aria-busy");
    }
  }

  /** Stops what is being asked: the place is wanted for something else. */
  cancel(): void {
    this.stop?.abort();
  }

  private async shown(answer: Answer, asked: Asked): Promise<void> {
    this.answer = answer;
    this.place.replaceChildren();
    if (tablesOf(answer).length === 0) this.place.append(h("p", { class: "empty" }, "There is nothing to show: no row answers this question."));
    await this.show(answer, this.place, asked);
    this.place.append(said(answer, asked));
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
    const button = (label: string, act: () => Promise<void>) => this.place.append(h("p", {}, h("button", { type: "button", class: "primary", onclick: () => void act() }, label)));
    if (problem.outOfTime) button("Have the engine answer it", () => this.value(parameters, true));
    else if ([0, 429, 503].includes(problem.status)) button("Try again", () => this.ask(parameters));
    else if (State.here().one(PINNED) !== null) {
      this.place.append(h("p", {}, "This link is pinned to valuations and versions as whoever made it sees them. ",
        h("a", { href: `${location.pathname}?${unpinned(State.here())}` }, "Open it with what is newest")));
    }
  }

  private async value(parameters: URLSearchParams | Row, answered = false): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    try {
      const body = parameters instanceof URLSearchParams ? await asBody(this.name, parameters) : parameters;
      const job = await send<Job>("POST", `/${this.name}/value`, body);
      const done = await followed(this.place, job.job_id);
      if (signal.aborted) return;
      if (answered) await this.shown(partOf<Answer>(done, "result"), { name: this.name, parameters });
      else await this.ask(parameters);
    } catch (error) {
      this.failed(error);
    }
  }
}

/** What waits for a place at the service: each is woken when an answer of this page has come. */
const waiting = new Set<() => void>();

/** The answer to a question. Where the service has no place for a heavy one, it is asked again when another answer has come, or after a while. */
export async function asked(name: string, parameters: URLSearchParams | Row, signal?: AbortSignal): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await (parameters instanceof URLSearchParams ? get<Answer>(`/${name}`, parameters, signal) : send<Answer>("POST", `/${name}`, parameters, signal));
      answer.rows ??= [];
      return answer;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 429 || attempt === ATTEMPTS) throw error;
    } finally {
      waiting.forEach((wake) => wake());
    }
    await new Promise<void>((resolve) => {
      const wake = () => { clearTimeout(timer); waiting.delete(wake); resolve(); };
      const timer = setTimeout(wake, Math.min(LATER_MS, SOON_MS * 2 ** attempt));
      waiting.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
    signal?.throwIfAborted();
  }
}

/** Every table of an answer by its name, `rows` the first: some answers have theirs by other names, such as drivers; answers it is made of are none. */
export function tablesOf(answer: Answer): [string, Row[]][] {
  const found = Object.entries(answer).filter((e): e is [string, Row[]] => Array.isArray(e[1]) && e[0] !== "coverage" && e[0] !== "queries" && typeof e[1][0] === "object" && !("receipt" in e[1][0]));
  return found.sort(([one], [two]) => Number(two === "rows") - Number(one === "rows"));
}

/** The question of an address as a body has it. */
export async function asBody(name: string, parameters: URLSearchParams): Promise<Row> {
  return bodyOf(await question(name), parameters);
}

/** The value of a text; what is none of the type stays a text, and the service says so at its field. */
function typedAs(p: Parameter, text: string): unknown {
  try {
    if (p.kind === "objects" || p.kind === "pairs") return JSON.parse(text);
  } catch {
    return text;
  }
  if (p.type === "boolean") return text === "true";
  if (p.type === "integer" || p.type === "number") return Number.isNaN(Number(text)) ? text : Number(text);
  return text;
}

/** Whether the question does not fit into an address: some of it is objects. */
export function needsBody(asked: Question, parameters: URLSearchParams): boolean {
  return !asked.in_address || asked.parameters.some((p) => (p.kind === "objects" || p.kind === "pairs") && parameters.has(p.name));
}

export function bodyOf(asked: Question, parameters: URLSearchParams): Row {
  const body: Row = {};
  for (const p of asked.parameters) {
    const values = parameters.getAll(p.name);
    if (values.length === 0) continue;
    const typed = values.map((v) => typedAs(p, v));
    const value = p.kind === "several" || p.kind === "labels" ? typed : typed[0];
    const [name = p.name, part] = p.path;
    // a point of a comparison is its date, or an object where more of it is given
    if (part) body[name] = { ...(typeof body[name] === "object" ? body[name] as Row : { as_of: body[name] }), [part]: value };
    else body[name] = value;
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
