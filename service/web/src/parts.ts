// A page in parts, one of which is shown: the address says which.

import { fill, h } from "./dom";
import type { Opened, Page, View } from "./page";

export interface Part {
  name: string;
  title: string;
  open(place: HTMLElement, view: View): Opened | Promise<Opened>;
}

/** The `open` of a page in parts. shared : parameters of the address that go along from one part to the next. */
export function inParts(page: string, title: string, parts: () => Promise<readonly Part[]>, shared: readonly string[] = []): Page["open"] {
  return async (place, view) => {
    const all = await parts();
    const links = new Map(all.map((t) => [t, h("a", {}, t.title)]));
    const body = h("div");
    fill(place, h("h1", {}, title),
      h("nav", { class: "parts", "aria-label": `parts of ${title}` }, h("ul", {}, ...[...links.values()].map((link) => h("li", {}, link)))), body);
    let shown: { part: Part; opened: Opened } | undefined;
    const opened: Opened = {
      async update(now) {
        const name = now.state.one("tab") ?? all[0]?.name;
        const part = all.find((t) => t.name === name);
        for (const [t, link] of links) {
          const parameters = now.state.only(shared);
          parameters.set("tab", t.name);
          link.href = `${page}?${parameters}`;
          if (t === part) link.setAttribute("aria-current", "page");
          else link.removeAttribute("aria-current");
        }
        if (shown && shown.part === part) return shown.opened.update(now);
        shown?.opened.close?.();
        shown = undefined;
        if (!part) fill(body, h("p", { class: "problem", role: "alert" }, `There is no part ${name}. Those there are stand above.`));
        else {
          fill(body, h("p", { class: "loading" }, "Being loaded …"));
          shown = { part, opened: await part.open(body, now) };
        }
      },
      close: () => shown?.opened.close?.(),
    };
    await opened.update(view);
    return opened;
  };
}
