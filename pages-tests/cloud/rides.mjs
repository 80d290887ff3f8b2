// Held rides are charged, dropped and explained; a large waiver is looked at, asked for, and approved by another person; a
// small one is told and withdrawn.

import { assert, look, run, signIn } from "../browser.mjs";

await run(async (context) => {
  const { operator, second: colleague, password } = context.given;
  const staff = await signIn(context, operator, password);
  const { page } = staff;
  await page.goto(`${staff.base}/ops`);
  await page.getByRole("link", { name: "Rides" }).click();
  const held = page.locator("#held > li");
  await held.nth(1).waitFor();
  await look(staff, "rides-held");
  const notice = page.getByRole("alert");

  const first = held.filter({ has: page.getByTitle(context.given.charged) });
  await first.getByLabel("Price in CNY").fill("2,505");
  await first.getByLabel("Reason").fill("the gate of the depot");
  await first.getByRole("button", { name: "Charge this price" }).click();
  await notice.filter({ hasText: "such as 4.00" }).waitFor();
  await first.getByLabel("Price in CNY").fill("2.50");
  await first.getByRole("button", { name: "Charge this price" }).click();
  await notice.filter({ hasText: "The ride costs CN¥2.50." }).waitFor();

  const second = held.filter({ has: page.getByTitle(context.given.dropped) });
  await second.getByRole("button", { name: "Drop" }).click();
  await notice.filter({ hasText: "Give a reason first" }).waitFor();
  await second.getByLabel("Reason").fill("a test ride");
  await second.getByRole("button", { name: "Drop" }).click();
  await notice.filter({ hasText: "The ride costs nothing." }).waitFor();
  // What was decided is carried out by the next round of the settling.
  const left = () => page.evaluate(async () => (await (await fetch("/ops/rides.json")).json()).rides.length);
  for (let tries = 0; tries < 100 && await left() > 0; tries++) await page.waitForTimeout(100);
  await page.reload();
  await page.getByText("No ride is held: every ride has a price.").waitFor();

  const fill = async (from, until, reason) => {
    await page.getByLabel("From").fill(from);
    await page.getByLabel("Until").fill(until);
    await page.getByLabel("Reason, which riders read").fill(reason);
  };
  await fill("2026-11-18T19:00", "2026-11-18T19:30", "no trains after a storm");
  await page.getByLabel("These stations").check();
  await page.getByRole("button", { name: "See what it would change" }).click();
  await notice.filter({ hasText: "Choose the stations" }).waitFor();
  await page.getByLabel("north").check();
  await page.getByRole("button", { name: "See what it would change" }).click();
  const reach = page.locator("#reach");
  await reach.filter({ hasText: "1 settled ride of 1 rider would be priced anew. They cost CN¥4.00 now" }).waitFor();
  await look(staff, "rides-preview");
  // Whoever changes the form looks again before he tells.
  await page.getByLabel("Reason, which riders read").fill("no trains between north and south after a storm");
  await reach.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "See what it would change" }).click();
  await reach.filter({ hasText: "Another person has to approve it." }).waitFor();
  await page.getByRole("button", { name: "Ask for this" }).click();
  await notice.filter({ hasText: "Asked for. Another person has to approve it." }).waitFor();
  const proposed = page.locator("#proposed > li").filter({ hasText: "no trains between north" });
  await proposed.getByText("You asked for it: another person has to decide.").waitFor();
  assert.equal(await proposed.getByRole("button", { name: "Approve" }).count(), 0);
  await look(staff, "rides-asked");

  const other = await signIn(context, colleague, password);
  await other.page.goto(`${other.base}/ops/rides`);
  const waits = other.page.locator("#proposed > li").filter({ hasText: "CN¥4.00" });
  await waits.filter({ hasText: "1 settled ride of 1 rider would be priced anew." }).filter({ hasText: `Asked by ${operator}` }).waitFor();
  await look(other, "rides-to-approve");
  await waits.getByRole("button", { name: "Approve" }).click();
  await waits.getByRole("button", { name: "Waive this: click again" }).click();
  await other.page.getByRole("alert").filter({ hasText: "Approved." }).waitFor();
  await page.reload();
  const waivers = page.locator("#waivers > li");
  const whole = waivers.filter({ hasText: "no trains between north" }).filter({ hasText: "Over" });
  await whole.filter({ hasText: `Told by ${operator} and ${colleague}` }).waitFor();

  await fill("2027-01-01T00:00", "2027-01-02T00:00", "new year");
  await page.getByRole("button", { name: "See what it would change" }).click();
  await reach.filter({ hasText: "No ride that was settled so far changes." }).waitFor();
  await page.getByRole("button", { name: "Waive this" }).click();
  const next = waivers.filter({ hasText: "new year" });
  await next.filter({ hasText: "To come" }).waitFor();
  await next.getByRole("button", { name: "Withdraw" }).click();
  assert.equal(await next.getByText("Withdrawn").count(), 0, "one click does nothing yet");
  await next.getByRole("button", { name: "Withdraw: click again" }).click();
  await next.getByText("Withdrawn").waitFor();
  await look(staff, "rides-waivers");
});
