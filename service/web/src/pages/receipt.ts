// Any number by its receipt: what it was asked of, what it rests on, and whether the same bits come again.

import { type Answer, type Row, request } from "../api";
import { shownProblem } from "../asking";
import { fill, h } from "../dom";
import { figure, words } from "../format";
import type { Opened, Page, View } from "../page";
import { addressOf } from "../panel";
import { type Question, questions } from "../questions";
import { keepText, keptReceipt, keptReceipts } from "../receipts";
import { table } from "../table";

interface Input extends Row { input: string; state: string; receipt: string; found: string }
interface Replay { verdict: string; kind: string; result_digest: string; recomputed_digest: string | null; inputs: Input[]; why: string | null; changed: Row[] }
interface Now { rows: Row[]; positions: Row[]; market_data: Row[]; tables: Record<string, [number, number]>; notes: string[] }

const VERDICTS: Record<string, string> = {
  "same bits": "The same question, asked of the lake as it was, gives the same bits.",
  "other bits": "The same question gives other bits; what is not as it was stands below.",
  altered: "What is shown, or the receipt, is not what was given: it was changed since.",
  damaged: "A file of the lake that the answer rests on has other bytes than were committed.",
  "not recomputed": "The answer could not be computed again.",
};

/** What is not a receipt is told so; else its JSON under the key `receipt`, as POST /replay takes it, every digit as it was. */
function read(text: string): { digest: string; body: string; answer: Answer } {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`This is no JSON: ${(error as Error).message}. Give an answer as the API gave it (?format=json, varlake … --json), or its receipt.`);
  }
  const whole = (found && typeof found === "object" ? found : {}) as Row;
  const receipt = (whole.receipt ?? whole) as Row;
  const lacks = ["kind", "question", "table_versions", "receipt_digest"].filter((k) => receipt === null || typeof receipt !== "object" || !(k in receipt));
  if (lacks.length > 0) throw new SyntaxError(`There is no receipt in it: ${lacks.join(", ")} not found. Give an answer as the API gave it, or what stands under its key receipt.`);
  return { digest: String(receipt.receipt_digest), body: "receipt" in whole ? text : `{"receipt":${text}}`, answer: { ...whole, receipt } as unknown as Answer };
}

export const receipt: Page = {
  name: "receipt",
  title: "Receipt",
  about: "Any number: its inputs, the question again, and a replay to the same bits.",
  open(place, view) {
    const [fault, shown] = [h("p", { class: "fault", role: "alert", id: "receipt-fault" }), h("div")];
    const text = h("textarea", { id: "receipt-text", rows: 6, spellcheck: "false", "aria-describedby": "receipt-fault", placeholder: "{\"receipt\": …" });
    const file = h("input", { id: "receipt-file", type: "file", accept: ".json,application/json", onchange: () => void file.files?.[0]?.text().then((t) => { text.value = t; take(t); }) });
    let current: View = view;

    function take(given: string): void {
      fault.textContent = "";
      text.removeAttribute("aria-invalid");
      try {
        const { digest } = read(given);
        keepText(digest, given);
        if (keptReceipt(digest) === null) throw new SyntaxError("The browser has no room for this receipt. Give what stands under its key receipt alone.");
        if (current.state.one("digest") === digest) void show(digest);
        current.set({ digest });
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        fault.textContent = error.message;
        text.setAttribute("aria-invalid", "true");
        text.focus();
      }
    }

    let last = "";
    async function show(digest: string | null): Promise<void> {
      last = digest ?? "";
      const found = digest && keptReceipt(digest);
      if (!digest) return recent();
      if (!found) return fill(shown, h("p", { class: "empty", role: "status" }, `The receipt ${digest} was not shown in this tab, and a receipt is kept by whoever has the number. Paste it, or the answer it came with.`));
      fill(shown, h("p", { class: "loading" }, "Being loaded …"));
      const all = await questions();
      if (last === digest) fill(shown, receiptOf(read(found), all));
    }

    function recent(): void {
      const rows = keptReceipts().flatMap((d) => {
        const kept = keptReceipt(d);
        return kept === null ? [] : [{ digest: d, ...summary(read(kept).answer.receipt) }];
      });
      fill(shown, rows.length === 0
        ? h("p", { class: "empty" }, "No answer was shown in this tab yet. Every answer of these pages ends with a link to its receipt.")
        : table(rows, { caption: "Answers shown in this tab, the newest first", cell: (row, column) => (column === "digest" ? h("a", { href: `receipt?digest=${row.digest}` }, String(row.digest).slice(0, 12)) : figure(row[column])) }));
    }

    fill(place, h("h1", {}, "Receipt"),
      h("form", { class: "receipt-form", onsubmit: (e: SubmitEvent) => { e.preventDefault(); take(text.value); } },
        h("details", { open: view.state.one("digest") === null }, h("summary", {}, "Open a receipt"),
          h("div", { class: "field" }, h("label", { for: "receipt-text" }, "An answer or its receipt, as JSON"), text, fault),
          h("div", { class: "field" }, h("label", { for: "receipt-file" }, "or a file"), file),
          h("button", { type: "submit", class: "primary" }, "Open"))),
      shown);
    const opened: Opened = {
      async update(now) {
        current = now;
        await show(now.state.one("digest"));
      },
    };
    void opened.update(view);
    return opened;
  },
};

