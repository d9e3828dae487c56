// Makes src/gen: the stubs, as buf.gen.yaml says, and the published service config as a module.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

process.chdir(path.dirname(fileURLToPath(import.meta.url)));
const tools = path.resolve("node_modules/.bin");
const { status, error } = spawnSync("buf", ["generate"], {
  stdio: "inherit",
  env: { ...process.env, PATH: tools + path.delimiter + process.env.PATH },
});
if (error || status !== 0) throw error ?? new Error(`buf generate exited with ${status}`);
const config = JSON.parse(readFileSync("../../proto/jobworker/v1/service_config.json", "utf8"));
writeFileSync("src/gen/service_config.ts", `export const serviceConfig = ${JSON.stringify(JSON.stringify(config))};\n`);
