// Finance looks at a day, matches it, reads what does not fit and what to do about it, and closes it.

import { assert, look, run, signIn } from "../browser.mjs";

await run(async (context) => {
  const { operator, password, day } = context.given;
  const finance = await signIn(context, operator, password);
  const { page } = finance;
  await page.goto(`${finance.base}/books#${day}`);
  await page.getByRole("heading", { name: day }).waitFor();
  await page.getByText("No day has been matched yet.").waitFor();
  await look(finance, "books-before");
  await page.getByRole("button", { name: "Match as it is now" }).click();
  const differences = page.locator("#differences > li");
  await differences.first().waitFor();
  await page.locator("#figures").getByText("Taps").waitFor();
  await page.locator("#kinds").getByRole("button", { name: /Item without bill/ }).click();
  assert.ok(await differences.filter({ hasText: "Next:" }).count() > 0, "every difference says what to do next");
  await look(finance, "books-matched");
  await page.getByLabel("Note for the record").fill("one rider has no account; told support");
  await page.getByRole("button", { name: "Close the day" }).click();
  await page.locator("#day-note").filter({ hasText: "told support" }).waitFor();
  await page.locator("#day-state").filter({ hasText: "Closed" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Close the day" }).count(), 0, "a closed day is not closed again");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "bills.csv" }).click()]);
  assert.match(file.suggestedFilename(), /bills\.csv$/);
  await look(finance, "books-closed");
});
