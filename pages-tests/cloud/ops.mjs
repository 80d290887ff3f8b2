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

  // A gate is opened once: asked why, asked once more, and what came of it is told.
  const row = station.getByRole("row", { name: /north-in/ });
  assert.equal(await station.getByRole("row", { name: /north-camera/ }).getByRole("button").count(), 0, "a camera has no door");
  await row.getByRole("button", { name: "Act at gate north-in" }).click();
  const dialog = page.getByRole("dialog", { name: "Gate north-in" });
  await dialog.getByText("within a minute or not at all").waitFor();
  await dialog.locator("[name=what]").selectOption({ label: "Mode" });
  await dialog.locator("[name=mode]").selectOption({ label: "Closed" });
  await dialog.getByRole("button", { name: "Set north-in to closed" }).waitFor();
  await dialog.getByText("Nobody is let through.").waitFor();
  await dialog.locator("[name=what]").selectOption({ label: "Open once" });
  await dialog.getByRole("button", { name: "Open once: north-in" }).click();
  assert.equal(await dialog.isVisible(), true, "a reason is needed");
  await dialog.getByLabel("Reason").fill("a pram");
  await dialog.getByRole("button", { name: "Open once: north-in" }).click();
  await look(staff, "ops-act");
  assert.equal(await row.locator(".act").isVisible(), false, "nothing was done yet");
  await dialog.getByRole("button", { name: "Open once: north-in – sure?" }).click();
  await row.getByText(`Open once by ${operator}: on its way to the gate`).waitFor();
  // The test answers for the gate.
  await row.getByText(`Open once by ${operator}: opened`).waitFor();
  await look(staff, "ops-acted");

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
