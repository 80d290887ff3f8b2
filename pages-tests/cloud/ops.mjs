// The overview of operations shows what is there, with each trouble in words, and the audit of a day what is missing of it;
// a day of which nobody wrote anything says so.

import { assert, look, run, signIn } from "../browser.mjs";

await run(async (context) => {
  const { operator, password, day } = context.given;
  const staff = await signIn(context, operator, password);
  const { page } = staff;
  await page.goto(`${staff.base}/ops`);
  await page.getByText("Live, updated every second").waitFor();
  const station = page.getByRole("article", { name: "Station north" });
  await station.getByRole("row", { name: /north-in/ }).filter({ hasText: "Live" }).filter({ hasText: "1,234" }).waitFor();
  await station.getByRole("row", { name: /north-camera/ }).filter({ hasText: "Fault" }).waitFor();
  await station.getByText("12 (71 % of its journal, 2.5 days left)").waitFor();
  await page.getByRole("row", { name: /Presentation attack/ }).waitFor();
  await page.getByRole("row", { name: /City/ }).filter({ hasText: "3,000,000" }).waitFor();
  const issues = page.locator("#issue-list > li");
  await issues.filter({ hasText: "north-in, epoch 1: records 3 to 4 have not arrived" }).waitFor();
  await issues.filter({ hasText: "71 % of its journal waits to be taken" }).waitFor();
  await page.getByText("Balanced", { exact: true }).waitFor();
  assert.equal(await page.getByText("Development mode").isVisible(), true);
  // What is shown stays while it is looked at: the page is read again every second.
  await page.waitForTimeout(1200);
  await look(staff, "ops");

  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByRole("heading", { name: "End-of-day audit" }).waitFor();
  await page.goto(`${staff.base}/ops/audit/${day}`);
  await page.getByText("3 records missing").waitFor();
  await page.getByRole("row", { name: /north-in/ }).filter({ hasText: "Missing" }).waitFor();
  await page.getByText("This day has not been closed yet").waitFor();
  await page.getByRole("heading", { name: "Missing sequences" }).waitFor();
  await look(staff, "audit");
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download as CSV" }).click();
  assert.equal((await download).suggestedFilename(), `facegate-audit-${day}.csv`);
  await page.locator("nav.steps a[rel=prev]").click();
  await page.getByText("No gate wrote anything on this day").waitFor();
  await look(staff, "audit-empty");
  await page.locator("nav.steps a[rel=next]").click();
  await page.getByText("3 records missing").waitFor();
});
