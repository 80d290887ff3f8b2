// Puts a gate under test into a state.

import { assert } from "../browser.mjs";

/** Answers what is to be read then. */
export async function tell(base, number) {
  const answer = await fetch(`${base}/test/${number}`, { method: "POST" });
  assert.equal(answer.status, 200);
  return answer.json();
}
