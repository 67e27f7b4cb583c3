// What pages read of the lake besides answers to questions.

import { get } from "./api";

export interface ValuedDay { valuation_date: string; valuation_set_id: string; scenario_set_name: string; scenario_count: number; sealed_at: string }

/** The days that questions are answered on under the standard, the newest first. */
export async function valuedDays(): Promise<ValuedDay[]> {
  return (await get<{ rows: ValuedDay[] }>("/valuation-sets/days")).rows;
}

/** Names of the dimensions to group by. */
export async function dimensions(): Promise<string[]> {
  return (await get<{ rows: { name: string }[] }>("/dimensions")).rows.map((d) => d.name);
}
