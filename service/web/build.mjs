// Makes the pages: src/main.ts and src/style.css into built/, with names that change with their content, each compressed beside.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const LIMIT = 1_200_000; // bytes of all parts, compressed

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, "built");
rmSync(built, { recursive: true, force: true });
mkdirSync(join(built, "assets"), { recursive: true });

const made = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.ts", "src/style.css"],
  outdir: join(built, "assets"),
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: false,
  legalComments: "linked",
  loader: { ".svg": "dataurl" },
  metafile: true,
  logLevel: "warning",
});

const outputs = Object.entries(made.metafile.outputs);
const named = (entry) => `assets/${outputs.find(([, o]) => o.entryPoint === entry)[0].split("/").pop()}`;
const page = readFileSync(join(here, "src", "index.html"), "utf8")
  .replace("{{style}}", named("src/style.css"))
  .replace("{{script}}", named("src/main.ts"));
writeFileSync(join(built, "index.html"), page);

let total = 0;
for (const name of readdirSync(join(built, "assets"))) {
  const content = readFileSync(join(built, "assets", name));
  const small = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  writeFileSync(join(built, "assets", `${name}.br`), small);
  if (!name.endsWith(".LEGAL.txt")) total += small.length;
}
// what was made from which sources: `make web` makes it anew only where they differ
writeFileSync(join(built, "made.json"), JSON.stringify({ compressed_bytes: total, limit: LIMIT, digest: createHash("sha256").update(page).digest("hex") }));
console.log(`web pages: ${(total / 1e6).toFixed(2)} MB compressed, ${total > LIMIT ? "OVER the limit" : "of a limit"} of ${(LIMIT / 1e6).toFixed(1)} MB`);
