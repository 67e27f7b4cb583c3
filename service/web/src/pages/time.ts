// Risk over time: series, backtests, and what a book is worth at later dates.

import { dimensions, valuedDays } from "../lake";
import type { Page } from "../page";
import { formed } from "../panel";
import { inParts } from "../parts";
import { showBacktest, showCounts } from "./time/backtest";
import { showExposure } from "./time/exposure";
import { showProfile } from "./time/profile";
import { showSeries } from "./time/series";

const DAYS = 60; // valued days that a range spans where none is given

const parts = async () => {
  const [days, by] = await Promise.all([valuedDays(), dimensions()]);
  const [last, first] = [days[0]?.valuation_date, days[Math.min(DAYS, days.length) - 1]?.valuation_date];
  const suggestions = { by };
  return [
    {
      name: "series", title: "Series",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "series", view, {
        first: ["by", "measures", "levels", "interval", "calendar"], defaults: { from: first, to: last, measures: ["var", "es"] }, suggestions, show: showSeries,
        lead: "A measure on every day of a range, by any dimension. A day without an answer is a gap, and says why.",
      }),
    },
    {
      name: "backtest", title: "Backtest",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "backtest", view, {
        first: ["by", "levels", "source", "calendar"], defaults: { from: first, to: last, levels: ["0.99", "0.975"] }, suggestions, show: showBacktest,
        lead: "VaR of each day against the P&L of the next. With a source: the VaR that another system has reported.",
      }),
    },
    {
      name: "counts", title: "Backtest from counts",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "backtest-counts", view, {
        first: ["days", "level"], defaults: { days: "250", level: "0.99" }, show: showCounts,
        lead: "So many exceptions on so many days, of any system's VaR.",
      }),
    },
    {
      name: "profile", title: "Profile",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "roll-forward", view, {
        first: ["horizons", "by", "market"], defaults: { as_of: last, horizons: ["1D", "1W", "1M"] }, suggestions, show: showProfile,
        lead: "What the book is worth at T1, T2, … when nothing happens but time, and the cash it has paid by then.",
      }),
    },
    {
      name: "exposure", title: "Exposure",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "exposure", view, {
        first: ["by", "grid", "paths", "levels", "collateral"], defaults: { as_of: last, by: ["counterparty"] }, suggestions, show: showExposure,
        lead: "What counterparties may owe at each date: expected and potential future exposure, netted and with collateral.",
      }),
    },
  ];
};

export const time: Page = {
  name: "time",
  title: "Time",
  about: "Series, backtests, the profile of value and cash at later dates, and exposure to counterparties.",
  open: inParts("time", "Time", parts, ["from", "to", "by", "where", "currency", "scenario_set", "levels"]),
};
