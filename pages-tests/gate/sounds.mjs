// Tones: none before a tap where the browser wants one, then one for every rider who is let through or refused, and for an
// alarm; none where the operator wants none.

import { assert, look, run, window } from "../browser.mjs";
import { tell } from "./tell.mjs";

const FIRST = { accepted: 660, refused: 330, attention: 880 };

await run(async (context) => {
  const { base, silent, go, ready, refused, tailgated } = context.given;
  const display = await window(context, { reducedMotion: "reduce", viewport: { width: 800, height: 480 } });
  const { page } = display;
  await page.addInitScript(() => {
    globalThis.played = [];
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) { globalThis.played.push(this.frequency.value); return start.apply(this, when); };
  });
  const sign = (wanted) => page.waitForFunction((wanted) => document.body.dataset.sign === wanted, wanted);
  const played = (tone) => page.evaluate((frequency) => globalThis.played.filter((one) => one === frequency).length, FIRST[tone]);
  await page.goto(base);
  await tell(base, ready);
  await sign("ready");
  assert.equal(await page.locator(".line").first().getAttribute("lang"), "en", "English stands first here");
  await page.getByText("开发模式 · development").waitFor();
  await look(display, "gate-sound-offered", [["small", { width: 800, height: 480 }, "dark"]]);
  await tell(base, go);
  await sign("go");
  assert.equal(await played("accepted"), 0, "nothing sounds before the tap");
  await page.getByRole("button", { name: "Tap for sound" }).click();
  await page.getByRole("button", { name: "Tap for sound" }).waitFor({ state: "hidden" });
  const offered = await played("accepted");
  assert.equal(offered, 1, "the tap is answered by a tone");
  await tell(base, ready);
  await sign("ready");
  await tell(base, go);
  await sign("go");
  for (let again = 0; again < 2; again += 1) {
    await tell(base, refused);
    await sign("new_code");
    await page.waitForFunction(([frequency, times]) => globalThis.played.filter((one) => one === frequency).length === times, [FIRST.refused, again + 1]);
  }
  await tell(base, tailgated);
  await sign("tailgated");
  const heard = Object.fromEntries(await Promise.all(Object.keys(FIRST).map(async (tone) => [tone, await played(tone)])));
  // Another port is another server.
  display.expects.push(new RegExp(`^asked ${silent}`));
  await page.goto(silent);
  await sign("ready");
  await tell(silent, go);
  await sign("go");
  assert.equal(await page.locator(".line[lang=en]").count(), 0, "one language where one is configured");
  assert.equal(await page.getByRole("button", { name: "Tap for sound" }).isVisible(), false);
  return { ...heard, silent: await page.evaluate(() => globalThis.played.length) };
});
