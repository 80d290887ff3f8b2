"use strict";
// Money given back: the queue for a second person, disputes, and one rider's charges.

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
let rider = "";
let order = crypto.randomUUID();

/** An amount in minor units, as people write it. */
function amount(money) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency: money.currency });
  return format.format(money.minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

async function post(path, fields) {
  const response = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
  if (response.redirected) return location.assign("/sign-in?ended");
  const body = await response.json();
  if (!response.ok) throw new Error(`${body.detail} ${body.next}`);
  return body;
}

/** Does it, says what came of it, and shows everything anew. */
async function act(what) {
  try {
    show("said", await what());
    await load();
  } catch (error) {
    show("said", error.message);
  }
}

function show(id, text) {
  byId(id).hidden = !text;
  say(byId(id), text ?? "");
}

function button(label, what) {
  const made = el("button", { type: "button" }, label);
  made.addEventListener("click", () => act(what));
  return made;
}

function remedyText(remedy) {
  const second = remedy.decided_by ? `, decided by ${remedy.decided_by}` : "";
  return `${words(remedy.measure)} of ${amount(remedy.amount)} (${words(remedy.ground)}): ${remedy.reason} – ` +
    `${words(remedy.state)}, asked by ${remedy.asked_by} on ${when.format(new Date(remedy.asked_at))}${second}`;
}

function decide(remedy, approves) {
  return async () => `${words((await post(`/ops/remedies/${remedy.id}/decision`, { approves })).state)}.`;
}

function close(dispute, won) {
  return async () => `The dispute is ${(await post(`/ops/disputes/${dispute.id}/outcome`, { won })).state}.`;
}

function list(id, items, textOf, ...buttons) {
  keyed(byId(id), items, (item) => item.id, (item) => el("li", {}, el("span", {}), " ",
    ...buttons.map(([label, what]) => button(label, what(item)))), (child, item) => say(child.firstChild, textOf(item)));
  const none = byId(`no-${id}`);
  if (none) none.hidden = items.length > 0;
}

function row(charge) {
  const back = { minor: charge.refunded_minor, currency: charge.amount.currency };
  return el("tr", {}, el("th", { scope: "row" }, el("code", {}, charge.id)), el("td", {}, when.format(new Date(charge.opened_at))),
    el("td", {}, `${words(charge.state)} (${charge.paid_by})`), el("td", { class: "number" }, amount(charge.amount)),
    el("td", { class: "number" }, charge.refunded_minor ? amount(back) : "–"));
}

async function loadRider() {
  const money = await fetchJson(`/ops/riders/${encodeURIComponent(rider)}/money.json`);
  byId("charges").replaceChildren(...money.charges.map(row));
  byId("charge").replaceChildren(el("option", { value: "" }, "none"), ...money.charges.map((charge) =>
    el("option", { value: charge.id }, `${amount(charge.amount)}, ${words(charge.state)}, ${charge.id.slice(0, 8)}`)));
  list("remedies", money.remedies, remedyText);
  byId("found").hidden = false;
}

async function load() {
  const queues = await fetchJson("/ops/refunds.json");
  say(byId("reserve"), `${amount(queues.reserve)} in the reserve; above ${amount(queues.four_eyes_above)} two people decide`);
  list("awaiting", queues.awaiting, remedyText, ["Approve", (item) => decide(item, true)], ["Reject", (item) => decide(item, false)]);
  list("disputes", queues.disputes, (item) => `${amount(item.amount)} of charge ${item.charge}, reference ${item.reference}, since ${when.format(new Date(item.opened_at))}`,
    ["The bank decided for us", (item) => close(item, true)], ["The bank decided for the rider", (item) => close(item, false)]);
  const credits = queues.credits.map((credit) => ({ ...credit, id: credit.rider + credit.amount.currency }));
  list("credits", credits, (item) => `${amount(item.amount)} of rider ${item.rider}, since ${when.format(new Date(item.since))}`);
  byId("credits-panel").hidden = !credits.length;
  const risk = (await fetchJson("/ops/risk.json")).map((decision) => ({ ...decision, id: decision.tap }));
  list("risk", risk, (item) => `${words(item.measure)} – rider ${item.rider}, ${when.format(new Date(item.at))}: ${item.why.join("; ")}`);
  if (rider) await loadRider();
}

byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  rider = new FormData(event.target).get("rider").trim();
  act(async () => "");
});

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = { ...Object.fromEntries(new FormData(event.target)), rider, order };
  act(async () => {
    const remedy = await post("/ops/remedies", fields);
    order = crypto.randomUUID();
    event.target.reset();
    return `${words(remedy.state)}.`;
  });
});

act(async () => "");