function summary(found: Row): Row {
  const asked = found.question as Row;
  return { question: found.kind, of: asked.as_of ?? [asked.from, asked.to].flatMap((v) => (v && typeof v === "object" ? (v as Row).as_of : v) ?? []).join(" to "), by: [asked.by ?? []].flat().join(", ") || null };
}

function receiptOf({ digest, body, answer }: ReturnType<typeof read>, all: ReadonlyMap<string, Question>): HTMLElement {
  const found = answer.receipt;
  const name = String(found.kind);
  const asked = found.question as Row;
  const meant = all.get(name);
  const replayed = h("section", { class: "panel", "aria-live": "polite", "aria-label": "replay" });
  const act = (label: string, path: string, show: (made: never) => Node[]) => h("button", {
    type: "button", class: "primary no-print", onclick: async (e: Event) => {
      const button = e.currentTarget as HTMLButtonElement;
      button.disabled = true;
      replayed.setAttribute("aria-busy", "true");
      fill(replayed, h("p", { class: "loading" }, "Being recomputed …"));
      try {
        const response = await request(path, { method: "POST", body, headers: { "Content-Type": "application/json", Accept: "application/json" } });
        fill(replayed, ...show(await response.json() as never));
      } catch (error) {
        fill(replayed, shownProblem(error));
      } finally {
        button.disabled = false;
        replayed.removeAttribute("aria-busy");
      }
    },
  }, label);
  const given = Object.entries(asked).filter(([, v]) => v !== null && v !== false && !(Array.isArray(v) && v.length === 0) && !(typeof v === "object" && Object.keys(v).length === 0));
  const again = meant && addressOfQuestion(meant, asked);
  const versions = Object.entries(found.table_versions as Row).map(([t, version]) => ({ table: t, version }));
  const known = new Set(["kind", "question", "table_versions", "receipt_digest"]);
  const inputs = Object.entries(found).filter(([k, v]) => !known.has(k) && v !== null && k !== "timings_ms");
  return h("article", { class: "receipt" },
    h("h2", {}, `${words(name)} · `, h("code", {}, digest)),
    h("section", { "aria-label": "question" }, h("h3", {}, "The question"), meant && h("p", {}, meant.meaning),
      h("dl", {}, ...given.flatMap(([k, v]) => [h("dt", {}, words(k)), h("dd", {}, inWords(v))])),
      again ? h("p", { class: "no-print" }, h("a", { href: again }, "Ask it again")) : h("p", { class: "faint no-print" }, "What this question holds fits into no address; replay asks it again.")),
    h("div", { class: "actions no-print" },
      act("Replay", "/replay", (made: Replay) => shownReplay(made)), " ",
      act("Replay now", "/replay/now", (made: Now) => shownNow(made)), " ",
      h("button", { type: "button", onclick: () => window.print() }, "Print"), " ",
      h("a", { href: URL.createObjectURL(new Blob([body], { type: "application/json" })), download: `receipt-${digest}.json` }, "Save as a file")),
    replayed,
    h("section", { "aria-label": "inputs" }, h("h3", {}, "What it rests on"),
      h("dl", {}, ...inputs.flatMap(([k, v]) => [h("dt", {}, words(k)), h("dd", {}, inWords(v))])),
      versions.length > 0 && table(versions, { caption: "Versions of the tables that were read; -1: never written" })),
    answer.rows && answer.rows.length > 0 && h("details", {}, h("summary", {}, `The answer as it was shown: ${figure(answer.rows.length)} rows`), table(answer.rows, { caption: "The answer" })));
}

