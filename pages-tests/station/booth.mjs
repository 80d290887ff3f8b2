// An attendant signs in at the ticket booth, reads why a gate refused, looks riders up, repairs an entry by the keyboard alone,
// gives an exit pass and opens a gate once.

import { assert, expectStatus, look, run, window } from "../browser.mjs";

const VIEWS = [["desk", { width: 1280, height: 900 }, "dark"], ["tablet", { width: 820, height: 1180 }, "dark"], ["phone", { width: 390, height: 844 }, "dark"]];

await run(async (context) => {
  const { base, name, password, rider, code } = context.given;
  const attendant = await window(context);
  const { page } = attendant;
  const signIn = async (typed) => {
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Password").fill(typed);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  const lookUp = async (shown) => {
    await page.getByLabel("Scan the ride code").fill(shown);
    await page.keyboard.press("Enter");
  };
  for (const status of [401, 404, 409, 422]) expectStatus(attendant, status);
  await page.goto(base);
  await look(attendant, "booth-sign-in", VIEWS);
  await signIn("not the password");
  await page.getByText("The name or the password is wrong.").waitFor();
  await signIn(password);
  await page.getByRole("heading", { name: "Gates" }).waitFor();
  await page.getByText("the phone's clock is wrong").waitFor();
  await page.getByText("open a new ride code").waitFor();

  await lookUp("00000000-0000-4000-8000-000000000000");
  await page.getByText("nobody of this number is known").waitFor();
  await look(attendant, "booth-unknown", VIEWS);
  await lookUp(code);
  await page.getByText("by a valid ride code").waitFor();
  await page.locator("dd").getByText("Not inside").waitFor();
  assert.ok(!(await page.locator("body").innerText()).includes(rider), "no rider's whole number");
  await look(attendant, "booth-rider", VIEWS);

  // By the keyboard alone.
  await page.getByRole("button", { name: "Repair entry" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await page.getByRole("button", { name: "Confirm" }).focus();
  await page.keyboard.press("Enter");
  await dialog.getByText("Choose a reason.").waitFor();
  await dialog.getByLabel("Reason").selectOption("not_tapped");
  await look(attendant, "booth-entry", VIEWS);
  await dialog.getByLabel("Station where").fill("south");
  await dialog.getByRole("button", { name: "Confirm" }).press("Enter");
  await dialog.waitFor({ state: "hidden" });
  await page.getByRole("status").getByText("north-booth/1/0").waitFor();
  await page.locator("dd").getByText("Inside", { exact: false }).first().waitFor();

  await page.getByRole("button", { name: "Repair entry" }).click();
  await dialog.getByLabel("Reason").selectOption("not_tapped");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await dialog.getByText("he is inside already").waitFor();
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Exit pass" }).click();
  await dialog.getByLabel("Fare").selectOption("free");
  await dialog.getByLabel("Reason").selectOption("medical");
  await look(attendant, "booth-exit", VIEWS);
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("status").getByText("Exit pass").waitFor();
  await page.getByRole("button", { name: "Open gate once: north-in" }).click();
  await dialog.getByLabel("Reason").selectOption("assistance");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("status").getByText("north-in").waitFor();
  assert.equal(await page.getByRole("button", { name: "Open gate once: north-out" }).isDisabled(), true, "it is not connected");
  await page.locator("#acts tr").nth(2).waitFor();
  assert.equal(await page.locator("#acts tr").count(), 3);
  await page.locator("#acts .well").nth(2).waitFor();
  await look(attendant, "booth", VIEWS);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
});
