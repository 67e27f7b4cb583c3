// What is shown, taken along: as a file from the API with the very parameters shown, as a picture, as a table on the clipboard, as a link.

import { type Answer, Problem, type Row, request } from "./api";
import { tell } from "./dialog";
import { h } from "./dom";
import { item, menu } from "./menu";
import { exactly, pinned } from "./pin";
import { question } from "./questions";
import { State } from "./state";
import { asMarkup, asText } from "./table";

/** A question as it was asked: its name, and its parameters as an address or a body has them. */
export interface Asked { name: string; parameters: URLSearchParams | Row }

const FILES = { csv: "CSV", xlsx: "Excel", parquet: "Parquet", arrow: "Arrow" };
const PICTURES = { svg: "Picture, SVG", png: "Picture, PNG" };

/** What a press of a menu does, with its failure told. */
export function act(run: () => Promise<unknown>): void {
  run().catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error;
    tell(error.message);
  });
}

/** The menu of an answer. */
export function exportMenu(asked: Asked, answer: Answer): HTMLElement {
  return menu("Export", async () => {
    const { drawn } = await question(asked.name);
    const files = Object.entries(drawn ? { ...FILES, ...PICTURES } : FILES);
    return [
      ...files.map(([format, label]) => item(label, () => act(() => download(asked, answer, format)))),
      item("Copy as a table", () => act(() => copyTable(answer.rows))),
      item("Copy link to exactly this", () => act(() => copyText(addressOf(pinned(State.here(), [answer])), "The link is copied; it shows the same digits later."))),
    ];
  });
}

/** The answer in a format of the API: of the inputs of this very answer, whatever has come into the lake since. */
export async function inFormat(asked: Asked, answer: Answer, format: string): Promise<Response> {
  const exact = exactly(await question(asked.name), asked.parameters, answer);
  if (exact instanceof URLSearchParams) return request(`/${asked.name}?${new URLSearchParams([...exact, ["format", format]])}`);
  return request(`/${asked.name}?format=${format}`, { method: "POST", body: JSON.stringify(exact), headers: { "Content-Type": "application/json" } });
}

async function download(asked: Asked, answer: Answer, format: string): Promise<void> {
  await saved(await inFormat(asked, answer, format), `${asked.name}.${format}`);
}

async function saved(response: Response, name: string): Promise<void> {
  const address = URL.createObjectURL(await response.blob());
  h("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

/** What a table shows that is put together from several answers, and the answers. */
export interface Shown { rows: Row[]; answers: Answer[] }

/** The menu of such a table: files of exactly what is shown, in its order. */
export function shownMenu(name: string, shown: () => Shown): HTMLElement {
  return menu("Export what is shown", () => Object.entries(FILES).map(([format, label]) => item(label, () => act(async () => {
    const { rows, answers } = shown();
    const columns = Object.keys(rows[0] ?? {});
    const body = {
      columns, rows: rows.map((row) => columns.map((c) => row[c] ?? null)),
      receipts: [...new Set(answers.map((a) => String(a.receipt.receipt_digest)))], notes: [...new Set(answers.flatMap((a) => a.notes ?? []))],
    };
    const headers = { "Content-Type": "application/json" };
    await saved(await request(`/table?format=${format}`, { method: "POST", body: JSON.stringify(body), headers }), `${name}.${format}`);
  }))));
}

/** Browsers give a page the clipboard over HTTPS and on their own machine; where this one does not, that is told. */
function hasClipboard(): boolean {
  if (isSecureContext) return true;
  tell("The browser gives the clipboard to pages over HTTPS alone. Copy the address, or export a file.");
  return false;
}

/** Rows on the clipboard as spreadsheets and documents take them. */
export async function copyTable(rows: readonly Row[]): Promise<void> {
  if (!hasClipboard()) return;
  const as = (type: string, text: string) => ({ [type]: new Blob([text], { type }) });
  await navigator.clipboard.write([new ClipboardItem({ ...as("text/plain", asText(rows)), ...as("text/html", asMarkup(rows)) })]);
  tell(`${rows.length} rows are on the clipboard.`);
}

export async function copyText(text: string, told: string): Promise<void> {
  if (!hasClipboard()) return;
  await navigator.clipboard.writeText(text);
  tell(told);
}

export function addressOf(state: State): string {
  return `${location.origin}${location.pathname}?${state}`;
}
