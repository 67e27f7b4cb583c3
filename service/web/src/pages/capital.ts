// Capital: what there is of it by figure, by risk, by counterparty and by desk; every figure is an answer of its own, with its receipt.

import { dimensions, valuedDays } from "../lake";
import type { Page } from "../page";
import { formed } from "../panel";
import { inParts } from "../parts";
import { type Behind, type Figures, withBehind } from "./capital/behind";
import { showCharge, showCompared, showCreditRwa, showCva, showMarket, showNettingSets, showPlan, showReport, showTrades } from "./capital/answers";
import { openFigures } from "./capital/figures";

const REPORT: Figures[] = [{ title: "RWA and capital", question: "capital", show: showReport }];
const OF_REPORT: Behind[] = [
  { title: "By desk, by itself", question: "capital", by: ["desk"], show: showReport },
  { title: "By counterparty, by itself", question: "capital", by: ["counterparty"], show: showReport },
];
const CREDIT: Figures[] = [{ title: "Exposure at default and credit RWA", question: "credit-rwa", show: showCreditRwa }];
const OF_CREDIT: Behind[] = [
  { title: "Netting sets", question: "sa-ccr", by: ["netting_set"], show: showNettingSets },
  { title: "Trades", question: "sa-ccr-trades", by: [], show: showTrades },
];
const CVA: Figures[] = [{ title: "Capital for CVA risk, basic approach", question: "ba-cva", show: showCharge }, { title: "CVA and DVA", question: "cva", show: showCva }];
const OF_CVA: Behind[] = [
  { title: "Capital by netting set, by itself", question: "ba-cva", by: ["netting_set"], show: showCharge },
  { title: "CVA by trade", question: "cva", by: ["trade"], show: showCva },
];
const MARKET: Figures[] = [{ title: "Market risk, standardised approach", question: "frtb-sa", show: showMarket }];
const OF_MARKET: Behind[] = [{ title: "By instrument type, by itself", question: "frtb-sa", by: ["instrument_type"], show: showMarket }];

const parts = async () => {
  const [days, by] = await Promise.all([valuedDays(), dimensions()]);
  const as_of = days[0]?.valuation_date ?? null;
  const part = (name: string, title: string, lead: string, group: string, first: string[], figures: Figures[], behind: Behind[]) => ({
    name, title,
    open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => withBehind(place, view, { lead, first, defaults: { as_of, by: [group] }, dimensions: by, figures, behind }),
  });
  return [
    { name: "figures", title: "VaR and ES", open: openFigures },
    part("report", "Report", "Risk-weighted assets and capital of credit, CVA and market risk together: contributions add up to the total.",
      "legal_entity", ["by", "currency", "regime", "parts", "cva", "credit"], REPORT, OF_REPORT),
    {
      name: "compare", title: "Compare",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "capital-compare", view, {
        first: ["by", "parts", "order"], defaults: { from: days[1]?.valuation_date ?? null, to: as_of, by: ["legal_entity"] }, suggestions: { by }, show: showCompared,
        lead: "Why RWA changed between two points: trades, market, ageing, reference data, regime.",
      }),
    },
    {
      name: "plan", title: "Plan",
      open: (place: HTMLElement, view: Parameters<Page["open"]>[1]) => formed(place, "capital-plan", view, {
        first: ["scenarios", "horizons", "by", "parts"], defaults: { as_of, by: ["legal_entity"] }, suggestions: { by }, show: showPlan,
        lead: "RWA under scenarios and at later dates, against today.",
      }),
    },
    part("counterparties", "Counterparties", "Exposure at default by SA-CCR, and the RWA that follow from the counterparty's risk weight.",
      "counterparty", ["by", "currency", "regime", "approach"], CREDIT, OF_CREDIT),
    part("cva", "CVA", "What the default risk of counterparties takes from the value of the book, and the capital for its changes.",
      "counterparty", ["by", "currency", "regime", "approach", "grid", "paths"], CVA, OF_CVA),
    part("market", "Market", "The sensitivities-based method, default risk and residual risk: contributions add up to the capital.",
      "desk", ["by", "currency", "regime", "parts"], MARKET, OF_MARKET),
  ];
};

export const capital: Page = {
  name: "capital",
  title: "Capital",
  about: "Capital by risk, exposure and RWA of counterparties, CVA, market risk, VaR and ES at regulatory levels.",
  open: inParts("capital", "Capital", parts, ["as_of", "positions_date", "where", "currency", "regime", "as_known"]),
};
