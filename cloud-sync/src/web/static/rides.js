"use strict";
// Rides that are held until somebody decides, and waivers: what one would change, telling it, the second person's word, ending it.

const STATES = {
  to_come: ["note", "To come"],
  holds: ["good", "Holds"],
  over: ["", "Over"],
  withdrawn: ["", "Withdrawn"],
  awaiting_approval: ["wait", "Waits for a second person"],
  rejected: ["", "Rejected"],
};
const WAIVES = { fare: "Fares", disruption: "Disruption", missing_exit: "Missing exits" };
const SPREADING_MS = 1500;
const count = new Intl.NumberFormat();

let currency = "CNY";
let names = new Map();
let order = crypto.randomUUID();
let previewed = null;
let looking = 0;
// Rides that were decided about a moment ago, and until when they are not shown: the next round carries it out.
const decided = new Map();
const CARRIED_OUT_MS = 8000;

function plural(n, one, many) {
  return `${count.format(n)} ${n === 1 ? one : many}`;
}

function wayOf(ride) {
  const end = (tap, missing) => tap ? `${tap.name}, ${when.format(new Date(tap.at))}` : missing;
  const isOneDay = ride.entry && ride.exit && new Date(ride.entry.at).toDateString() === new Date(ride.exit.at).toDateString();
  const left = isOneDay ? `${ride.exit.name}, ${clock.format(new Date(ride.exit.at))}` : end(ride.exit, "exit not seen");
  return `${end(ride.entry, "entry not seen")} → ${left}`;
}

function makeHeld(ride) {
  const reason = el("input", { name: "reason", maxlength: "200", autocomplete: "off", "aria-label": "Reason, which the rider reads" });
  const price = el("input", { name: "price", inputmode: "decimal", size: "8", autocomplete: "off", "aria-label": `Price in ${currency}` });
  const release = (fields, said) => async () => {
    await postForm(`/ops/rides/${ride.id}/release`, fields);
    decided.set(ride.id, Date.now() + CARRIED_OUT_MS);
    // One that is held again by then comes back.
    setTimeout(() => look().catch(() => {}), CARRIED_OUT_MS + 100);
    return said;
  };
  const needsReason = () => {
    if (reason.value.trim()) return reason.value.trim();
    reason.focus();
    throw new Error("Give a reason first: the rider reads it.");
  };
  const button = (label, how, quiet) => {
    const made = el("button", { type: "button", class: quiet ? "quiet" : null }, label);
    made.addEventListener("click", () => act(made, async () => how(), look));
    return made;
  };
  const charge = () => {
    const minor = minorOf(price.value, currency);
    if (minor === null) {
      price.focus();
      throw new Error(`Say what the ride costs in ${currency}, such as ${decimalsOf(currency) ? "4.00" : "400"}.`);
    }
    return release({ how: "at", price_minor: minor, reason: needsReason() }, `The ride costs ${amountOf({ minor, currency })}.`)();
  };
  return el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag wait" }, "Held"), el("b", { class: "why" }, words(ride.reason))),
    el("p", {}, wayOf(ride)),
    el("p", { class: "soft" }, "Rider ", shortId(ride.rider), " · ride ", shortId(ride.id), ` · held since ${when.format(new Date(ride.held_since))}`),
    el("div", { class: "deciding" },
      el("label", { class: "grow" }, "Reason, which the rider reads ", reason),
      el("label", {}, `Price in ${currency} `, price),
      button("Charge this price", charge),
      button("Drop: costs nothing", () => release({ how: "drop", reason: needsReason() }, "The ride costs nothing.")(), true),
      button("Price by the rules again", release({ how: "again" }, "The ride is priced by the rules as they are now; if they still have no price for it, it is held again."), true)));
}

