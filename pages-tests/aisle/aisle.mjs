// Somebody plays with the hardware of an aisle: sends bodies through, breaks and kills beams.

import { assert, look, run, window } from "../browser.mjs";

await run(async (context) => {
  const developer = await window(context);
  const { page } = developer;
  await page.goto(`${context.given.base}/`);
  await page.getByText("The gate is connected.").waitFor();
  await page.locator("#door", { hasText: "open for one" }).waitFor();
  assert.equal(await page.locator("#openings").innerText(), context.given.token);
  await look(developer, "aisle-open");
  await page.getByRole("button", { name: "Walks through" }).click();
  await page.locator("#recent").getByText("exit cleared").waitFor();
  await page.locator("#openings", { hasText: "nobody" }).waitFor();
  await page.getByRole("button", { name: "Silence: mid beam" }).click();
  await page.locator("#beams").getByText("silent").waitFor();
  await page.getByRole("button", { name: "Break: entry beam" }).click();
  await page.locator("#beams").getByText("broken").waitFor();
  await look(developer, "aisle-broken");
  await page.getByRole("button", { name: "Mend: mid beam" }).click();
  await page.getByRole("button", { name: "Clear: entry beam" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll("#beams tr")].every((row) => row.children[1].textContent === "clear"));
});
