// What the lake holds, and what is brought into it.

import { api } from "../openapi";
import type { Page } from "../page";
import { type Part, inParts } from "../parts";
import { audit, proposals } from "./data/control";
import { health } from "./data/health";
import { holdings } from "./data/holdings";
import { ingest } from "./data/ingest";
import { jobs } from "./data/jobs";
import { market } from "./data/market";

const parts = async (): Promise<Part[]> => {
  const service = await api();
  return [
    holdings, ingest, market, jobs,
    ...(service.has("get", "/proposals") ? [proposals] : []),
    ...(service.has("get", "/audit/acts") ? [audit] : []),
    health,
  ];
};

export const data: Page = {
  name: "data",
  title: "Data",
  about: "What the lake holds, files brought in, market values that are held, jobs, and the state of the service.",
  open: inParts("data", "Data", parts),
};
