import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import test from "node:test";
import tls from "node:tls";

import { connect } from "../src/index.js";
import { makePair } from "./certificates.js";
import { FakeDaemon } from "./fakedaemon.js";
import { failed, JOB_ID, known } from "./frames.js";

// What is wrong with the files or the address is said before any call.
test("connect says what is wrong", async (t) => {
  const { files } = await FakeDaemon.serve(t, {});
  const { address, ca, cert } = files;
  assert.throws(() => connect({ address: "localhost", ca }), /"localhost" is not host:port/);
  assert.throws(() => connect({ address: "::1:8080", ca }), /is not host:port/);
  assert.throws(() => connect({ address: "localhost:65536", ca }), /is not host:port/);
  assert.throws(() => connect({ address, ca: "no-such-file" }), /cannot use the CA certificate "no-such-file".*ENOENT/);
  assert.throws(() => connect({ address, ca: new URL(import.meta.url).pathname }), /cannot use the CA certificate/);
  assert.throws(() => connect({ address, ca, cert }), /cannot use the client certificate/);
  assert.throws(() => connect({ address, ca, cert, key: cert }), /cannot use the client certificate/);
});

// A client without a certificate gets no further than the handshake, and neither does one that trusts another authority.
test("nobody unknown gets in", async (t) => {
  const [daemon, other] = [await FakeDaemon.serve(t, { getJob: known }), await FakeDaemon.serve(t, {})];
  const { address, ca } = daemon.files;
  const nobody = connect({ address, ca });
  t.after(() => {
    nobody.close();
  });
  await failed(nobody.get(JOB_ID), "UNAVAILABLE");
  await failed(daemon.client(t, { ca: other.files.ca }).get(JOB_ID), "UNAVAILABLE");
  assert.equal((await daemon.client(t).get(JOB_ID)).id, JOB_ID);
});

// A server that can do no more than TLS 1.2 is no daemon.
test("no TLS before 1.3", async (t) => {
  const { files } = await FakeDaemon.serve(t, {});
  const [own, versions] = [await makePair("server"), [] as (string | undefined)[]];
  const server = tls.createServer({ cert: own.cert, key: own.key, maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] });
  server.on("tlsClientError", (error: NodeJS.ErrnoException) => versions.push(error.code));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => server.close());
  const client = connect({ ...files, address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
  t.after(() => {
    client.close();
  });
  await failed(client.get(JOB_ID), "UNAVAILABLE");
  assert(versions.includes("ERR_SSL_UNSUPPORTED_PROTOCOL"), String(versions));
});
