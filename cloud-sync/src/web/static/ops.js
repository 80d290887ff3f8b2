"use strict";
// The operations overview, read once a second and written into the page.

const POLL_MS = 1000;
const SAMPLES_MAX = 180;
const WAITING_ALARM_PERCENT = 70;
const CHARGE_TONES = { captured: "good", declined: "bad", unknown: "wait" };
const rates = [];
const count = new Intl.NumberFormat("en");

function ago(ms) {
  if (ms === null) return "never";
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  return `${Math.floor(s / 3600)} h ago`;
}

const STATES = {
  live: ["good", "Live"],
  silent: ["wait", "Silent"],
  offline: ["bad", "Offline"],
  fault: ["bad", "Fault"],
};

function showState(element, state) {
  const [tone, text] = STATES[state] ?? ["", words(state)];
  setTag(element, tone, text);
}

function makeFact(label) {
  return el("div", {}, el("dt", {}, label), el("dd", { class: "number" }));
}

// How full of waiting records a journal is, and for how long there is room, once that is worth knowing.
function room(station) {
  if (station.journal_waiting_percent < 1) return "";
  const left = station.journal_days_left;
  return ` (${station.journal_waiting_percent} % of its journal${left === null ? "" : `, ${left.toFixed(1)} days left`})`;
}

function days(certificate) {
  if (certificate === null) return "–";
  if (certificate.days_left < 0) return "has ended";
  return certificate.days_left === 1 ? "1 day" : `${count.format(certificate.days_left)} days`;
}

