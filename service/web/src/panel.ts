// Questions as parts of a page: one by itself under a title that asks it again, or one with its form beside it.

import { type Answer, Problem } from "./api";
import { Asking, asked as askedNow } from "./asking";
import { showAnswer } from "./answer_tables";
import { append, fill, h } from "./dom";
import { QuestionForm } from "./form";
import { words } from "./format";
import type { Opened, View } from "./page";
import { heldTo } from "./pin";
import { question } from "./questions";
import type { State, Values } from "./state";

/** The address at which a question stands by itself. */
export function addressOf(name: string, parameters: URLSearchParams): string {
  return `ask?${new URLSearchParams([["question", name], ...parameters])}`;
}

/** Parameters of a question; what is null or empty is none. */
export function parametersOf(values: Values): URLSearchParams {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of value == null ? [] : typeof value === "string" ? [value] : value) if (one) given.append(name, one);
  }
  return given;
}

/** Asks one after the other. */
export async function inTurn(asks: readonly (() => Promise<void>)[]): Promise<void> {
  for (const ask of asks) await ask();
}

/** The state with values for what it does not say. */
export function orElse(state: State, values: Values): State {
  return state.with(Object.fromEntries(Object.entries(values).filter(([name]) => state.one(name) === null)));
}

/** A question under a title, with the link that asks it by itself. */
export class Panel {
  readonly element: HTMLElement;
  private readonly link: HTMLAnchorElement;
  private readonly asking: Asking;
  private last = "";

  constructor(
    title: string, private readonly name: string, show: (answer: Answer, place: HTMLElement) => void | Promise<void>,
    onproblem?: (problem: Problem) => void,
  ) {
    const body = h("div");
    this.link = h("a", { class: "question-link", "aria-label": `${title}: the question ${words(name)}` }, words(name));
    this.element = h("section", { class: "panel", "aria-label": title }, h("h2", {}, title, " ", this.link), body);
    this.asking = new Asking(body, name, show, onproblem);
  }

  /** Asks, unless that is what is shown. */
  async ask(parameters: URLSearchParams): Promise<void> {
    if (this.last === String(parameters) && this.asking.answer) return;
    this.last = String(parameters);
    this.link.href = addressOf(this.name, parameters);
    await this.asking.ask(parameters);
  }
}

export interface FormedOptions {
  first: readonly string[];
  defaults: Values;
  suggestions?: Record<string, readonly string[]>;
  lead: string;
  /** `show` draws again whenever the address changes: what else it reads of the state need not ask anew. By default all tables. */
  show?: (answer: Answer, place: HTMLElement, view: View) => void | Promise<void>;
  /** Asks again so often, in milliseconds, while the page is seen; another answer takes the place of the one that is shown. */
  every?: number;
}

/** A question with its form beside its answer. */
export async function formed(place: HTMLElement, name: string, view: View, options: FormedOptions): Promise<Opened> {
  const asked = await question(name);
  const simple = asked.parameters.filter((p) => p.kind !== "objects" && p.kind !== "pairs");
  const names = simple.map((p) => p.name);
  const state = (now: View) => orElse(now.state, options.defaults);
  let current = view;
  let last = "";
  const form = new QuestionForm({
    parameters: simple, first: options.first, suggestions: options.suggestions, submit: "Ask", onsubmit: (values) => current.set(values),
  }, state(view));
  const head = h("p", { class: "faint" }, options.lead, " ");
  const link = h("a", {}, "The question by itself");
  append(head, link);
  const [drawn, body] = [h("div"), h("section", { class: "answer", "aria-label": "answer" })];
  const asking = new Asking(body, name, (answer, where) => { where.append(drawn); return draw(answer); }, (problem) => form.fault(problem));
  async function draw(answer: Answer): Promise<void> {
    const focused = drawn.contains(document.activeElement) && document.activeElement?.id;
    fill(drawn);
    await (options.show ?? ((all: Answer, where: HTMLElement) => showAnswer(name, all, where)))(answer, drawn, current);
    if (focused) document.getElementById(focused)?.focus();
  }
  const follow = h("input", { id: "follow", type: "checkbox", checked: true });
  const looked = h("small", { class: "faint" });
  fill(place, h("div", { class: "two-columns" }, h("section", { "aria-label": "what is asked" }, head, form.element,
    options.every && h("p", {}, h("label", { class: "check" }, follow, " follow what comes"), " ", looked)), body));
  let timer: number | undefined;
  let closed = false;
  async function look(): Promise<void> {
    const shown = asking.answer;
    if (shown && follow.checked && !document.hidden && !document.querySelector("dialog[open]")) {
      const given = state(current).only(names);
      try {
        const now = await askedNow(name, heldTo(asked, given));
        const same = now.receipt.receipt_digest === shown.receipt.receipt_digest || asking.answer !== shown;
        if (!same && !closed) await asking.ask(given);
        looked.textContent = `Looked at ${new Date().toLocaleTimeString("en-GB")}.`;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        looked.textContent = error.message;
      }
    }
    if (!closed) timer = setTimeout(() => void look(), options.every);
  }
  const opened: Opened = {
    async update(now) {
      current = now;
      form.update(state(now));
      const given = state(now).only(names);
      link.href = addressOf(name, given);
      if (simple.some((p) => p.required && !given.has(p.name))) return fill(body, h("p", { class: "empty" }, "Fill in the form and press Ask."));
      if (String(given) === last && asking.answer) return draw(asking.answer);
      last = String(given);
      await asking.ask(given);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
  await opened.update(view);
  if (options.every) timer = setTimeout(() => void look(), options.every);
  return opened;
}
