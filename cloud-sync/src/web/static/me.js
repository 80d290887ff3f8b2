"use strict";
// The rider's trips, newest first, each with the receipt that says which rule priced each line.

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const MEDIA = { face: "by face", code: "with a ride code", booth: "by an attendant at the ticket booth" };

// What each state of a charge means to the person who pays.
const CHARGES = {
  due: ["note", "To be charged", "The fare is collected later today."],
  authorising: ["wait", "Being charged", "Your bank is being asked."],
  authorised: ["wait", "Being charged", "Your bank has agreed; the amount is being collected."],
  capturing: ["wait", "Being charged", "The amount is being collected."],
  captured: ["good", "Paid", "The amount has been collected."],
  pending: ["wait", "Being charged", "Your bank has taken it on; the amount is being collected."],
  declined: ["wait", "Being charged", "Your bank has declined; another way to pay is being tried."],
  debt: ["bad", "Owed", "The payment was declined; the fare is still owed."],
  settled: ["good", "Paid", "A credit of yours has paid for it."],
  unknown: ["wait", "Being checked", "Your bank has not answered yet. You are never charged twice for one trip."],
  nothing_due: ["good", "Nothing to pay", "This journey costs nothing."],
  pricing: ["wait", "Being priced", "The fare follows once the ticketing system has priced this trip."],
  held: ["wait", "Price held", "Somebody looks at the price before anything is charged."],
};

/** Minor units of a currency as people write them, without passing through a float's rounding. */
function money(minor, currency) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits;
  const sign = minor < 0 ? "-" : "";
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return format.format(digits ? `${sign}${whole}.${text.slice(-digits)}` : `${sign}${whole}`);
}

function receiptTable(fare) {
  const rows = fare.lines.map((line) => el("tr", {}, el("th", { scope: "row" }, words(line.rule)),
    el("td", { class: "number" }, line.quantity), el("td", { class: "number" }, money(line.amount_minor, fare.currency))));
  return el("table", {}, el("caption", {}, "How this fare is made up"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Rule"), el("th", { scope: "col", class: "number" }, "Quantity"),
      el("th", { scope: "col", class: "number" }, "Amount"))),
    el("tbody", {}, ...rows),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row", colspan: "2" }, "Total"),
      el("td", { class: "number" }, money(fare.total_minor, fare.currency)))));
}

function makeTrip() {
  const summary = el("summary", {}, el("span", { class: "way" }), el("span", { class: "fare number" }),
    el("span", { class: "when" }), el("span", { class: "state" }, el("span", { class: "tag" })), el("span", { class: "more" }, "Receipt"));
  return el("li", { class: "card trip" }, el("details", {}, summary, el("div", { class: "receipt" })));
}

let stations = [];

// What a ride with one end is called, and what its rider can do about it.
const MISSING = {
  entry: ["entry not seen", "Nobody saw where this trip began, so it costs the maximum."],
  exit: ["exit not seen", "Nobody saw where this trip ended, so it costs the maximum."],
};

/** What was charged and given back, if it is more than the fare once. */
function changes(trip) {
  if (trip.items.length < 2) return [];
  const lines = trip.items.map((item, number) => el("li", {}, `${number === 0 ? "First charged" : "Adjusted"}: `,
    money(item.amount_minor, item.currency)));
  return [el("p", {}, "This trip was priced anew when more became known:"), el("ul", {}, ...lines)];
}

/** A form for the end that nobody saw, as long as it may be told. */
function missingEnd(trip) {
  if (!trip.missing_end_until) return [];
  const options = stations.map((station) => el("option", { value: station.id }, station.name));
  const select = el("select", { "aria-label": trip.missing_end === "entry" ? "Where you entered" : "Where you left" }, ...options);
  const said = el("p", { class: "soft", role: "status" });
  const button = el("button", { type: "button" }, "Tell us");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await fetch(`/me/trips/${trip.journey_id}/missing-end`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ station: select.value }),
    });
    say(said, answer.ok ? "Thank you. The price follows in a moment." : (await answer.json()).detail);
    button.disabled = answer.ok;
  });
  const until = day.format(new Date(trip.missing_end_until));
  const question = trip.missing_end === "entry" ? "Where did you enter?" : "Where did you leave?";
  return [el("p", {}, `${question} Tell us before ${until}, and the trip costs its fare.`), el("p", {}, select, " ", button), said];
}

function wayOf(trip) {
  const gone = (station, end) => station ?? MISSING[end][0];
  const arrow = el("span", { class: "arrow" }, el("span", { "aria-hidden": "true" }, "→"), el("span", { class: "unseen" }, " to "));
  return [gone(trip.entry_station, "entry"), arrow, gone(trip.exit_station, "exit")];
}

/** When it was, and how it went, in words. */
function howOf(trip) {
  const [entered, left] = [trip.entered_at, trip.left_at].map((at) => at && new Date(at));
  if (!entered || !left) {
    const medium = MEDIA[trip.entry_medium ?? trip.exit_medium];
    const at = entered ?? left;
    return [`${day.format(at)}, ${time.format(at)}`, `${entered ? "In" : "Out"} ${medium}. ${MISSING[trip.missing_end][1]}`];
  }
  const minutes = Math.max(1, Math.round((left - entered) / 60000));
  return [`${day.format(entered)}, ${time.formatRange(entered, left)}`,
    `In ${MEDIA[trip.entry_medium]}, out ${MEDIA[trip.exit_medium]}, ${minutes} min.`];
}

