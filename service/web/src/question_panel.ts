// A question in a part of a page: a form of what the page does not ask already, and the answer below it.

import { showAnswer } from "./answer_tables";
import type { Answer } from "./api";
import { Asking } from "./asking";
import { fill, h } from "./dom";
import { QuestionForm } from "./form";
import { words } from "./format";
import type { Opened, View } from "./page";
import type { Question } from "./questions";

export interface PanelOptions {
  /** Parameters that stand in the form of the page, or that it makes. */
  shared?: readonly string[];
  suggestions?: Record<string, readonly string[]>;
  show?: (answer: Answer, place: HTMLElement) => void | Promise<void>;
  submit?: string;
}

export class QuestionPanel implements Opened {
  private readonly form: QuestionForm;
  private readonly result = h("section", { class: "answer", "aria-label": "answer" });
  private readonly asking: Asking;

  constructor(place: HTMLElement, private readonly asked: Question, private view: View, options: PanelOptions = {}) {
    // what no address can hold is asked on other doors
    const own = asked.parameters.filter((p) => !options.shared?.includes(p.name) && p.kind !== "objects" && p.kind !== "pairs");
    this.form = new QuestionForm({
      parameters: own, suggestions: options.suggestions, submit: options.submit ?? "Ask", onsubmit: (values) => this.view.set(values),
    }, view.state);
    this.asking = new Asking(this.result, asked.name, options.show ?? ((answer, where) => showAnswer(asked.name, answer, where)), (problem) => this.form.fault(problem));
    fill(place, h("p", { class: "faint" }, asked.meaning), own.length > 0 && this.form.element, this.result);
  }

  async update(view: View): Promise<void> {
    this.view = view;
    this.form.update(view.state);
    const given = view.state.only(this.asked.parameters.map((p) => p.name));
    const lacks = this.asked.parameters.filter((p) => p.required && !given.has(p.name));
    if (lacks.length > 0) fill(this.result, h("p", { class: "empty" }, `Give ${lacks.map((p) => words(p.name)).join(", ")} and press the button.`));
    else await this.asking.ask(given);
  }
}
