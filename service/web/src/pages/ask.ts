// Any question, with a form made from its parameters: whatever can be asked can be asked here.

import { showAnswer } from "../answer_tables";
import { type Answer, Problem } from "../api";
import { Asking, bodyOf, needsBody, shownProblem } from "../asking";
import { fill, h } from "../dom";
import { type Asked, inFormat } from "../exports";
import { words } from "../format";
import { QuestionForm } from "../form";
import type { Opened, Page, View } from "../page";
import { type Question, questions } from "../questions";
import { held, suggested } from "../suggestions";

export const ask: Page = {
  name: "ask",
  title: "All questions",
  about: "Every question of the service, by a form.",
  async open(place, view) {
    const [all, suggestions] = await Promise.all([questions(), held().then(suggested)]);
    const main = h("div", { class: "two-columns" });
    const groups = Map.groupBy(all.values(), (q) => q.group);
    const links = new Map([...all.values()].map((q) => [q.name, h("a", { href: `ask?question=${q.name}`, title: q.meaning }, words(q.name))]));
    const list = h("nav", { "aria-label": "questions", class: "question-list" },
      ...[...groups].flatMap(([group, members]) => [h("h2", {}, group === "whatif" ? "what-if" : words(group)), h("ul", {}, ...members.map((q) => h("li", {}, links.get(q.name) ?? false)))]));
    fill(place, h("h1", {}, "All questions"), h("div", { class: "with-list" }, list, main));
    let shown: { name: string; opened: Opened } | undefined;
    const opened: Opened = {
      async update(now) {
        const name = now.state.one("question") ?? "var";
        const asked = all.get(name);
        for (const [linked, link] of links) {
          if (linked === name) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
        if (!asked) {
          shown = undefined;
          fill(main, h("p", { class: "problem", role: "alert" }, `There is no question ${name}. Those there are stand in the list.`));
        } else if (shown?.name !== name) shown = { name, opened: openQuestion(main, asked, now, suggestions) };
        await shown?.opened.update(now);
      },
    };
    await opened.update(view);
    return opened;
  },
};

function openQuestion(place: HTMLElement, asked: Question, view: View, suggestions: Record<string, readonly string[]>): Opened {
  const names = asked.parameters.map((p) => p.name);
  const form = new QuestionForm({ parameters: asked.parameters, suggestions, submit: "Ask", name: asked.name, onsubmit: (values) => view.set(values) }, view.state);
  const result = h("section", { class: "answer", "aria-label": "answer" });
  const asking = new Asking(result, asked.name, (answer, where, how) => {
    if (asked.drawn) where.append(picture(how, answer));
    showAnswer(asked.name, answer, where);
  }, (problem) => form.fault(problem));
  const example = h("button", { type: "button", title: "Fills the form in with the example of the documentation, which is about the lake of the demo", onclick: () => form.fill(textsOf(asked)) }, "Example");
  fill(place, h("section", {}, h("h2", {}, words(asked.name)), h("p", {}, asked.meaning), example, form.element), result);
  return {
    async update(now) {
      form.update(now.state);
      const given = now.state.only(names);
      const lacks = asked.parameters.filter((p) => p.required && !given.has(p.name));
      if (lacks.length > 0) fill(result, h("p", { class: "empty" }, `Fill in ${lacks.map((p) => words(p.name)).join(", ")} and press Ask.`));
      else await asking.ask(needsBody(asked, given) ? bodyOf(asked, given) : given);
    },
  };
}

/** The example as the fields of a form have it. */
function textsOf(asked: Question): Record<string, string[]> {
  const kinds = new Map(asked.parameters.map((p) => [p.name, p.kind]));
  return Object.fromEntries(Object.entries(asked.example).map(([name, value]) => {
    const kind = kinds.get(name);
    if (kind === "objects" || kind === "pairs") return [name, [JSON.stringify(value)]];
    return [name, (Array.isArray(value) ? value : [value]).map(String)];
  }));
}

/** The picture that the service draws of the answer, once somebody wants to see it. */
function picture(asked: Asked, answer: Answer): HTMLElement {
  const where = h("div", { "aria-live": "polite" });
  const draw = async () => {
    fill(where, h("p", { class: "loading" }, "Being drawn …"));
    try {
      const address = URL.createObjectURL(await (await inFormat(asked, answer, "svg")).blob());
      fill(where, h("img", { src: address, alt: `Picture of ${words(asked.name)}; its figures stand in the table below`, onload: () => URL.revokeObjectURL(address) }));
    } catch (error) {
      if (error instanceof Problem) fill(where, shownProblem(error));
      else throw error;
    }
  };
  const box = h("details", { class: "picture" }, h("summary", {}, "Picture"), where);
  box.addEventListener("toggle", () => { if (box.open && !where.hasChildNodes()) void draw(); });
  return box;
}
