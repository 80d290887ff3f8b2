"use strict";
// The books: a list of days, one of them in detail, the trial balance and the settlement files.

const LISTED = 14;
const LOOK_MS = 1500;
const count = new Intl.NumberFormat("en");
const STATES = { closed: ["good", "Closed"], open: ["wait", "Open"], under_way: ["note", "Under way"] };
const TOTALS = [
  ["taps", "Taps", ""], ["rides", "Rides", "ride"], ["bills", "Billed", "bill"], ["captured", "Captured by acquirers", "charge"],
  ["from_wallets", "Paid from wallets", "charge"], ["debts", "Debts", "charge"], ["waiting", "Outcome unknown", "charge"],
  ["settled", "Settled", "line"], ["fees", "Fees kept", "line"],
];
const ABOUT = ["rider", "tap", "ride", "item", "charge", "acquirer", "reference", "key", "settlement_date", "state"];

let overview = null;
let chosen = null;
let kind = null;
let listed = LISTED;
let looking = 0;

/** Minor units as people write them. */
function money(minor) {
  if (minor === null || minor === undefined) return "–";
  const digits = overview.digits;
  const value = (Number(minor) / 10 ** digits).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${value} ${overview.currency}`;
}

/** Thousands apart, in a text that may be beyond what numbers hold exactly. */
function grouped(text) {
  const [whole, part] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part === undefined ? "" : `.${part}`);
}

function plural(n, one, many) {
  return `${count.format(n)} ${n === 1 ? one : many}`;
}

async function post(path, form) {
  const response = await fetch(path, { method: "POST", headers: { accept: "application/json" }, body: new URLSearchParams(form), cache: "no-store" });
  if (response.status === 401) location.assign("/sign-in?ended");
  if (response.ok) return null;
  const problem = await response.json().catch(() => null);
  return problem ? `${problem.detail} ${problem.next ?? ""}` : "That did not work. Please try again.";
}

function showDays() {
  const days = overview.days.slice(0, listed);
  byId("more-days").hidden = listed >= overview.days.length;
  keyed(byId("days"), days, (day) => day.day, makeDay, showDay);
}

function makeDay(day) {
  const button = el("button", { type: "button" }, el("span"), el("span", { class: "tag" }), el("small"));
  button.addEventListener("click", () => { choose(day.day); byId("h-day").focus({ preventScroll: false }); });
  return el("li", {}, button);
}

function showDay(item, day) {
  const button = item.firstElementChild;
  say(button.children[0], day.day);
  const [tone, text] = day.work?.is === "under_way" ? ["note", `Being ${day.work.what}`] : STATES[day.state];
  setTag(button.children[1], tone, text);
  const known = day.taps !== null;
  const differences = known ? (day.differences === 0 ? "no differences" : plural(day.differences, "difference", "differences")) : "not matched yet";
  say(button.children[2], known ? `${plural(day.taps, "tap", "taps")} · ${money(day.billed_minor)} · ${differences}` : differences);
  if (day.day === chosen) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function showChart() {
  const days = overview.days.slice(0, 31).reverse();
  const known = days.filter((day) => day.taps !== null);
  byId("no-chart").hidden = known.length > 0;
  byId("chart").hidden = known.length === 0;
  const most = Math.max(1, ...known.flatMap((day) => [day.billed_minor, day.settled_minor]));
  const [width, height, step] = [days.length * 20, 100, 20];
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height + 12}`, preserveAspectRatio: "none" });
  days.forEach((day, i) => {
    if (day.taps === null) return;
    const bar = (value, kind, at, wide) => {
      const tall = Math.max(0, (value / most) * height);
      picture.append(svg("rect", { class: kind, x: i * step + at, y: height - tall, width: wide, height: tall, rx: 1.5 }));
    };
    bar(day.billed_minor, "billed", 2, 8);
    bar(day.settled_minor, "settled", 10, 8);
    if (day.differences > 0) picture.append(svg("ellipse", { class: "differs", cx: i * step + 10, cy: height + 7, rx: 3, ry: 3 }));
  });
  picture.append(svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  byId("chart").replaceChildren(picture);
  const ends = known.length ? [days[0].day, `highest ${money(most)}`, days.at(-1).day] : [];
  byId("chart-days").replaceChildren(...ends.map((text) => el("span", {}, text)));
}

