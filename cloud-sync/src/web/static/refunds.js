"use strict";
// Money given back: the queue for a second person, one rider's charges, disputes, and what was decided about risk.

const MEASURES = { refund: "Refund", credit: "Credit for the next trips", wallet_credit: "Credit in the wallet", waiver: "Waiver" };
const GROUNDS = { price: "the price was wrong", wrong_charge: "not this rider's ride", goodwill: "goodwill" };
const REMEDIES = {
  awaiting_approval: ["wait", "Waits for a second person"],
  rejected: ["", "Rejected"],
  due: ["note", "Going back"],
  located: ["note", "Going back"],
  calling: ["note", "Going back"],
  unknown: ["wait", "Outcome not known yet"],
  done: ["good", "Given back"],
  failed: ["bad", "Failed"],
};
const FUNDINGS = { awaiting_approval: ["wait", "Waits for a second person"], rejected: ["", "Rejected"], done: ["good", "Set aside"] };
const TONES = { captured: "good", declined: "bad", debt: "bad", unknown: "wait" };
const RISKS = { log: ["", "Noted"], ask_code: ["note", "Code asked"], hold: ["wait", "Held"], deny: ["bad", "Denied"] };

let rider = "";
let order = crypto.randomUUID();
let queues = null;

function remedyState(remedy) {
  return REMEDIES[remedy.state] ?? ["", words(remedy.state)];
}

function makeRemedy(remedy) {
  const about = [`Rider `, shortId(remedy.rider)];
  if (remedy.charge) about.push(" · charge ", shortId(remedy.charge));
  return el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag" }), el("b", { class: "number" }, amountOf(remedy.amount)), el("span", {}, `${MEASURES[remedy.measure]} – ${GROUNDS[remedy.ground]}`)),
    el("p", {}, `“${remedy.reason}”`),
    el("p", { class: "soft" }, ...about, el("span", { class: "by" })));
}

function showRemedy(item, remedy) {
  setTag(item.querySelector(".tag"), ...remedyState(remedy));
  const second = remedy.decided_by ? `, decided by ${personOf(remedy.decided_by)}` : "";
  const next = remedy.state === "failed" ? " · the money is still here: give it as a credit" : "";
  say(item.querySelector(".by"), ` · asked by ${personOf(remedy.asked_by)}, ${when.format(new Date(remedy.asked_at))}${second}${next}`);
}

function makeAwaiting(remedy) {
  const item = makeRemedy(remedy);
  if (remedy.asked_by === queues.you) {
    item.append(el("p", { class: "soft" }, "You asked for it: another person has to decide."));
    return item;
  }
  const decide = (label, approves, quiet) => {
    const button = el("button", { type: "button", class: quiet ? "quiet" : null }, label);
    button.addEventListener("click", () => act(button, async () => {
      const decided = await postForm(`/ops/remedies/${remedy.id}/decision`, { approves });
      return approves ? `Approved: ${amountOf(decided.amount)}. ${remedyState(decided)[1]}.` : "Rejected: nothing is given back.";
    }, look));
    return button;
  };
  item.append(el("div", { class: "buttons" }, decide("Approve", true, false), decide("Reject", false, true)));
  return item;
}

function makeDispute(dispute) {
  const close = (won, said) => async () => {
    await postForm(`/ops/disputes/${dispute.id}/outcome`, { won });
    return said;
  };
  return el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag wait" }, "Open"), el("b", { class: "number" }, amountOf(dispute.amount)), el("span", {}, `reference ${dispute.reference}`)),
    el("p", { class: "soft" }, "Rider ", shortId(dispute.rider), " · charge ", shortId(dispute.charge), ` · since ${when.format(new Date(dispute.opened_at))}`),
    el("div", { class: "buttons" },
      sure("The bank decided for us", "For us: click again", close(true, "The dispute is won."), look),
      sure("The bank decided for the rider", "For the rider: click again", close(false, "The dispute is lost."), look)));
}