function showTrip(item, trip) {
  const [tone, state, meaning] = trip.superseded
    ? ["note", "Replaced", "What came late shows that you made another trip; this one costs nothing any more."]
    : CHARGES[trip.charge_state] ?? ["", words(trip.charge_state), ""];
  const part = (name) => item.querySelector(name);
  const [when, how] = howOf(trip);
  part(".way").replaceChildren(...wayOf(trip));
  say(part(".fare"), trip.fare ? money(trip.fare.total_minor, trip.fare.currency) : "–");
  say(part(".when"), when);
  setTag(part(".state .tag"), tone, state);
  const reason = trip.charge_detail ? ` (${trip.charge_detail})` : "";
  // Somebody is about to tell where he left.
  if (part(".receipt select") === document.activeElement && document.activeElement) return;
  part(".receipt").replaceChildren(...(trip.fare ? [receiptTable(trip.fare)] : []), ...changes(trip),
    ...missingEnd(trip), el("p", {}, `${how} ${meaning}${reason}`), el("p", { class: "soft" }, "Receipt ", el("code", {}, trip.journey_id)));
}

function showAccount(account) {
  if (!account) return "Nothing bound yet";
  if (account.kind !== "wallet") return "Bank or card";
  return `Wallet, ${money(account.balance.amount_minor, account.balance.currency)} left`;
}

// What each kind of entry in a wallet is to its rider.
const MOVEMENTS = { "top-up": "Topped up", hold: "Trips", release: "Put back", withdraw: "Paid out", refund: "Refund" };

function showMoney(me) {
  const { debts, currency, credit_minor: credit } = me.owing;
  const owed = debts.reduce((sum, debt) => sum + debt.amount_minor, 0);
  byId("owing").hidden = debts.length === 0;
  const barred = me.owing.denied_for.length > 0 ? " Gates are closed to you until it is paid." : "";
  say(byId("owes"), `You owe ${money(owed, currency)}.${barred}`);
  byId("credit").hidden = credit === 0;
  say(byId("credit"), `You have a credit of ${money(credit, currency)} for your next trips.`);
  byId("wallet").hidden = !me.wallet;
  const line = (entry) => el("li", {}, `${day.format(new Date(entry.at))}: ${MOVEMENTS[entry.entry.split("/")[0]] ?? "Other"} `,
    money(entry.amount_minor, me.wallet.currency));
  byId("movements").replaceChildren(...(me.wallet?.movements ?? []).map(line));
}

function showAbout(me) {
  say(byId("rider"), me.rider);
  if (me.display_name) say(byId("greeting"), `${me.display_name}’s trips`);
  const tone = me.face_enrolled ? "good" : "";
  byId("face").replaceChildren(el("span", { class: `tag ${tone}` }, me.face_enrolled ? "Enrolled" : "Not enrolled"));
  const consents = me.consents.map((consent) => {
    const given = day.format(new Date(consent.given_at));
    return el("div", {}, `${words(consent.purpose)}, text ${consent.text_version}, ${given}`);
  });
  byId("consent").replaceChildren(...(consents.length > 0 ? consents : ["None on record"]));
  say(byId("account"), showAccount(me.account));
}

// What a refund's state means to the person who gets it.
const REFUNDS = { done: "given back", failed: "could not be given back; the operator looks for another way" };

function showRefunds(refunds) {
  const line = (refund) => `${money(refund.amount_minor, refund.currency)}, ${words(refund.kind).toLowerCase()} of ` +
    `${day.format(new Date(refund.asked_at))}: ${REFUNDS[refund.state] ?? "on its way"}`;
  byId("refunds-panel").hidden = refunds.length === 0;
  keyed(byId("refunds"), refunds, (refund) => refund.refund_id, () => el("li"), (item, refund) => say(item, line(refund)));
}

function showTrips(trips) {
  keyed(byId("trips"), trips, (trip) => trip.journey_id, makeTrip, showTrip);
  byId("trips").setAttribute("aria-busy", "false");
  byId("no-trips").hidden = trips.length > 0;
  say(byId("month"), trips.length === 1 ? "1 trip" : trips.length > 0 ? `${trips.length} trips` : "");
}

async function load() {
  try {
    const me = await fetchJson("/me/overview.json");
    stations = me.stations;
    showAbout(me);
    showMoney(me);
    showTrips(me.trips);
    showRefunds(me.refunds);
    byId("problem").hidden = true;
  } catch (error) {
    byId("problem").hidden = false;
    say(byId("problem"), `Your trips could not be loaded. ${error.message} Please reload this page in a moment.`);
    byId("trips").setAttribute("aria-busy", "false");
  }
}

// A charge moves on while the page is open; what the rider has unfolded stays unfolded.
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
setInterval(() => { if (!document.hidden) load(); }, 10_000);
load();
