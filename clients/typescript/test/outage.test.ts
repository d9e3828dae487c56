import assert from "node:assert/strict";
import test from "node:test";

import { Outage, STANDING_MS } from "../src/outage.js";

// The pauses grow to a bound, each at least half of what it may be.
test("pauses grow to a bound", () => {
  const [least, most] = [new Outage(3_600_000), new Outage(3_600_000)];
  for (const longest of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
    assert.equal(least.pause(0, 0), longest / 2);
    assert.equal(most.pause(0, 1), longest);
  }
  for (let i = 0; i < 2_000; i++) assert.equal(most.pause(0, 1), 5000);
});

// Patience is counted from the last progress: what came, or a call that stood.
test("patience begins anew with progress", () => {
  const outage = new Outage(60_000);
  const more = (second: number) => outage.pause(second * 1000, 0) !== undefined;
  assert(more(0));
  assert(more(59));
  outage.stood(STANDING_MS - 1);
  assert(!more(60));
  outage.stood(STANDING_MS);
  assert(more(60));
  assert(more(119));
  outage.over();
  assert(more(120));
  assert(!more(180));
});
