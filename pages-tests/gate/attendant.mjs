// An attendant signs in at the gate, reads what happened and why and how the devices are, and signs out again.

import { assert, expectStatus, look, run, window } from "../browser.mjs";

const VIEWS = [["desk", { width: 1280, height: 900 }, "dark"], ["phone", { width: 390, height: 844 }, "dark"], ["small", { width: 800, height: 480 }, "dark"]];

await run(async (context) => {
  const { base, name, password, reasons } = context.given;
  const attendant = await window(context);
  const { page } = attendant;
  const signIn = async (typed) => {
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Password").fill(typed);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await page.goto(`${base}/attendant`);
  await look(attendant, "attendant-sign-in", VIEWS);
  expectStatus(attendant, 401);
  await signIn("not the password");
  await page.getByText("The name or the password is wrong.").waitFor();
  await look(attendant, "attendant-wrong", VIEWS);
  await signIn(password);
  await page.getByRole("heading", { name: "Last passages" }).waitFor();
  await page.locator("#last tr").first().waitFor();
  assert.equal(await page.locator("#last tr").count(), reasons + 3, "every decision has a row");
  assert.equal(await page.locator("#last").getByText("—", { exact: true }).count() > 0, true);
  await page.locator("#last").getByText("A photograph or screen was shown").waitFor();
  await page.locator("#last").getByText("turned back").waitFor();
  await page.locator("dd.bad").getByText("mid beam").waitFor();
  await page.locator("dd.bad").getByText("picture stands still").waitFor();
  const text = await page.locator("body").innerText();
  assert.ok(!/[0-9a-f]{8}-[0-9a-f]{4}/.test(text), "no rider's id");
  assert.equal(await page.locator("img, video, canvas").count(), 0, "no picture of anybody");
  const rows = await page.locator("#last tr td:last-child").allInnerTexts();
  assert.equal(new Set(rows).size, reasons + 1, "every reason has words of its own");
  await look(attendant, "attendant", VIEWS);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await page.goto(`${base}/attendant`);
  assert.equal(await page.locator("#last").count(), 0, "signed out is signed out");
});
