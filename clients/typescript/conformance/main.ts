/**
 * The driver of clients/conformance for this language: it takes the steps of a scenario from stdin, does them over one
 * client, and writes their results to stdout, both as JSON.
 */
import { readFileSync } from "node:fs";

import { run, type Scenario } from "./scenario.js";

const results = await run(JSON.parse(readFileSync(0, "utf8")) as Scenario);
process.stdout.write(
  `${JSON.stringify(results, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value))}\n`,
);
