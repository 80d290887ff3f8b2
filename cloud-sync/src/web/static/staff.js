"use strict";
// What the pages of staff share: amounts, moments, short ids, forms, and the notice that says what came of something.

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** How many decimals the currency has. */
function decimalsOf(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

/** An amount in minor units, as people write it. */
function amountOf(money) {
  const digits = decimalsOf(money.currency);
  return new Intl.NumberFormat(undefined, { style: "currency", currency: money.currency }).format(money.minor / 10 ** digits);
}

/** What somebody typed, such as "12.30", in minor units of the currency; null if it is no amount of it. */
function minorOf(typed, currency) {
  const digits = decimalsOf(currency);
  const parts = /^(\d{1,12})(?:[.,](\d+))?$/.exec(typed.trim());
  if (!parts || (parts[2] ?? "").length > digits) return null;
  return Number(parts[1]) * 10 ** digits + Number((parts[2] ?? "").padEnd(digits, "0") || 0);
}

/** Enough of an id to tell it by; the whole one is in the title, and a click copies it. */
function shortId(id) {
  const button = el("button", { type: "button", class: "id", title: `${id} – click to copy` }, id.slice(0, 8));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(id);
    say(button, "copied");
    setTimeout(() => say(button, id.slice(0, 8)), 1200);
  });
  return button;
}

/** "operator/ada" → "ada". */
function personOf(actor) {
  return actor ? actor.split("/").at(-1) : "";
}

/** Sends a form; gives what is answered, and throws with what is said of why not. */
async function postForm(path, fields) {
  const headers = { accept: "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: new URLSearchParams(fields), cache: "no-store" });
  if (response.status === 401) {
    location.assign("/sign-in?ended");
    return new Promise(() => {});
  }
  const text = await response.text();
  const body = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(`${body.detail} ${body.next}`);
  return body;
}

/** Says in the notice of the page what was done or why not. */
function tell(text, isGood) {
  const notice = byId("said");
  notice.hidden = !text;
  notice.className = isGood ? "notice note" : "notice";
  say(notice, text);
  if (text) notice.scrollIntoView({ block: "nearest" });
}

/** Does `what` with the button out of reach, says what came of it, and has the page look again. */
async function act(button, what, lookAgain) {
  if (button) button.disabled = true;
  try {
    tell(await what(), true);
    await lookAgain();
  } catch (error) {
    tell(error.message, false);
  } finally {
    if (button) button.disabled = false;
  }
}

/** A button that asks once more before it does `what`. */
function sure(label, question, what, lookAgain) {
  const button = el("button", { type: "button", class: "quiet" }, label);
  let asked = 0;
  button.addEventListener("click", () => {
    if (Date.now() - asked < 6000) {
      asked = 0;
      say(button, label);
      act(button, what, lookAgain);
    } else {
      asked = Date.now();
      say(button, question);
      setTimeout(() => say(button, label), 6000);
    }
  });
  return button;
}
