/**
 * A tour of the API: it starts jobs, follows one, stops one, lists all, and tells errors apart.
 *
 *     node dist/example/main.js [HOST:PORT [FOLDER]]
 *
 * The folder has ca-cert.pem, client-cert.pem and client-key.pem.
 */
import path from "node:path";

// From another package: import { … } from "jobworker";
import { connect, JobState, JobWorkerError, LogStream, type Client } from "../src/index.js";

async function tour(client: Client): Promise<void> {
  // It sends a request id, so that the call can be repeated and there is one job all the same.
  const job = await client.start(["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"]);
  console.log("started", job.id);
  // Restart the daemon meanwhile, with --state-dir, or cut the network: no line is lost or repeated.
  for await (const frame of client.follow(job.id, LogStream.STDOUT)) {
    switch (frame.type) {
      case "data":
        process.stdout.write(frame.bytes);
        break;
      case "gap":
        console.log(`(bytes ${String(frame.from)} to ${String(frame.to)} are gone)`);
        break;
      case "resumed":
        console.log(`(resumed at byte ${String(frame.offset)} after: ${frame.cause.message})`);
        break;
      case "end":
        console.log("ended as %s with %s bytes", JobState[frame.job.state], String(frame.offset));
    }
  }
  const { id } = await client.start(["sleep", "3600"]);
  const { outcome } = await client.stop(id, { graceMs: 5_000 });
  console.log("stopped %s, by signal %d", id, outcome.case === "signal" ? outcome.value : "?");
  let count = 0;
  for await (const { state } of client.all({ pageSize: 100 })) count += state === JobState.UNSPECIFIED ? 0 : 1;
  console.log("the daemon has %d jobs", count);
  try {
    await client.start(["no-such-program"]);
  } catch (error) {
    console.log("to start no-such-program:", advice(error));
  }
}

/** Tells errors apart: by their code what may be done, by their reason what is the matter. */
function advice(error: unknown): string {
  if (!(error instanceof JobWorkerError)) return error instanceof Error ? error.message : String(error);
  if (error.reason === "PROGRAM_NOT_FOUND") return `the daemon's host has no such program: ${error.message}`;
  switch (error.code) {
    case "PERMISSION_DENIED":
      return `ask the operator for a role: ${error.message}`;
    case "UNAVAILABLE":
      return `see whether the daemon runs there and takes this certificate: ${error.message}`;
    default:
      return `${error.code} ${error.reason} ${error.field}: ${error.message}`;
  }
}

async function main(address = "localhost:8080", certs = "../../certs", ...more: string[]): Promise<void> {
  if (more.length > 0) throw new Error("usage: main.js [HOST:PORT [FOLDER]]");
  const client = connect({
    address,
    ca: path.join(certs, "ca-cert.pem"),
    cert: path.join(certs, "client-cert.pem"),
    key: path.join(certs, "client-key.pem"),
  });
  try {
    await tour(client);
  } finally {
    client.close();
  }
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  console.error(advice(error));
  process.exitCode = 1;
}
