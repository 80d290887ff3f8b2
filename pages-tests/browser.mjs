// What every script of this folder needs: Chromium, people who sign in, pictures of pages, and what no page may do
// (an error in its console, a request to somebody else, a fault that axe-core finds, text wider than the window).
//
// A script is started by a test in Rust (`run.rs`) with what it is to use as JSON, and answers with JSON on standard
// output. It fails by throwing.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
// No page needs more, and a test that waits longer is stuck.
const WAIT_MS = 15_000;

/** Runs `script({ given, browser })` and answers what it gives. */
export async function run(script) {
  const given = JSON.parse(process.argv[2] ?? "{}");
  const context = { given, browser: await launch(), people: [] };
  try {
    const answer = await script(context);
    for (const { page, faults } of context.people) assert.deepEqual(faults, [], `faults on ${page.url()}`);
    process.stdout.write(JSON.stringify(answer ?? null));
  } finally {
    await context.browser.close();
  }
}

function launch() {
  return chromium.launch({
    executablePath: process.env.FACEGATE_CHROMIUM ?? "/usr/bin/chromium",
    // Root has no other way; whoever is not root keeps the sandbox.
    chromiumSandbox: process.getuid() !== 0,
    // Nothing is looked up and nobody is called but servers on this machine.
    args: ["--disable-gpu", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"],
  });
}

/** A window of its own, with cookies of its own, whose faults are noted. */
export async function window(context, options = {}) {
  // The certificate is one of the test's own CA.
  const windows = await context.browser.newContext({ ignoreHTTPSErrors: true, viewport: DESK, locale: "en-GB", timezoneId: "Asia/Shanghai", ...options });
  windows.setDefaultTimeout(WAIT_MS);
  const page = await windows.newPage();
  const person = { page, windows, faults: [], base: context.given.base, expects: [] };
  const fault = (text) => { if (!person.expects.some((wanted) => wanted.test(text))) person.faults.push(text); };
  page.on("pageerror", (error) => fault(`${error}`));
  page.on("console", (said) => { if (said.type() === "error") fault(`${said.text()} ${said.location().url}`); });
  page.on("request", (request) => { if (!request.url().startsWith(context.given.base) && !/^(data|blob):/.test(request.url())) fault(`asked ${request.url()}`); });
  context.people.push(person);
  return person;
}

/** The same, signed in. */
export async function signIn(context, name, password, options) {
  const person = await window(context, options);
  await person.page.goto(`${person.base}/sign-in`);
  await person.page.getByLabel("Name").fill(name);
  await person.page.getByLabel("Password").fill(password);
  await person.page.getByRole("button", { name: "Sign in" }).click();
  await person.page.waitForURL((url) => url.pathname !== "/sign-in");
  return person;
}

/** A refusal that the test provokes is an error in the console of the browser, and none of the page. */
export function expectStatus(person, status) {
  person.expects.push(new RegExp(`status of ${status}`));
}

const VIEWS = [["desk", DESK, "light"], ["dark", DESK, "dark"], ["phone", PHONE, "light"]];

/** Pictures of the page as it stands, at a desk in either scheme and on a phone unless said otherwise, and what no page may be. */
export async function look(person, name, views = VIEWS) {
  const { page } = person;
  const folder = process.env.FACEGATE_SCREENSHOTS ?? "target/screenshots";
  mkdirSync(folder, { recursive: true });
  for (const [kind, size, colorScheme] of views) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name}: ${wide} pixels wider than the ${kind}'s window`);
    await page.screenshot({ path: join(folder, `${name}-${kind}.png`), fullPage: true });
    await judge(page, `${name} (${kind})`);
  }
  await page.setViewportSize(DESK);
  await page.emulateMedia({ colorScheme: "light" });
}

async function judge(page, name) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  const said = violations.map((found) => `${found.id}: ${found.help} – ${found.nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
  assert.deepEqual(said, [], `axe-core on ${name}`);
}

export { assert };
