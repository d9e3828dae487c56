import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { X509Certificate } from "node:crypto";

import { credentials, type ChannelCredentials } from "@grpc/grpc-js";

/** The PEM files that say who the client is, and whom it trusts. They are read once. */
export interface Files {
  /** The path of the certificate of the daemon's authority. */
  readonly ca: string;
  /** The path of the client's certificate. Without it every daemon refuses the client, which is good for trying that. */
  readonly cert?: string | undefined;
  /** The path of the certificate's private key. */
  readonly key?: string | undefined;
}

/** Returns credentials for mutual TLS, version 1.3. */
export function credentialsOf({ ca, cert, key }: Files): ChannelCredentials {
  const options: SecureContextOptions = { minVersion: "TLSv1.3", ca: authority(ca) };
  if (!cert && !key) return credentials.createFromSecureContext(createSecureContext(options));
  try {
    const pair = { cert: readFileSync(cert ?? ""), key: readFileSync(key ?? "") };
    return credentials.createFromSecureContext(createSecureContext({ ...options, ...pair }));
  } catch (cause) {
    const what = `the client certificate "${cert ?? ""}" with the key "${key ?? ""}"`;
    throw new Error(`cannot use ${what}: ${String(cause)}`, { cause });
  }
}

function authority(path: string): Buffer {
  try {
    const content = readFileSync(path);
    new X509Certificate(content);
    return content;
  } catch (cause) {
    throw new Error(`cannot use the CA certificate "${path}": ${String(cause)}`, { cause });
  }
}
