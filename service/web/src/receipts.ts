// The receipts of the answers that this tab has shown, as they were written, so that the page Receipt finds each by its digest.

import { type Answer, partOf, textOf } from "./api";

const KEPT = "varlake.receipts";
const MOST = 50;
const LARGEST = 200_000; // characters of an answer; of a larger one the receipt alone is kept

const place = (digest: string) => `varlake.receipt.${digest}`;

/** Digests of the receipts kept, the newest first. */
export function keptReceipts(): string[] {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]") as string[];
}

/** The text of the answer with this receipt, or of the receipt under the key `receipt`; null where this tab has not shown it. */
export function keptReceipt(digest: string): string | null {
  return sessionStorage.getItem(place(digest));
}

export function keep(answer: Answer): void {
  const digest = String(answer.receipt.receipt_digest ?? "");
  if (!digest) return;
  const whole = textOf(answer);
  keepText(digest, whole.length <= LARGEST ? whole : `{"receipt":${textOf(partOf(answer, "receipt"))}}`);
}

/** Keeps a text; the oldest make room. */
export function keepText(digest: string, text: string): void {
  const kept = [digest, ...keptReceipts().filter((d) => d !== digest)];
  for (const old of kept.splice(MOST)) sessionStorage.removeItem(place(old));
  for (;;) {
    try {
      sessionStorage.setItem(place(digest), text);
      sessionStorage.setItem(KEPT, JSON.stringify(kept));
      return;
    } catch {
      const oldest = kept.pop();
      if (oldest === undefined || oldest === digest) return; // no room even for this one: the page says that it is not kept
      sessionStorage.removeItem(place(oldest));
    }
  }
}
