// One person asks for a refund, another approves it; who asks cannot; a third finds it decided. So with the reserve.

import { assert, expectStatus, look, run, signIn } from "../browser.mjs";

await run(async (context) => {
  const { operator, second, password, rider } = context.given;
  const asks = await signIn(context, operator, password);
  const { page } = asks;
  await page.goto(`${asks.base}/ops/refunds`);
  await page.getByText("Nothing waits for an approval.").waitFor();
  await page.getByLabel("Rider id").fill(rider);
  await page.getByRole("button", { name: "Show the charges" }).click();
  await page.getByRole("row", { name: /CN¥4.00/ }).getByRole("button", { name: "Give back" }).click();
  assert.equal(await page.getByLabel("Amount in CNY").inputValue(), "4.00", "what is left is proposed");
  const notice = page.getByRole("alert");
  await page.getByLabel("Reason, for the record").fill("the gate counted him twice");
  await page.getByLabel("Amount in CNY").fill("40.00");
  expectStatus(asks, 409);
  await page.getByRole("button", { name: "Give it back" }).click();
  await notice.filter({ hasText: "40.00 CNY cannot be refunded: 4.00 CNY is left" }).waitFor();
  await page.getByLabel("Amount in CNY").fill("4,00");
  await page.getByRole("button", { name: "Give it back" }).click();
  await notice.filter({ hasText: "Another person has to approve it." }).waitFor();
  const own = page.locator("#awaiting > li");
  await own.getByText("You asked for it: another person has to decide.").waitFor();
  assert.equal(await own.getByRole("button", { name: "Approve" }).count(), 0);
  await look(asks, "refunds-asked");

  const approves = await signIn(context, second, password);
  const late = await signIn(context, second, password);
  for (const person of [approves, late]) {
    await person.page.goto(`${person.base}/ops/refunds`);
    await person.page.locator("#awaiting > li").filter({ hasText: "CN¥4.00" }).waitFor();
  }
  await look(approves, "refunds-to-approve");
  await approves.page.getByRole("button", { name: "Approve" }).click();
  await approves.page.getByRole("alert").filter({ hasText: "Approved: CN¥4.00. Given back." }).waitFor();
  expectStatus(late, 409);
  await late.page.getByRole("button", { name: "Approve" }).click();
  await late.page.getByRole("alert").filter({ hasText: `decided by operator/${second} already` }).waitFor();

  await page.reload();
  await page.locator("#remedies > li").filter({ hasText: "Given back" }).filter({ hasText: `decided by ${second}` }).waitFor();
  await page.getByRole("row", { name: /wholly/ }).waitFor();

  await page.getByLabel("To set aside, in CNY").fill("500.00");
  await page.getByLabel("Why it is set aside").fill("wrong charges of the month");
  await page.getByRole("button", { name: "Set aside" }).click();
  await notice.filter({ hasText: "CN¥500.00: another person has to approve it." }).waitFor();
  await page.locator("#fundings > li").getByText("You asked for it: another person has to decide.").waitFor();
  await approves.page.reload();
  const funding = approves.page.locator("#fundings > li").filter({ hasText: "CN¥500.00" });
  await funding.getByRole("button", { name: "Approve" }).click();
  await funding.getByRole("button", { name: "Set aside: click again" }).click();
  await approves.page.getByRole("alert").filter({ hasText: "CN¥500.00 set aside." }).waitFor();
  await funding.getByText("Set aside", { exact: true }).waitFor();
  await page.reload();
  await page.locator("#fundings > li").filter({ hasText: `decided by ${second}` }).waitFor();
  await look(asks, "refunds-done");
});
