// The day that is not over: risk so far and what it rests on, limits, snapshots, alarms, and a trade tried before it is done.

import { dimensions, valuedDays } from "../lake";
import type { Page, View } from "../page";
import { formed } from "../panel";
import { inParts } from "../parts";
import { alarms } from "./live/alarms";
import { showDay } from "./live/day";
import { snapshots } from "./live/snapshots";

const EVERY_MS = 5000; // between two looks at what has come

const parts = async () => {
  const [days, by] = await Promise.all([valuedDays(), dimensions()]);
  const last = days[0]?.valuation_date;
  const suggestions = { by };
  return [
    {
      name: "day", title: "So far",
      open: (place: HTMLElement, view: View) => formed(place, "intraday", view, {
        first: ["by", "measures", "levels", "currency"], defaults: { as_of: last, by: ["desk"], measures: ["var", "es"] }, suggestions, show: showDay, every: EVERY_MS,
        lead: "The book with the trades so far, on the newest prices. It is asked again every few seconds.",
      }),
    },
    {
      name: "limits", title: "Limits",
      open: (place: HTMLElement, view: View) => formed(place, "limits", view, {
        first: ["since", "by"], defaults: { as_of: last }, suggestions: { by },
        lead: "Limits of VaR, ES and loss on a stored day, or of a snapshot: name its scenario set.",
      }),
    },
    snapshots(last),
    alarms(last),
  ];
};

export const live: Page = {
  name: "live",
  title: "Live",
  about: "VaR of a day that is not over, what it rests on, its change since the open, limits, snapshots and alarms.",
  open: inParts("live", "Live", parts, ["as_of", "by", "where", "currency", "levels"]),
};
