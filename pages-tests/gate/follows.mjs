// A display watches its gate; what it showed, in order, must have these signs in it.

import { assert, run, window } from "../browser.mjs";

await run(async (context) => {
  const { base, signs } = context.given;
  const display = await window(context, { viewport: { width: 1080, height: 1920 } });
  const { page } = display;
  // While the gate is dead nobody answers.
  display.expects.push(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  await page.addInitScript(() => {
    globalThis.seen = [];
    const note = () => {
      const [sign, words] = [document.body?.dataset.sign, document.querySelector(".line.what[lang=en]")?.textContent];
      if (sign && words && globalThis.seen.at(-1)?.sign !== sign) globalThis.seen.push({ sign, words });
    };
    new MutationObserver(note).observe(document, { subtree: true, childList: true, attributes: true });
  });
  await page.goto(base);
  const missing = (signs) => {
    let next = 0;
    for (const { sign } of globalThis.seen) if (sign === signs[next]) next += 1;
    return signs.slice(next);
  };
  const patience = Date.now() + 120_000;
  for (;;) {
    const left = await page.evaluate(missing, signs);
    if (left.length === 0) break;
    const seen = await page.evaluate(() => globalThis.seen.map(({ sign }) => sign));
    assert.ok(Date.now() < patience, `not seen: ${left}; seen: ${seen}`);
    await page.waitForTimeout(200);
  }
  const seen = await page.evaluate(() => globalThis.seen);
  return { words: Object.fromEntries(seen.map(({ sign, words }) => [sign, words])) };
});