async function showHeld(after) {
  const found = await fetchJson(`/ops/rides.json${after ? `?after=${after}` : ""}`);
  currency = found.currency;
  const before = after ? [...byId("held").children].map((child) => child.ride) : [];
  const rides = [...before, ...found.rides].filter((ride) => !(decided.get(ride.id) > Date.now()));
  keyed(byId("held"), rides, (ride) => ride.id, makeHeld, (child, ride) => { child.ride = ride; });
  byId("no-held").hidden = rides.length > 0;
  const more = byId("more-held");
  more.hidden = found.next === null;
  more.onclick = () => showHeld(found.next).catch((error) => tell(error.message, false));
  say(byId("status"), rides.length === 0 ? "No ride is held" : `${plural(rides.length, "ride is", "rides are")} held${found.next ? ", and more" : ""}`);
}

function placesOf(waiver) {
  return waiver.stations === null ? "all stations" : waiver.stations.map((station) => names.get(station) ?? station).join(", ");
}

/** What it may give back, in a sentence. */
function reachOf(reach) {
  const least = reach.is_part ? "There are more rides in this time than were looked at: at least " : "";
  const settled = reach.rides === 0
    ? "No ride that was settled so far changes. Rides that are settled later do."
    : `${least}${plural(reach.rides, "settled ride", "settled rides")} of ${plural(reach.riders, "rider", "riders")} would be priced anew. ` +
      `They cost ${amountOf(reach.cost)} now, of which ${reach.is_part ? "that or more" : "at most all"} goes back.`;
  const toCome = reach.expected.minor > 0
    ? ` Of its time that is still to come, the same hours of weeks before brought ${amountOf(reach.expected)}.` : "";
  return settled + toCome;
}

function makeProposed(waiver, you) {
  const item = el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag" }), el("b", { class: "number effect" }), el("b", { class: "why" }, waiver.reason)),
    el("p", { class: "about" }), el("p", { class: "reaches" }), el("p", { class: "soft by" }));
  if (waiver.state !== "awaiting_approval") return item;
  if (waiver.told_by === you) {
    item.append(el("p", { class: "soft" }, "You asked for it: another person has to decide."));
    return item;
  }
  const decide = (approves, said) => async () => {
    // What is shown when he clicks is what he has seen.
    try {
      await postForm(`/ops/waivers/${waiver.id}/decision`, approves ? { approves, shown_minor: item.shown.minor } : { approves });
    } catch (error) {
      // If it has grown, what it would give back now is to be looked at.
      await look();
      throw error;
    }
    return said;
  };
  const approve = sure("Approve", "Waive this: click again", decide(true, "Approved. Settled rides that it changes are priced anew."), look);
  const reject = sure("Reject", "Reject: click again", decide(false, "Rejected: nothing is waived."), look);
  item.append(el("div", { class: "buttons" }, approve, reject));
  return item;
}

function showProposed(item, waiver) {
  const [tone, text] = STATES[waiver.state];
  setTag(item.querySelector(".tag"), tone, text);
  item.shown = waiver.reach.effect;
  say(item.querySelector(".effect"), amountOf(waiver.reach.effect));
  say(item.querySelector(".about"), aboutOf(waiver));
  say(item.querySelector(".reaches"), reachOf(waiver.reach));
  const second = waiver.decided_by ? `, decided by ${personOf(waiver.decided_by)}` : "";
  say(item.querySelector(".by"), `Asked by ${personOf(waiver.told_by)}${second}`);
}

function aboutOf(waiver) {
  const until = waiver.until ? when.format(new Date(waiver.until)) : "as long as the station's mode lasts";
  return `${WAIVES[waiver.waives]} at ${placesOf(waiver)}, ${when.format(new Date(waiver.from))} – ${until}`;
}

function makeWaiver(waiver) {
  const end = async () => {
    await postForm(`/ops/waivers/${waiver.id}/end`, {});
    return waiver.state === "holds" ? "The waiver is over." : "The waiver is withdrawn: it never held.";
  };
  const label = waiver.state === "holds" ? "End now" : "Withdraw";
  const canEnd = !waiver.follows && (waiver.state === "holds" || waiver.state === "to_come");
  return el("li", {},
    el("p", { class: "head" }, el("span", { class: "tag" }), el("b", { class: "why" }, waiver.reason)),
    el("p", { class: "about" }), el("p", { class: "soft by" }), ...(canEnd ? [sure(label, `${label}: click again`, end, look)] : []));
}

