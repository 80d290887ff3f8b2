// The rider's display in every state, as large and as small as displays are: what is read is what the gate says, nothing
// is cut off, symbols and text have 7:1 to their ground, and states differ by shape.

import { assert, look, run, window } from "../browser.mjs";
import { tell } from "./tell.mjs";

const TOWER = ["tower", { width: 1080, height: 1920 }, "dark"];
const WIDE = ["wide", { width: 1920, height: 1080 }, "dark"];
const SMALL = ["small", { width: 800, height: 480 }, "dark"];

await run(async (context) => {
  const { base, names } = context.given;
  const display = await window(context, { reducedMotion: "reduce" });
  const { page } = display;
  await page.goto(base);
  const [signs, shapes] = [{}, {}];
  for (const [number, name] of names.entries()) {
    // Refusals of one sign differ in their words, which are tightest on the small one.
    const few = name.startsWith("refused_") && number % 5 > 0;
    for (const view of few ? [SMALL] : [TOWER, WIDE, SMALL]) {
      await page.setViewportSize(view[1]);
      const wanted = await tell(base, number);
      await page.waitForFunction((wanted) => document.querySelector(".line.what[lang=en]")?.textContent === wanted.what.en
        && document.querySelector(".line.next[lang=zh]").textContent === wanted.next.zh && document.body.dataset.sign === wanted.sign, wanted);
      // A window of another size is drawn anew in the next frame.
      await page.evaluate(() => new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); }));
      signs[name] = wanted.sign;
      shapes[wanted.sign] = await page.locator("#sign svg").evaluateAll((all) => all.map((svg) => svg.dataset.shape).join("+"));
      await legible(page, `${name} (${view[0]})`);
      if (few) await page.screenshot({ path: `target/screenshots/gate-${name}-${view[0]}.png` });
      else await look(display, `gate-${name}`, [view]);
    }
  }
  const drawn = Object.values(shapes);
  assert.equal(new Set(drawn).size, drawn.length, `every sign has a shape of its own: ${drawn}`);
  await asOthersSee(page, base, names);
  return signs;
});

async function legible(page, name) {
  const found = await page.evaluate(() => {
    const colour = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);
    const bright = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const ratio = (a, b) => { const [low, high] = [bright(a), bright(b)].sort((x, y) => x - y); return (high + .05) / (low + .05); };
    const style = (id) => getComputedStyle(document.querySelector(id));
    const lines = [...document.querySelectorAll(".line")].map((line) => ({
      text: line.textContent, size: parseFloat(getComputedStyle(line).fontSize),
      cut: line.scrollWidth > line.clientWidth || line.firstChild.getBoundingClientRect().height > line.clientHeight + 1,
    }));
    return {
      text: ratio(colour(style("body").color), colour(style("body").backgroundColor)), sign: ratio(colour(style("#sign").color), colour(style("#panel").backgroundColor)),
      spilt: [...document.querySelectorAll("#sign svg")].filter((svg) => svg.getBoundingClientRect().bottom > document.querySelector("#panel").getBoundingClientRect().bottom).length,
      lines, short: Math.min(innerWidth, innerHeight), high: document.documentElement.scrollHeight - innerHeight,
    };
  });
  assert.ok(found.text >= 7 && found.sign >= 7, `${name}: contrast ${found.text.toFixed(1)} and ${found.sign.toFixed(1)}`);
  assert.ok(found.high <= 0, `${name}: higher than the display`);
  assert.equal(found.spilt, 0, `${name}: a symbol does not fit into its panel`);
  for (const { text, size, cut } of found.lines) {
    assert.ok(!cut, `${name}: ${text} is cut off`);
    assert.ok(size >= found.short * .035, `${name}: ${text} is only ${size} pixels high`);
  }
  // The large line in the display's first language.
  assert.ok(found.lines[0].size >= found.short * .08, `${name}: ${found.lines[0].text} is only ${found.lines[0].size} pixels high`);
}

/** Pictures of the main states as people with other colour vision see them. */
async function asOthersSee(page, base, names) {
  const devtools = await page.context().newCDPSession(page);
  await page.setViewportSize(SMALL[1]);
  for (const type of ["deuteranopia", "protanopia", "tritanopia", "achromatopsia"]) {
    await devtools.send("Emulation.setEmulatedVisionDeficiency", { type });
    for (const name of ["ready", "go", "refused_not_recognised", "closed", "tailgated"]) {
      const wanted = await tell(base, names.indexOf(name));
      await page.waitForFunction((sign) => document.body.dataset.sign === sign, wanted.sign);
      await page.screenshot({ path: `target/screenshots/gate-${name}-${type}.png` });
    }
  }
  await devtools.send("Emulation.setEmulatedVisionDeficiency", { type: "none" });
}
