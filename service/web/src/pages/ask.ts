// Any question, with a form made from its parameters: whatever can be asked can be asked here.

import { showAnswer } from "../answer_tables";
import { Asking } from "../asking";
import { fill, h } from "../dom";
import { words } from "../format";
import { QuestionForm } from "../form";
import type { Opened, Page, View } from "../page";
import { type Question, questions } from "../questions";

export const ask: Page = {
  name: "ask",
  title: "All questions",
  about: "Every question of the service, by a form.",
  async open(place, view) {
    const all = await questions();
    const main = h("div", { class: "two-columns" });
    const list = h("nav", { "aria-label": "questions", class: "question-list" },
      h("ul", {}, ...[...all.values()].map((q) => h("li", {}, h("a", { href: `ask?question=${q.name}`, title: q.meaning }, words(q.name))))));
    fill(place, h("h1", {}, "All questions"), h("div", { class: "with-list" }, list, main));
    let shown: { name: string; opened: Opened } | undefined;
    const opened: Opened = {
      async update(now) {
        const name = now.state.one("question") ?? "var";
        const asked = all.get(name);
        for (const a of list.querySelectorAll("a")) a.toggleAttribute("aria-current", a.textContent === words(name));
        if (!asked) fill(main, h("p", { class: "problem", role: "alert" }, `There is no question ${name}.`));
        else if (shown?.name !== name) shown = { name, opened: openQuestion(main, asked, now) };
        await shown?.opened.update(now);
      },
    };
    await opened.update(view);
    return opened;
  },
};

function openQuestion(place: HTMLElement, asked: Question, view: View): Opened {
  const names = asked.parameters.map((p) => p.name);
  const simple = asked.parameters.filter((p) => p.kind !== "objects" && p.kind !== "pairs");
  const form = new QuestionForm({ parameters: simple, submit: "Ask", onsubmit: (values) => view.set(values) }, view.state);
  const result = h("section", { class: "answer", "aria-label": "answer" });
  const asking = new Asking(result, asked.name, (answer, where) => {
    showAnswer(asked.name, answer, where);
  }, (problem) => form.fault(problem));
  fill(place, h("section", {}, h("h2", {}, words(asked.name)), h("p", {}, asked.meaning), form.element), result);
  return {
    async update(now) {
      const given = now.state.only(names);
      const lacks = simple.some((p) => p.required && !given.has(p.name));
      if (lacks) fill(result, h("p", { class: "empty" }, "Fill in the form and press Ask."));
      else await asking.ask(given);
    },
  };
}