function makeFunding(funding) {
  const item = el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag" }), el("b", { class: "number" }, amountOf(funding.amount))),
    el("p", {}, `“${funding.reason}”`), el("p", { class: "soft by" }));
  if (funding.state !== "awaiting_approval") return item;
  if (funding.asked_by === queues.you) {
    item.append(el("p", { class: "soft" }, "You asked for it: another person has to decide."));
    return item;
  }
  const decide = (approves, said) => async () => {
    await postForm(`/ops/reserve/${funding.id}/decision`, { approves });
    return said;
  };
  item.append(el("div", { class: "buttons" },
    sure("Approve", "Set aside: click again", decide(true, `${amountOf(funding.amount)} set aside.`), look),
    sure("Reject", "Reject: click again", decide(false, "Rejected: nothing is set aside."), look)));
  return item;
}

function showFunding(item, funding) {
  const [tone, text] = FUNDINGS[funding.state] ?? ["", words(funding.state)];
  setTag(item.querySelector(".tag"), tone, text);
  const second = funding.decided_by ? `, decided by ${personOf(funding.decided_by)}` : "";
  say(item.querySelector(".by"), `asked by ${personOf(funding.asked_by)}, ${when.format(new Date(funding.asked_at))}${second}`);
}

function makeCredit(credit) {
  return el("li", {},
    el("p", { class: "head" }, el("b", { class: "number" }, amountOf(credit.amount))),
    el("p", { class: "soft" }, "Rider ", shortId(credit.rider), ` · since ${when.format(new Date(credit.since))}`));
}

function makeRisk(decision) {
  const [tone, text] = RISKS[decision.measure] ?? ["", words(decision.measure)];
  return el("li", {},
    el("p", { class: "head" }, el("span", { class: `tag ${tone}` }, text), el("b", { class: "why" }, decision.why.map(words).join("; "))),
    el("p", { class: "soft" }, "Rider ", shortId(decision.rider), ` · ${when.format(new Date(decision.at))}`));
}

function left(charge) {
  return { minor: Math.max(0, charge.amount.minor - charge.refunded_minor), currency: charge.amount.currency };
}

function makeCharge(charge) {
  const give = el("button", { type: "button", class: "quiet" }, "Give back");
  give.addEventListener("click", () => {
    const form = byId("ask");
    form.elements.measure.value = charge.state === "captured" ? "refund" : "waiver";
    form.elements.charge.value = charge.id;
    form.elements.amount.value = plain(left(charge));
    showMeasure();
    form.elements.amount.focus();
  });
  return el("tr", {}, el("th", { scope: "row" }, shortId(charge.id)), el("td", {}, when.format(new Date(charge.opened_at))),
    el("td", {}, el("span", { class: `tag ${TONES[charge.state] ?? "note"}` }, words(charge.state))), el("td", {}, words(charge.paid_by)),
    el("td", { class: "number" }, amountOf(charge.amount)),
    el("td", { class: "number" }, charge.refunded_minor ? amountOf({ minor: charge.refunded_minor, currency: charge.amount.currency }) : "–"),
    el("td", { class: "number" }, left(charge).minor > 0 ? give : "wholly"));
}

/** As it is typed. */
function plain(money) {
  return (money.minor / 10 ** decimalsOf(money.currency)).toFixed(decimalsOf(money.currency));
}

function showMeasure() {
  const form = byId("ask");
  const isOfCharge = ["refund", "waiver"].includes(form.elements.measure.value);
  byId("charge-row").hidden = !isOfCharge;
  form.elements.charge.required = isOfCharge;
}

