// Files brought in: a mapping suggested, a dry run, then the job; what is not usable is shown and can be saved.

import { get, Problem, request, type Row } from "../../api";
import { followed, shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { figure, words } from "../../format";
import { told } from "../../listing";
import { saved } from "../../openapi";
import type { View } from "../../page";
import type { Parameter } from "../../questions";
import { asCsv, table } from "../../table";
import type { Opened } from "../../page";
import type { Part } from "../../parts";

interface Option extends Parameter { beside: boolean }
interface Kind { name: string; meaning: string; files: string; route: string; suggested: boolean; kept: string[]; options: Option[] }
interface Suggestion { toml: string; doubts: string[]; rows: Row[]; faults: Row[] }

const SUGGESTED = "suggested.toml";

export const ingest: Part = {
  name: "ingest",
  title: "Bring files in",
  async open(place, view) {
    const { rows: kinds } = await get<{ rows: Kind[] }>("/ingests");
    const select = h("select", { id: "ingest-kind", onchange: () => current.set({ kind: select.value, job: null }) }, ...kinds.map((k) => h("option", { value: k.name }, words(k.name))));
    const body = h("div");
    fill(place, h("div", { class: "field narrow" }, h("label", { for: "ingest-kind" }, "What the files hold"), select), body);
    let current = view;
    let shown: { name: string; upload: Opened } | undefined;
    const opened: Opened = {
      async update(now) {
        current = now;
        const kind = kinds.find((k) => k.name === (now.state.one("kind") ?? "positions")) ?? kinds[0];
        if (!kind) return;
        select.value = kind.name;
        if (shown?.name !== kind.name) shown = { name: kind.name, upload: upload(body, kind, () => current) };
        await shown.upload.update(now);
      },
    };
    await opened.update(view);
    return opened;
  },
};

/** The form of a kind of files, made from what the API says of it. */
function upload(place: HTMLElement, kind: Kind, view: () => View): Opened {
  const result = h("section", { class: "answer", "aria-label": "result", "aria-live": "polite" });
  const faulty = h("small", { id: "ingest-files-fault", class: "fault", role: "alert" });
  const input = h("input", { id: "ingest-files", type: "file", multiple: true, "aria-describedby": "ingest-files-about ingest-files-fault" });
  const proposal = h("div", { "aria-live": "polite" });
  let toml: HTMLTextAreaElement | undefined;
  let dry = true;
  const beside = kind.options.filter((o) => o.beside).map((o) => o.name);
  const form = new QuestionForm({
    parameters: kind.options, submit: "Try (dry run)", suggestions: Object.fromEntries(beside.map((name) => [name, kind.kept])),
    onsubmit: (values) => void sent(values),
  }, view().state);
  const bring = h("button", { type: "button", onclick: () => { dry = false; form.element.requestSubmit(); } }, "Bring in");
  const suggest = kind.suggested && h("button", { type: "button", onclick: () => void suggested() }, "Suggest how to read it");
  form.element.prepend(h("div", { class: "field" }, h("label", { for: "ingest-files" }, "Files"), input,
    h("small", { id: "ingest-files-about" }, `${kind.files}${beside.length > 0 ? ` Files that ${beside.map(words).join(" and ")} name are chosen here too.` : ""}`), faulty, suggest), proposal);
  form.element.append(" ", bring);
  fill(place, h("div", { class: "two-columns" }, h("section", { "aria-label": "files" }, h("p", {}, kind.meaning), form.element), result));

  function chosen(): File[] | null {
    faulty.textContent = input.files?.length ? "" : "Choose a file first.";
    if (!input.files?.length) input.focus();
    return input.files?.length ? [...input.files] : null;
  }

  async function post(path: string, files: readonly File[], parameters = new URLSearchParams()): Promise<Response> {
    const body = new FormData();
    for (const file of files) body.append("file", file, file.name);
    return request(`${path}?${parameters}`, { method: "POST", body, headers: { Accept: "application/json" } });
  }

  async function busy(label: string, work: () => Promise<void>): Promise<void> {
    result.setAttribute("aria-busy", "true");
    fill(result, h("p", { class: "loading" }, label));
    try {
      await work();
    } catch (error) {
      fill(result, shownProblem(error));
      if (error instanceof Problem) form.fault(error);
    } finally {
      result.removeAttribute("aria-busy");
      if (result.getBoundingClientRect().top < 0) result.scrollIntoView();
    }
  }

  async function suggested(): Promise<void> {
    const files = chosen();
    if (!files) return;
    await busy("The files are being looked at …", async () => {
      const found = await (await post(`${kind.route}/suggestion`, files)).json() as Suggestion;
      toml = h("textarea", { id: "ingest-toml", rows: 14, spellcheck: "false" });
      toml.value = found.toml;
      fill(proposal, h("div", { class: "field" }, h("label", { for: "ingest-toml" }, `Read so (${SUGGESTED}); change what is not right`), toml,
        h("span", {}, h("button", { type: "button", onclick: () => { toml = undefined; fill(proposal); input.focus(); } }, "Do not use it"), " ", saved(found.toml, SUGGESTED, "Save as a file", "text/plain"))));
      fill(result, h("h3", {}, "How the file seems to be read"),
        found.doubts.length > 0 && h("ul", { class: "notes" }, ...found.doubts.map((d) => h("li", {}, d))),
        found.rows.length > 0 && table(found.rows, { caption: "The first rows as they would load" }),
        found.faults.length > 0 && table(found.faults, { caption: "What would not load, and why" }));
      toml.focus();
    });
  }

  async function sent(values: Record<string, string[]>): Promise<void> {
    const tried = dry;
    dry = true;
    const files = chosen();
    if (!files) return;
    const parameters = new URLSearchParams(Object.entries(values).flatMap(([name, given]) => given.map((v) => [name, v])));
    if (toml) {
      files.push(new File([toml.value], SUGGESTED));
      parameters.set(kind.options.some((o) => o.name === "catalogue") ? "catalogue" : "mapping", SUGGESTED);
    }
    if (tried) parameters.set("dry_run", "true");
    await busy(tried ? "The files are being read and checked …" : "The files are being sent …", async () => {
      const answer = await (await post(kind.route, files, parameters)).json() as Row;
      if (tried) {
        fill(result, h("h3", {}, "Dry run: nothing is stored"), ...reports(answer));
      } else view().set({ job: String(answer.job_id) });
    });
  }

  let followedJob: string | null = null;
  return {
    async update(now) {
      const job = now.state.one("job");
      if (job === followedJob) return;
      followedJob = job;
      if (!job) return fill(result, h("p", { class: "empty" }, "Choose files and try them; a dry run stores nothing."));
      result.setAttribute("aria-busy", "true");
      void followed(result, job).then(
        (done) => { if (followedJob === job) fill(result, h("h3", {}, "Brought in"), ...reports(done.result as Row)); },
        (error: unknown) => { if (followedJob === job) fill(result, shownProblem(error), h("p", {}, h("a", { href: `data?tab=jobs&job=${job}` }, "The job"))); },
      ).finally(() => result.removeAttribute("aria-busy"));
    },
  };
}

/** The report of each file; rows that are not usable can be saved. */
export function reports(answer: Row): Node[] {
  const found = (answer.reports as Row[] | undefined) ?? [];
  return found.map((report, i) => h("div", { class: "report" }, told(report, (name, rows) =>
    name.startsWith("reject") && saved(asCsv(rows), `rejected-${i + 1}.csv`, `Save the ${figure(rows.length)} rows that were rejected as CSV`))));
}