function showFiles() {
  byId("no-files").hidden = overview.files.length > 0;
  byId("files").closest(".scroll").hidden = overview.files.length === 0;
  keyed(byId("files"), overview.files, (file) => `${file.acquirer} ${file.date}`,
    () => el("tr", {}, el("th", { scope: "row" }), ...[0, 1, 2, 3, 4, 5].map((i) => el("td", { class: i > 1 && i < 5 ? "number" : null }))),
    (row, file) => {
      const cells = [file.acquirer, file.date, file.counts_on, count.format(file.lines), money(file.sum_minor), money(file.fees_minor), `${file.imported_at.slice(0, 16).replace("T", " ")} by ${file.by}`];
      cells.forEach((text, i) => say(row.children[i], text));
    });
}

async function look() {
  overview = await fetchJson("/books/days.json");
  const open = overview.days.filter((day) => day.state === "open" && day.taps !== null).length;
  say(byId("status"), `${overview.days.filter((day) => day.state === "closed").length} of the last ${overview.days.length} days closed${open ? `, ${open} matched and open` : ""}`);
  showDays();
  showChart();
  showFiles();
}

async function choose(day) {
  chosen = day;
  kind = null;
  history.replaceState(null, "", `#${day}`);
  byId("force-row").hidden = true;
  byId("force").checked = false;
  showDays();
  await showChosen();
}

async function showChosen() {
  const day = await fetchJson(`/books/days/${chosen}`);
  if (day.day !== chosen) return;
  say(byId("h-day"), day.day);
  const busy = day.work?.is === "under_way";
  const state = byId("day-state");
  state.hidden = false;
  const [tone, text] = busy ? ["note", `Being ${day.work.what} by ${day.work.by}`] : STATES[day.closed ? "closed" : day.is_over ? "open" : "under_way"];
  setTag(state, tone, text);
  say(byId("day-note"), noteOf(day));
  const problem = byId("day-problem");
  problem.hidden = day.work?.is !== "refused";
  if (!problem.hidden) say(problem, day.work.why);
  if (day.work?.may_be_forced) byId("force-row").hidden = false;
  showFigures(day);
  byId("actions").hidden = day.closed !== null;
  byId("match").disabled = busy;
  byId("close").disabled = busy || !day.is_over;
  byId("downloads").replaceChildren(...day.files.map((name) => el("a", { href: `/books/days/${chosen}/files/${name}` }, name)));
  showKinds(day);
  await showDifferences(0);
  clearTimeout(looking);
  if (busy) looking = setTimeout(() => Promise.all([look(), showChosen()]).catch(told), LOOK_MS);
}

function noteOf(day) {
  if (day.closed) {
    const forced = day.closed.forced.length ? ` Although ${day.closed.forced.join("; ")}.` : "";
    const note = day.closed.note ? ` “${day.closed.note}”` : "";
    return `Closed ${day.closed.at.slice(0, 16).replace("T", " ")} UTC by ${day.closed.by}.${note}${forced} Its figures stay as they are.`;
  }
  if (day.matched_at) return `Matched ${day.matched_at.slice(0, 16).replace("T", " ")} UTC. What comes in later shows when it is matched again.`;
  return day.is_over ? "Not matched yet." : "This day is not over; it can be matched, and closed once it is over.";
}

function showFigures(day) {
  const figures = day.totals ? TOTALS.map(([name, title, one]) => {
    const value = day.totals[name];
    const amount = typeof value === "object";
    return { name, title, text: amount ? money(value.minor) : count.format(value), small: amount ? plural(value.count, one, `${one}s`) : "" };
  }) : [];
  keyed(byId("figures"), figures, (figure) => figure.name,
    (figure) => el("div", {}, el("dt", {}, figure.title), el("dd", { class: "number" }, el("span"), el("small"))),
    (item, figure) => {
      say(item.querySelector("span"), figure.text);
      say(item.querySelector("small"), figure.small);
    });
}

