// What the service takes, as its OpenAPI document says: which routes there are, and the fields of what is sent to them.

import { h } from "./dom";
import type { Parameter } from "./questions";

interface Schema { type?: string; format?: string; enum?: unknown[]; anyOf?: Schema[]; $ref?: string; items?: Schema; description?: string; default?: unknown; properties?: Record<string, Schema>; required?: string[] }
interface Operation { parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[]; requestBody?: { content: Record<string, { schema: Schema }> } }
interface Document { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } }

let loading: Promise<Api> | undefined;

/** The document, loaded once. */
export function api(): Promise<Api> {
  loading ??= fetch("/openapi.json").then(async (r) => new Api(await r.json() as Document));
  loading.catch(() => { loading = undefined; });
  return loading;
}

const OF_LISTS = new Set(["format", "limit", "cursor"]); // parameters of every list

export class Api {
  constructor(private readonly document: Document) {}

  /** Whether there is this route, below /api/v1. */
  has(method: "get" | "post", path: string): boolean {
    return this.document.paths[`/api/v1${path}`]?.[method] !== undefined;
  }

  /** What a list can be filtered by. */
  filters(path: string): Parameter[] {
    const found = this.document.paths[`/api/v1${path}`]?.get?.parameters ?? [];
    return found.filter((p) => p.in === "query" && !OF_LISTS.has(p.name)).map((p) => this.field(p.name, p.schema, p.required ?? false, p.description));
  }

  /** The fields of a body. */
  fields(path: string): Parameter[] {
    const schema = this.whole(this.document.paths[`/api/v1${path}`]?.post?.requestBody?.content["application/json"]?.schema ?? {});
    return Object.entries(schema.properties ?? {}).map(([name, s]) => this.field(name, s, schema.required?.includes(name) ?? false));
  }

  private whole(schema: Schema): Schema {
    return schema.$ref ? this.whole(this.document.components.schemas[schema.$ref.split("/").pop() ?? ""] ?? {}) : schema;
  }

  private field(name: string, schema: Schema, required: boolean, description = schema.description ?? ""): Parameter {
    const one = this.whole(schema.anyOf?.find((s) => s.type !== "null") ?? schema);
    const value = one.type === "array" && one.items ? this.whole(one.items) : one;
    return {
      name, path: [name], required, description, default: schema.default,
      kind: one.type === "boolean" ? "flag" : one.type === "array" ? "labels" : "one",
      type: value.type ?? "string", format: value.format ?? null, choices: value.enum?.map(String) ?? null,
    };
  }
}

/** Values of a form as a body has them. */
export function bodyOfForm(fields: readonly Parameter[], values: Record<string, string[]>): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const f of fields) {
    const given = (values[f.name] ?? []).map((v) => (f.type === "boolean" ? v === "true" : f.type === "number" || f.type === "integer" ? Number(v) : v));
    if (given.length > 0) body[f.name] = f.kind === "labels" || f.kind === "several" ? given : given[0];
  }
  return body;
}

/** A link that saves a text as a file. */
export function saved(text: string, name: string, label: string, type = "text/csv"): HTMLAnchorElement {
  return h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name }, label);
}
