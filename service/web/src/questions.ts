// The table of questions, as the service has it: every form, page and command is made from it.

import { get } from "./api";

/** path : the keys of its value in a body; kind : as `service.parameters` has it; choices : all that may stand there, where that is known. */
export interface Parameter {
  name: string;
  path: string[];
  kind: "flag" | "one" | "several" | "labels" | "pairs" | "objects";
  required: boolean;
  default: unknown;
  description: string;
  type: string;
  format: string | null;
  choices: string[] | null;
}

export interface Question {
  name: string;
  meaning: string;
  parameters: Parameter[];
  in_address: boolean;
  drawn: boolean;
  example: Record<string, unknown>;
}

let asked: Promise<Map<string, Question>> | undefined;

/** All questions by name, asked for once. */
export function questions(): Promise<Map<string, Question>> {
  asked ??= get<{ rows: Question[] }>("/questions").then(({ rows }) => new Map(rows.map((q) => [q.name, q])));
  asked.catch(() => { asked = undefined; });
  return asked;
}

export async function question(name: string): Promise<Question> {
  const found = (await questions()).get(name);
  if (!found) throw new Error(`There is no question ${name}.`);
  return found;
}
