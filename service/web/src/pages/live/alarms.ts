// Alarms of a live day that are stored, and the bands that levels are held to.

import { fill, h } from "../../dom";
import { listing } from "../../listing";
import type { Opened } from "../../page";
import type { Part } from "../../parts";
import { dayField } from "./day_field";

export const alarms = (last: string | undefined): Part => ({
  name: "alarms",
  title: "Alarms",
  async open(place, view) {
    const list = h("div");
    let current = view;
    const field = dayField((day) => current.set({ as_of: day }));
    fill(place, field.element, list);
    const opened: Opened = {
      update(now) {
        current = now;
        const day = now.state.one("as_of") ?? last ?? "";
        field.show(day);
        fill(list,
          listing({ title: "Alarms", path: "/live/alarms", parameters: new URLSearchParams({ date: day }), empty: `No alarm of ${day} is stored.`, reversed: true, wide: true }),
          listing({ title: "Bands", path: "/live/bands", empty: "No band was set: there are no alarms.", reversed: true, wide: true }));
      },
    };
    await opened.update(view);
    return opened;
  },
});