/** The address that asks the question again; null where an address cannot hold it. */
function addressOfQuestion(meant: Question, asked: Row): string | null {
  const parameters = new URLSearchParams();
  for (const p of meant.parameters) {
    const value = asked[p.name];
    const [point = "", field = ""] = /^(from|to)_(.+)$/.exec(p.name)?.slice(1) ?? [];
    const inner = point && typeof asked[point] === "object" ? (asked[point] as Row)[field] : undefined;
    const one = value !== null && typeof value === "object" && !Array.isArray(value) && "as_of" in value ? (value as Row).as_of : (value ?? inner);
    if (one == null || one === false || (typeof one === "object" && Object.keys(one).length === 0)) continue;
    const values = [one].flat().map((v) => (p.kind === "labels" && v && typeof v === "object" ? filterText(v as Row) : v));
    if (p.kind === "objects" || p.kind === "pairs" || values.some((v) => v === null || typeof v === "object")) return null;
    for (const v of values) parameters.append(p.name, String(v));
  }
  return addressOf(meant.name, parameters);
}

/** A filter as an address has it; null for one that only a body can hold. */
function filterText(filter: Row): string | null {
  const { dimension, values, exclude, ...more } = filter as { dimension?: string; values?: unknown[]; exclude?: boolean };
  const plain = values?.every((v) => typeof v === "string" && !/[,;~<>=]/.test(v));
  if (!dimension || !plain || Object.values(more).some((v) => v != null && v !== false && !(Array.isArray(v) && v.length === 0))) return null;
  return `${dimension}${exclude ? "!=" : "="}${values?.join(",")}`;
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (value && typeof value === "object") return Object.entries(value).filter(([, v]) => v !== null).map(([k, v]) => `${words(k)} ${inWords(v)}`).join("; ");
  return typeof value === "number" ? String(value) : figure(value);
}

function shownReplay(made: Replay): Node[] {
  return [
    h("h3", {}, "Replay: ", h("span", { class: made.verdict === "same bits" ? "verdict same" : "verdict differs" }, made.verdict)),
    h("p", {}, VERDICTS[made.verdict] ?? "", " ", made.why ?? ""),
    h("p", { class: "faint" }, "Digest as given ", h("code", {}, made.result_digest), ", recomputed ", h("code", {}, made.recomputed_digest ?? "–")),
    table(made.inputs, { caption: "Inputs, as the receipt has them and as they are found", columns: ["input", "state", "receipt", "found"] }),
    ...(made.changed.length > 0 ? [table(made.changed, { caption: "Figures and texts that are not as recomputed" })] : []),
  ];
}

function shownNow(made: Now): Node[] {
  const tables = Object.entries(made.tables).map(([name, [published, now]]) => ({ table: name, as_published: published, now }));
  const part = (rows: Row[], caption: string) => (rows.length > 0 ? [table(rows, { caption })] : []);
  return [
    h("h3", {}, "Replay now: ", h("span", { class: made.rows.length === 0 ? "verdict same" : "verdict differs" }, made.rows.length === 0 ? "nothing has changed" : `${figure(made.rows.length)} figures or texts have changed`)),
    h("p", {}, made.rows.length === 0 ? "Asked of what is known now, the question has the same answer." : "Asked of what is known now, the question has another answer; below is what was restated since."),
    ...part(made.rows, "What is not as it was published"),
    ...part(made.positions, "Trades restated since"),
    ...part(made.market_data, "Market values restated since"),
    ...part(tables, "Tables that have a newer version"),
    ...(made.notes.length > 0 ? [h("ul", { class: "notes" }, ...made.notes.map((n) => h("li", {}, n)))] : []),
  ];
}
