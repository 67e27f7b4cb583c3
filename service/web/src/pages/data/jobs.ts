// The jobs of the engine, live: progress, cancel, what each was asked and led to.

import { get, type Row, send } from "../../api";
import { type Job, shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { figure, words } from "../../format";
import { shownCell, told } from "../../listing";
import { api } from "../../openapi";
import type { Opened, View } from "../../page";
import { table } from "../../table";
import type { Part } from "../../parts";
import { reports } from "./ingest";

const POLL_MS = 1000;
const QUIET_MS = 5000; // between looks where nothing runs
const PAGE = "50";
const MOVING = new Set(["queued", "running"]);

interface Listed extends Job { kind: string; actor: string; submitted_at: string; started_at: string | null; finished_at: string | null; request: Row; result: Row | null }

export const jobs: Part = {
  name: "jobs",
  title: "Jobs",
  async open(place, view) {
    const filters = (await api()).filters("/jobs");
    let current = view;
    const filter = new QuestionForm({ parameters: filters, first: filters.map((f) => f.name), submit: "Filter", onsubmit: (values) => current.set({ ...values, before: null }) }, view.state);
    const [list, detail, said] = [h("div"), h("section", { class: "panel", "aria-label": "job", "aria-live": "polite" }), h("div", { role: "status" })];
    fill(place, h("div", { class: "fields-across" }, filter.element), said, detail, list);
    let timer: number | undefined;
    let last = "";
    let closed = false;

    async function look(): Promise<void> {
      clearTimeout(timer);
      let wait = QUIET_MS;
      try {
        const asked = current.state.only(filters.map((f) => f.name));
        asked.set("limit", PAGE);
        const before = current.state.one("before");
        if (before) asked.set("cursor", before);
        const id = current.state.one("job");
        const [page, one] = await Promise.all([
          get<{ rows: Listed[]; next_cursor: string | null }>("/jobs", asked),
          id ? get<Listed>(`/jobs/${encodeURIComponent(id)}`) : null,
        ]);
        if (closed) return;
        const now = JSON.stringify([page, one]);
        if (now !== last) show(page.rows, page.next_cursor, one);
        last = now;
        if ([...page.rows, ...(one ? [one] : [])].some((j) => MOVING.has(j.state))) wait = POLL_MS;
      } catch (error) {
        if (closed) return;
        fill(said, shownProblem(error));
        last = "";
      }
      if (!closed) timer = setTimeout(() => void look(), document.hidden ? QUIET_MS : wait);
    }

    function show(rows: Listed[], following: string | null, one: Listed | null): void {
      const focused = document.activeElement?.id;
      fill(said);
      fill(list, rows.length === 0 ? h("p", { class: "empty" }, "There are no such jobs.")
        : table(rows, {
          caption: `${figure(rows.length)} jobs, the newest first`, columns: ["submitted_at", "kind", "actor", "state", "progress", "finished_at", "job_id"], cell,
        }), following && h("button", { type: "button", onclick: () => current.set({ before: following }) }, "Older jobs"),
      current.state.one("before") && h("button", { type: "button", onclick: () => current.set({ before: null }) }, "The newest jobs"));
      fill(detail, ...(one ? detailOf(one) : []));
      detail.hidden = one === null;
      if (focused) document.getElementById(focused)?.focus();
    }

    function cell(row: Row, column: string): Node | string {
      const job = row as Listed;
      if (column === "progress") return progressOf(job);
      // the rest of an id is the time, which stands beside it
      if (column === "job_id") return h("a", { id: `job-${job.job_id}`, href: `data?${current.state.with({ job: job.job_id })}` }, job.job_id.slice(-8));
      return column === "kind" ? words(job.kind) : shownCell(row, column);
    }

    function progressOf(job: Listed): Node | string {
      if (!MOVING.has(job.state)) return job.problem?.title ?? "–";
      const { stage, done, total } = job.progress;
      return h("span", { class: "inline" }, h("progress", { max: 1, value: total ? done / total : null, "aria-label": `progress of ${words(job.kind)}` }), " ",
        stage ? (total ? `${stage}: ${figure(done)} of ${figure(total)}` : stage) : "waits for the engine", " ",
        h("button", { type: "button", id: `cancel-${job.job_id}`, onclick: () => void cancel(job.job_id) }, "Cancel"));
    }

    async function cancel(id: string): Promise<void> {
      try {
        await send("DELETE", `/jobs/${id}`);
        await look();
      } catch (error) {
        fill(said, shownProblem(error));
      }
    }

    function detailOf(job: Listed): Node[] {
      return [
        h("h2", {}, `${words(job.kind)} · `, h("code", {}, job.job_id)),
        h("dl", {}, ...(["state", "actor", "submitted_at", "started_at", "finished_at"] as const).flatMap((k) => [h("dt", {}, words(k)), h("dd", {}, shownCell(job, k))])),
        h("p", {}, progressOf(job)),
        ...(job.problem ? [h("div", { class: "problem" }, h("strong", {}, job.problem.title), h("p", {}, job.problem.detail))] : []),
        ...(job.result ? (job.result.reports ? reports(job.result) : [h("details", { open: true }, h("summary", {}, "What it led to"), told(job.result))]) : []),
        h("details", {}, h("summary", {}, "What was asked"), told(job.request)),
      ];
    }

    const opened: Opened = {
      async update(now: View) {
        current = now;
        filter.update(now.state);
        await look();
      },
      close() {
        closed = true;
        clearTimeout(timer);
      },
    };
    await opened.update(view);
    return opened;
  },
};
