// Builds dist/ from src/. With --check it writes nothing and fails if dist/ is
// not what it would write.

import { build } from "esbuild";
import { readFile, readdir, writeFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const check = process.argv.includes("--check");

const result = await build({
  absWorkingDir: here,
  entryPoints: { report: "src/main.js" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2020", "chrome100", "firefox100", "safari15"],
  charset: "ascii",
  legalComments: "none", // the notices below are complete
  write: false,
  metafile: true,
  logLevel: "warning",
});

// notices gathers the licence of every package that went into the bundle. They
// ask to be kept with every copy, and each report.html is one.
async function notices(inputs) {
  const names = new Set();
  for (const input of inputs) {
    const m = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (m) names.add(m[1]);
  }
  const parts = [];
  for (const name of [...names].sort()) {
    const root = path.join(here, "node_modules", name);
    const pkg = JSON.parse(await readFile(path.join(root, "package.json"), "utf8"));
    const file = (await readdir(root)).find((f) => /^licen[cs]e/i.test(f));
    if (!file) throw new Error(`${name} has no licence file`);
    const text = (await readFile(path.join(root, file), "utf8")).replace(/\r\n/g, "\n").trim();
    parts.push({ head: `${pkg.name} ${pkg.version} (${pkg.license})`, text });
  }
  // Packages under the same words share them.
  const byText = new Map();
  for (const p of parts) byText.set(p.text, [...(byText.get(p.text) || []), p.head]);
  return [...byText].map(([text, heads]) => heads.join("\n") + "\n\n" + text).join("\n\n----\n\n") + "\n";
}

const notice = await notices(Object.keys(result.metafile.inputs));
// A comment must not end early, nor may the element that holds it.
const comment = "/*!\nThis script contains:\n\n" + notice.replaceAll("*/", "* /").replaceAll("</", "< /").replaceAll("<!--", "< !--") + "*/\n";

const files = new Map([["NOTICE.txt", notice]]);
for (const out of result.outputFiles) {
  const name = path.basename(out.path);
  if (/<\/(script|style)|<!--/i.test(out.text)) throw new Error(`${name} would end the element that holds it`);
  files.set(name, name.endsWith(".js") ? out.text + comment : out.text);
}

let stale = false;
await mkdir(path.join(here, "dist"), { recursive: true });
for (const [name, text] of files) {
  const file = path.join(here, "dist", name);
  const old = await readFile(file, "utf8").catch(() => "");
  if (old === text) continue;
  stale = true;
  if (check) console.error(`dist/${name} is not what src/ builds`);
  else await writeFile(file, text);
}
if (check && stale) process.exitCode = 1;