function showKinds(day) {
  const kinds = day.kinds;
  byId("differences-panel").hidden = kinds.length === 0;
  const all = kinds.reduce((sum, line) => sum + line.count, 0);
  const buttons = [{ kind: null, count: all }, ...kinds];
  keyed(byId("kinds"), buttons, (line) => line.kind ?? "all",
    (line) => {
      const button = el("button", { type: "button", class: "quiet" });
      button.addEventListener("click", () => { kind = line.kind; showKinds(day); showDifferences(0).catch(told); });
      return button;
    },
    (button, line) => {
      say(button, `${line.kind ? words(line.kind) : "All"} · ${count.format(line.count)}`);
      button.setAttribute("aria-pressed", String(line.kind === kind));
    });
  const one = kinds.find((line) => line.kind === kind);
  byId("kind-next").hidden = !one;
  if (one) say(byId("kind-next"), `${one.says} ${one.next_action}`);
}

async function showDifferences(from) {
  const wanted = new URLSearchParams({ from });
  if (kind) wanted.set("kind", kind);
  const found = await fetchJson(`/books/days/${chosen}/differences?${wanted}`);
  const rows = found.rows.map(makeDifference);
  if (from === 0) byId("differences").replaceChildren(...rows);
  else byId("differences").append(...rows);
  const more = byId("more-differences");
  more.hidden = found.next === null;
  more.onclick = () => showDifferences(found.next).catch(told);
}

function makeDifference(row) {
  const expected = row.expected_minor === undefined ? "" : ` (books: ${money(row.expected_minor)})`;
  const amount = row.amount_minor === undefined ? expected : money(row.amount_minor) + expected;
  // What a rider was charged and may be given back is a click away.
  const what = (name) => name === "rider" ? el("a", { href: `/ops/refunds#${row.rider}` }, row.rider) : row[name];
  const about = ABOUT.filter((name) => row[name]).map((name) => el("div", {}, el("dt", {}, words(name)), el("dd", {}, what(name))));
  return el("li", {},
    el("div", { class: "top" }, el("span", { class: "tag wait" }, words(row.kind)), el("b", { class: "number" }, amount)),
    el("p", {}, row.what),
    el("p", { class: "soft" }, `Next: ${row.next_action}`),
    el("dl", {}, ...about));
}

async function showTrial() {
  const at = byId("at").value;
  const query = at ? `?at=${encodeURIComponent(`${at.length === 16 ? `${at}:00` : at}Z`)}` : "";
  byId("trial-csv").href = `/books/trial-balance.csv${query}`;
  const trial = await fetchJson(`/books/trial-balance${query}`);
  if (!at) byId("at").value = trial.at.slice(0, 19);
  byId("no-trial").hidden = trial.accounts.length > 0;
  byId("trial").closest(".scroll").hidden = trial.accounts.length === 0;
  byId("balanced").hidden = trial.accounts.length === 0;
  setTag(byId("balanced"), trial.balanced ? "good" : "bad", trial.balanced ? "Balanced" : "Does not balance");
  keyed(byId("trial"), trial.accounts, (line) => `${line.account} ${line.currency}`,
    () => el("tr", {}, el("th", { scope: "row" }), el("td", { class: "number" }), el("td", { class: "number" }), el("td", { class: "number" })),
    (row, line) => [`${words(line.account)}, ${line.currency}`, ...[line.debited, line.credited, line.balance].map(grouped)].forEach((text, i) => say(row.children[i], text)));
}

function told(error) {
  say(byId("status"), error.message || "The server does not answer. Please try again.");
}

async function act(path, form) {
  const refused = await post(path, form);
  const problem = byId("day-problem");
  problem.hidden = refused === null;
  if (refused) say(problem, refused);
  else await Promise.all([look(), showChosen()]);
}

byId("match").addEventListener("click", () => act(`/books/days/${chosen}/match`, {}).catch(told));
byId("close-form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(`/books/days/${chosen}/close`, { note: byId("note").value, force: byId("force").checked }).catch(told);
});
byId("trial-form").addEventListener("submit", (event) => { event.preventDefault(); showTrial().catch(told); });
byId("more-days").addEventListener("click", () => { listed += 31; showDays(); });

async function begin() {
  await look();
  const asked = location.hash.slice(1);
  const first = overview.days.find((day) => day.day === asked) ?? overview.days.find((day) => day.state === "open") ?? overview.days[0];
  await Promise.all([choose(first.day), showTrial()]);
}

begin().catch(told);
