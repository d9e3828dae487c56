import { createHash } from "node:crypto";

import type { Frame, Resumed } from "../src/index.js";
import { factsOf, type JobFacts } from "./job.js";

/** What a read comes to. */
export interface Reading {
  bytes: number;
  sha256: string;
  first_offset: bigint | null;
  end_offset: bigint | null;
  gaps: [bigint, bigint][];
  job: JobFacts | null;
  cancelled: boolean;
  ordered: boolean;
  resumes: number;
}

/** Reads to the end, or until it has as many bytes as it is to be cancelled after. */
export async function take(frames: AsyncIterable<Frame | Resumed>, cancelAfter = Infinity): Promise<Reading> {
  const sum = createHash("sha256");
  const taken = { bytes: 0, gaps: [], cancelled: false, ordered: true, resumes: 0 } as Partial<Reading> & Counts;
  let due: bigint | undefined; // until the first frame says where the reading begins
  const expect = (from: bigint, to: bigint) => {
    taken.ordered &&= due === undefined || due === from;
    due = to;
  };
  for await (const frame of frames) {
    switch (frame.type) {
      case "data":
        expect(frame.offset, frame.offset + BigInt(frame.bytes.length));
        taken.first_offset ??= frame.offset;
        taken.bytes += frame.bytes.length;
        sum.update(frame.bytes);
        break;
      case "gap":
        expect(frame.from, frame.to);
        taken.gaps.push([frame.from, frame.to]);
        break;
      case "end":
        expect(frame.offset, frame.offset);
        taken.end_offset = frame.offset;
        taken.job = factsOf(frame.job);
        break;
      case "resumed":
        taken.resumes++;
    }
    taken.cancelled = taken.bytes >= cancelAfter;
    if (taken.cancelled) break;
  }
  return { first_offset: null, end_offset: null, job: null, ...taken, sha256: sum.digest("hex") };
}

type Counts = Pick<Reading, "bytes" | "gaps" | "cancelled" | "ordered" | "resumes">;