function showWaiver(item, waiver) {
  const [tone, text] = STATES[waiver.state];
  setTag(item.querySelector(".tag"), tone, text);
  say(item.querySelector(".about"), aboutOf(waiver));
  const second = waiver.decided_by ? ` and ${personOf(waiver.decided_by)}` : "";
  const by = waiver.told_by ? `Told by ${personOf(waiver.told_by)}${second}` : "Follows the station's mode; tell the station another mode to end it";
  say(item.querySelector(".by"), waiver.is_spreading ? `${by} · settled rides are being priced anew…` : by);
}

function showStations(stations) {
  names = new Map(stations.map((station) => [station.id, station.name]));
  keyed(byId("stations"), stations, (station) => station.id,
    (station) => el("label", { class: "choice" }, el("input", { type: "checkbox", name: "station", value: station.id }), ` ${station.name}`), () => {});
}

async function showWaivers() {
  const found = await fetchJson("/ops/waivers.json");
  showStations(found.stations);
  byId("no-waivers").hidden = found.waivers.length > 0;
  say(byId("limit"), `What may give back more than ${amountOf(found.four_eyes_above)}, all of a day together, takes another person than who asked.`);
  byId("proposed-panel").hidden = found.proposed.length === 0;
  keyed(byId("proposed"), found.proposed, (waiver) => `${waiver.id} ${waiver.state}`, (waiver) => makeProposed(waiver, found.you), showProposed);
  // By the state too: what can be done about it depends on it.
  keyed(byId("waivers"), found.waivers, (waiver) => `${waiver.id} ${waiver.state}`, makeWaiver, showWaiver);
  clearTimeout(looking);
  if (found.waivers.some((waiver) => waiver.is_spreading)) looking = setTimeout(() => look().catch(() => {}), SPREADING_MS);
}

async function look() {
  await Promise.all([showHeld(null), showWaivers()]);
}

function formFields() {
  const form = new FormData(byId("waive"));
  const moment = (name) => new Date(form.get(name)).toISOString();
  const some = form.get("where") === "some" ? form.getAll("station") : [];
  if (form.get("where") === "some" && some.length === 0) throw new Error("Choose the stations, or all of them.");
  return { order, waives: form.get("waives"), stations: some.join(","), from: moment("from"), until: moment("until"), reason: form.get("reason") };
}

function reconsider() {
  previewed = null;
  byId("reach").hidden = true;
}

async function preview() {
  const fields = formFields();
  const reach = await postForm("/ops/waivers/preview", fields);
  previewed = fields;
  say(byId("reach-says"), reachOf(reach) + (reach.needs_another ? " Another person has to approve it." : ""));
  say(byId("tell"), reach.needs_another ? "Ask for this" : "Waive this");
  byId("reach").hidden = false;
  byId("tell").focus();
  return "";
}

byId("waive").addEventListener("submit", (event) => {
  event.preventDefault();
  act(byId("preview"), preview, async () => {});
});
byId("waive").addEventListener("input", () => {
  reconsider();
  byId("stations").hidden = new FormData(byId("waive")).get("where") !== "some";
});
byId("not").addEventListener("click", reconsider);
byId("tell").addEventListener("click", () => act(byId("tell"), async () => {
  const told = await postForm("/ops/waivers", previewed);
  order = crypto.randomUUID();
  byId("waive").reset();
  byId("stations").hidden = true;
  reconsider();
  return told.state === "awaiting_approval" ? "Asked for. Another person has to approve it." : "Told. Settled rides that it changes are priced anew.";
}, look));

say(byId("zone"), `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}, the time zone of this computer.`);
look().catch((error) => tell(error.message, false));