async function lookAtRider() {
  const money = await fetchJson(`/ops/riders/${encodeURIComponent(rider)}/money.json`);
  byId("charges").replaceChildren(...money.charges.map(makeCharge));
  byId("charges").closest(".scroll").hidden = money.charges.length === 0;
  byId("no-charges").hidden = money.charges.length > 0;
  const chosen = byId("charge").value;
  byId("charge").replaceChildren(el("option", { value: "" }, "Choose a charge"), ...money.charges.map((charge) =>
    el("option", { value: charge.id }, `${amountOf(charge.amount)}, ${words(charge.state).toLowerCase()}, ${when.format(new Date(charge.opened_at))}`)));
  byId("charge").value = money.charges.some((charge) => charge.id === chosen) ? chosen : "";
  say(byId("amount-label"), `Amount in ${queues.reserve.currency}`);
  keyed(byId("remedies"), money.remedies, (remedy) => remedy.id, makeRemedy, showRemedy);
  byId("no-remedies").hidden = money.remedies.length > 0;
  byId("found").hidden = false;
  history.replaceState(null, "", `#${rider}`);
}

function list(id, items, make, show = () => {}) {
  keyed(byId(id), items, (item) => item.id, make, show);
  byId(`no-${id}`).hidden = items.length > 0;
}

async function look() {
  queues = await fetchJson("/ops/refunds.json");
  const reserve = amountOf({ ...queues.reserve, minor: Math.abs(queues.reserve.minor) });
  say(byId("reserve"), queues.reserve.minor < 0 ? `The reserve for wrong charges is overdrawn by ${reserve}` : `${reserve} in the reserve for wrong charges`);
  say(byId("limit"), `Above ${amountOf(queues.four_eyes_above)} of one charge, whoever asks does not decide.`);
  list("awaiting", queues.awaiting, makeAwaiting, showRemedy);
  list("disputes", queues.disputes, makeDispute);
  // The buttons belong to a state: what was decided is made anew.
  keyed(byId("fundings"), queues.fundings, (funding) => `${funding.id} ${funding.state}`, makeFunding, showFunding);
  say(byId("fund-label"), `To set aside, in ${queues.reserve.currency}`);
  keyed(byId("credits"), queues.credits, (credit) => `${credit.rider} ${credit.amount.currency}`, makeCredit, () => {});
  byId("credits-panel").hidden = queues.credits.length === 0;
  const risk = await fetchJson("/ops/risk.json");
  list("risk", risk.map((decision) => ({ ...decision, id: decision.tap })), makeRisk);
  if (rider) await lookAtRider();
}

byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  rider = new FormData(event.target).get("rider").trim();
  byId("found").hidden = true;
  act(null, async () => "", look);
});

byId("ask").addEventListener("input", showMeasure);
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  act(byId("give"), async () => {
    const { currency } = queues.reserve;
    const minor = minorOf(form.get("amount"), currency);
    if (minor === null) {
      event.target.elements.amount.focus();
      throw new Error(`Say how much in ${currency}, such as ${plain({ minor: 400, currency })}.`);
    }
    const fields = { order, rider, measure: form.get("measure"), charge: form.get("charge"), amount_minor: minor, ground: form.get("ground"), reason: form.get("reason") };
    const remedy = await postForm("/ops/remedies", fields);
    order = crypto.randomUUID();
    event.target.reset();
    showMeasure();
    const waits = remedy.state === "awaiting_approval" ? " Another person has to approve it." : "";
    return `${MEASURES[remedy.measure]} of ${amountOf(remedy.amount)}: ${remedyState(remedy)[1].toLowerCase()}.${waits}`;
  }, look);
});

let funding = crypto.randomUUID();
byId("fund").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  act(byId("set-aside"), async () => {
    const { currency } = queues.reserve;
    const minor = minorOf(form.get("amount"), currency);
    if (minor === null) {
      event.target.elements.amount.focus();
      throw new Error(`Say how much in ${currency}, such as ${plain({ minor: 100000, currency })}.`);
    }
    const asked = await postForm("/ops/reserve", { order: funding, amount_minor: minor, reason: form.get("reason") });
    funding = crypto.randomUUID();
    event.target.reset();
    return asked.state === "awaiting_approval" ? `${amountOf(asked.amount)}: another person has to approve it.` : `${amountOf(asked.amount)} set aside.`;
  }, look);
});

const asked = location.hash.slice(1);
if (asked) {
  rider = asked;
  byId("find").elements.rider.value = asked;
}
act(null, async () => "", look);