function makeStation(station) {
  const head = ["Gate", "State", "Face", "Code", "Refused", "Backlog", "Decision p50 / p99", "Certificate"];
  const titles = head.map((title, i) => el("th", { scope: "col", class: i > 1 ? "number" : null }, title));
  const facts = ["Faces known", "Riders inside", "Feed lag", "Backlog", "Software", "Digest", "Faces", "Certificate"].map(makeFact);
  return el("article", { class: "card station", "aria-label": `Station ${station.station}` },
    el("header", {}, el("h3", {}, station.station), el("span", { class: "tag" }), el("small")),
    el("dl", { class: "facts" }, ...facts),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Gates of ${station.station}` },
      el("table", { class: "gates" }, el("thead", {}, el("tr", {}, ...titles)), el("tbody"))));
}

function showStation(card, station) {
  showState(card.querySelector("header .tag"), station.state);
  const mode = station.station_mode === "normal" ? "" : `${words(station.station_mode)} · `;
  say(card.querySelector("header small"), `${mode}seen ${ago(station.silent_ms)}`);
  const facts = [...card.querySelectorAll(".facts dd")];
  const values = [count.format(station.templates), count.format(station.in_system),
    station.feed_lag === 0 ? "none" : `${count.format(station.feed_lag)} changes`,
    count.format(station.backlog) + room(station), station.software_version || "–",
    station.differs.length === 0 ? station.digest || "–" : `differs: ${station.differs.join(", ")}`,
    station.standing === "active" ? (station.recognises ? "recognised" : "codes only") : station.standing,
    days(station.certificate)];
  facts.forEach((fact, i) => say(fact, values[i]));
  facts[2].classList.toggle("alarm", station.feed_lag > 100);
  facts[3].classList.toggle("alarm", station.journal_waiting_percent >= WAITING_ALARM_PERCENT);
  facts[5].classList.toggle("alarm", station.differs.length > 0);
  facts[6].classList.toggle("alarm", !station.recognises);
  facts[7].classList.toggle("alarm", station.certificate?.ends_soon === true);
  card.querySelector(".scroll").hidden = station.gates.length === 0;
  keyed(card.querySelector("tbody"), station.gates, (gate) => gate.gate, makeGate, showGate);
}

function makeGate(gate) {
  const numbers = Array.from({ length: 6 }, () => el("td", { class: "number" }));
  const name = el("div", { class: "name" }, el("span", {}, gate.gate));
  const row = el("tr", {}, el("th", { scope: "row" }, name, el("small", { class: "soft" }), makeActLine()),
    el("td", { class: "state" }, el("span", { class: "tag" })), ...numbers);
  if (gate.kind !== "camera") {
    const button = el("button", { type: "button", class: "quiet", "aria-label": `Act at gate ${gate.gate}`, "aria-haspopup": "dialog" }, "Act…");
    button.addEventListener("click", () => openActs(row.gate, look));
    name.append(button);
  }
  return row;
}

function showGate(row, gate) {
  const camera = gate.kind === "camera";
  row.gate = gate;
  const told = ["", "normal"].includes(gate.gate_mode) ? "" : ` · ${words(gate.gate_mode).toLowerCase()}`;
  const mode = gate.mode === "development" ? " · development" : "";
  say(row.querySelector("th small"), (camera ? "entrance camera" : gate.direction) + told + mode);
  showAct(row.querySelector(".act"), gate.act);
  const tag = row.querySelector(".state .tag");
  showState(tag, gate.state);
  tag.title = gate.fault || `seen ${ago(gate.silent_ms)}`;
  const timing = gate.decision_ms_p99 > 0
    ? `${gate.decision_ms_p50.toFixed(0)} / ${gate.decision_ms_p99.toFixed(0)} ms` : "–";
  const passed = camera ? ["–", "–", "–"] : [gate.face_passages, gate.code_passages, gate.refused].map(count.format);
  const cells = row.querySelectorAll("td.number");
  [...passed, count.format(gate.backlog), timing, days(gate.certificate)].forEach((text, i) => say(cells[i], text));
  cells[5].classList.toggle("alarm", gate.certificate?.ends_soon === true);
}

function showBars(table, empty, items, toneOf) {
  const most = Math.max(1, ...items.map((item) => item.count));
  byId(empty).hidden = items.length > 0;
  keyed(byId(table), items, (item) => item.name,
    (item) => el("tr", {}, el("th", { scope: "row" }, words(item.name)),
      el("td", {}, el("div", { class: `meter ${toneOf(item.name)}`, "aria-hidden": "true" }, el("div"))),
      el("td", { class: "number" })),
    (row, item) => {
      row.querySelector(".meter div").style.width = `${(100 * item.count) / most}%`;
      say(row.querySelector(".number"), count.format(item.count));
    });
}

function showTiers(tiers) {
  byId("no-tiers").hidden = tiers.length > 0;
  const cells = () => Array.from({ length: 5 }, () => el("td", { class: "number" }));
  keyed(byId("tiers"), tiers, (tier) => tier.tier,
    (tier) => el("tr", {}, el("th", { scope: "row" }, words(tier.tier)), ...cells()),
    (row, tier) => {
      const texts = [...[tier.riders, tier.decisions, tier.added].map(count.format),
        tier.risk_per_million.toFixed(3), tier.added_risk_per_million.toFixed(3)];
      texts.forEach((text, i) => say(row.querySelectorAll("td.number")[i], text));
    });
}

function showRate(rate) {
  rates.push(rate);
  if (rates.length > SAMPLES_MAX) rates.shift();
  say(byId("rate"), rate.toFixed(rate < 10 ? 1 : 0));
  const most = Math.max(1, ...rates);
  const left = 240 - ((rates.length - 1) * 240) / (SAMPLES_MAX - 1);
  const points = rates.map((r, i) => `${(left + (i * 240) / (SAMPLES_MAX - 1)).toFixed(1)},${(37 - (32 * r) / most).toFixed(1)}`);
  byId("spark").querySelector("polyline").setAttribute("points", points.join(" "));
  byId("spark").querySelector("path").setAttribute("d", `M${left.toFixed(1)},40 L${points.join(" L")} L240,40 Z`);
}

function issuesOf(overview) {
  const issues = overview.gaps.map((gap) => ({
    key: `${gap.gate}/${gap.epoch}/${gap.first_missing}`, tone: "wait", kind: "Gap",
    text: `${gap.gate}, epoch ${gap.epoch}: records ${gap.first_missing} to ${gap.last_missing} have not arrived, later ones have.`,
  }));
  const full = (holder, name) => holder.journal_waiting_percent >= WAITING_ALARM_PERCENT
    && issues.push({ key: `full ${name}`, tone: "bad", kind: "Journal fills",
      text: `${name}: ${holder.journal_waiting_percent} % of its journal waits to be taken. At 100 % nobody passes there. See why the next hop does not take its records.` });
  const ending = (holder, name) => holder.certificate?.ends_soon
    && issues.push({ key: `certificate ${name}`, tone: holder.certificate.days_left < 0 ? "bad" : "wait", kind: "Certificate",
      text: `${name}: its certificate ${holder.certificate.days_left < 0 ? "has ended" : `ends in ${days(holder.certificate)}`}. It renews by itself long before; see its log, or issue it another with facegate-cloud-sync ca.` });
  for (const station of overview.stations) {
    full(station, `Station ${station.station}`);
    ending(station, `Station ${station.station}`);
    for (const gate of station.gates) {
      full(gate, `Gate ${gate.gate}`);
      ending(gate, `Gate ${gate.gate}`);
    }
  }
  const some = (n, one, many) => `${count.format(n)} ${n === 1 ? one : many}`;
  for (const passage of overview.unknown) issues.push({ key: `unknown ${passage.authorisation}`, tone: "wait", kind: "Passage unknown",
    text: `${passage.authorisation} at ${passage.station}: rider ${passage.rider} was let through, and nobody knows whether he went. Nobody is charged for that.` });
  for (const record of overview.conflicting) issues.push({ key: `conflict ${record}`, tone: "bad", kind: "Conflict",
    text: `${record} came again with other content, which was not applied. Compare the gate's journal with the cloud's.` });
  if (overview.codes_replayed > 0) issues.push({ key: "codes", tone: "bad", kind: "Code replayed",
    text: `${some(overview.codes_replayed, "ride code", "ride codes")} opened two gates while a station was cut off.` });
  for (const station of overview.stations.filter((s) => s.come_back_refused > 0)) issues.push({ key: `back ${station.station}`, tone: "bad", kind: "Erased face",
    text: `${station.station} refused ${some(station.come_back_refused, "template", "templates")} that had been erased. They are erased again; find out which backup brought them back.` });
  if (!overview.ledger_balanced) issues.push({ key: "ledger", tone: "bad", kind: "Ledger",
    text: "Debits and credits differ. Stop charging and compare the journal with the last balanced day." });
  return issues;
}

function showIssues(overview) {
  const issues = issuesOf(overview);
  byId("no-issues").hidden = issues.length > 0;
  keyed(byId("issue-list"), issues, (issue) => issue.key, () => el("li", {}, el("span", { class: "tag" }), el("span")),
    (item, issue) => {
      setTag(item.firstChild, issue.tone, issue.kind);
      say(item.lastChild, issue.text);
    });
  const missing = overview.gaps.reduce((sum, gap) => sum + gap.last_missing - gap.first_missing + 1, 0);
  say(byId("issues"), count.format(missing + overview.passages_unknown + overview.conflicts + overview.codes_replayed));
  say(byId("issues-note"), `${missing} missing, ${overview.passages_unknown} unknown, ${overview.conflicts} conflicts`);
}

function show(overview) {
  const gates = overview.stations.flatMap((station) => station.gates);
  const sum = (key) => gates.reduce((total, gate) => total + gate[key], 0);
  const [face, code] = [sum("face_passages"), sum("code_passages")];
  showRate(overview.passages_per_minute);
  say(byId("taps"), count.format(overview.taps));
  say(byId("media"), face + code > 0 ? `gates count ${count.format(face)} by face, ${count.format(code)} by code` : "");
  say(byId("journeys"), count.format(overview.journeys));
  say(byId("inside"), `${count.format(overview.in_system)} riders inside, ${count.format(overview.enrolled)} faces enrolled`);
  setTag(byId("ledger"), overview.ledger_balanced ? "good" : "bad", overview.ledger_balanced ? "Balanced" : "Not balanced");
  say(byId("ledger-note"), overview.ledger_balanced ? "debits equal credits" : "see below");
  byId("development").hidden = !gates.some((gate) => gate.mode === "development");
  byId("no-stations").hidden = overview.stations.length > 0;
  keyed(byId("stations"), overview.stations, (station) => station.station, makeStation, showStation);
  showBars("refusals", "no-refusals", overview.refusals, () => "");
  showTiers(overview.tiers);
  showBars("charges", "no-charges", overview.charges, (state) => CHARGE_TONES[state] ?? "");
  showIssues(overview);
}

async function look() {
  show(await fetchJson("/ops/overview.json"));
}

async function poll() {
  try {
    if (!document.hidden) {
      await look();
      say(byId("connection"), "Live, updated every second");
    }
  } catch (error) {
    say(byId("connection"), "The cloud does not answer; these are the last figures. Trying again every second.");
    console.warn(error);
  }
  setTimeout(poll, POLL_MS);
}

poll();
