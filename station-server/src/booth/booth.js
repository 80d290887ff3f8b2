// Asks the station every second how its gates are, looks riders up and does what the attendant confirms. Signed out, the page
// leads to the sign-in.

"use strict";

const EVERY_MS = 1000;
const SHOWN_DECISIONS = 6;
const TITLES = { entry: "补进站 Repair entry", exit: "出站放行 Exit pass", open: "开闸一次 Open gate once" };
const FARES = { normal: "按在此出站收费 charged", time_exempt: "免超时费 nothing for staying long", fare_exempt: "免费 free" };
const WHERE = {
  inside: ["在站内 Inside", "well"],
  outside: ["不在站内 Not inside", "bad"],
  unknown: ["未知（离线） Not known: the station is cut off", "bad"],
};
const KINDS = { granted: "放行 let through", refused: "拒绝 refused", merged: "同一次通行 same ride", by_card: "刷卡 card", sighted: "已见 sighted" };
const MEDIA = { face: "刷脸 face", code: "乘车码 code" };
const WAYS = { entry: "进站 in", exit: "出站 out" };
const at = (id) => document.getElementById(id);

let state = null;
let rider = null;
// What the dialog is about. Its id names the act: asked for again, it is done once.
let asked = null;
const cards = new Map();

async function ask() {
  try {
    const answer = await fetch("/state.json");
    if (answer.status === 401) return location.reload();
    state = await answer.json();
    show();
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(ask, EVERY_MS);
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (answer.status === 401) location.reload();
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function show() {
  at("station").textContent = state.station;
  at("clock").textContent = `${time(state.now_unix_ms)} · ${state.attendant}`;
  const away = state.alone_s > 15;
  at("link").textContent = away ? `离线，待上传 ${state.waiting} Cut off, ${state.waiting} records wait` : "在线 Online";
  at("link").className = away ? "bad" : "well";
  if (!at("reason").options.length) {
    at("reason").append(new Option("请选择 Choose one", "", true, true), ...state.reasons.map((reason) => new Option(`${reason.words.zh} ${reason.words.en}`, reason.name)));
  }
  state.gates.forEach((gate) => fill(cards.get(gate.id) ?? card(gate), gate));
  at("none").hidden = state.acts.length > 0;
  at("done-lately").hidden = state.acts.length === 0;
  at("acts").replaceChildren(...state.acts.map(row));
}

// Made once and filled again, so that the keyboard stays where it is.
function card(gate) {
  const [box, head, words, list, order] = ["article", "div", "div", "ul", "p"].map((name) => document.createElement(name));
  const open = element("button", TITLES.open);
  const made = { box, name: element("h3", gate.id), how: element("p", ""), fault: element("p", "", "bad"), order, list, open };
  box.className = "gate";
  head.className = "head";
  open.type = "button";
  open.setAttribute("aria-label", `${TITLES.open}: ${gate.id}`);
  open.addEventListener("click", () => confirmAct({ act: "open", gate: gate.id }, gate.id));
  words.append(made.name, made.how);
  head.append(words, open);
  box.append(head, made.fault, order, list);
  at("gates").append(box);
  cards.set(gate.id, made);
  return made;
}

function fill(made, gate) {
  made.how.textContent = [WAYS[gate.direction], gate.connected ? "在线 online" : "离线 not connected", gate.mode && gate.mode !== "normal" ? gate.mode : ""].filter(Boolean).join(" · ");
  made.how.className = gate.connected ? "well" : "bad";
  made.fault.textContent = gate.fault;
  made.fault.hidden = !gate.fault;
  made.order.textContent = gate.order ? `指令 Last order: ${gate.order}` : "";
  made.order.hidden = !gate.order;
  made.open.disabled = !gate.connected;
  made.list.replaceChildren(...gate.decisions.toReversed().slice(0, SHOWN_DECISIONS).map(decided));
}

function decided(decision) {
  const line = document.createElement("li");
  const why = state.refusals[decision.reason];
  const head = `${time(decision.at_unix_ms)} · ${[MEDIA[decision.medium], KINDS[decision.kind]].filter(Boolean).join(" · ")}`;
  line.append(element("span", head, decision.kind === "refused" ? "bad" : "well"));
  if (why) line.append(element("span", ` ${why.why.zh} ${why.why.en}`), element("span", `${why.next.zh} ${why.next.en}`, "todo"));
  return line;
}

function row(act) {
  const line = document.createElement("tr");
  const reason = state.reasons.find((reason) => reason.name === act.reason)?.words;
  const detail = [act.about, FARES[act.detail] ?? act.detail, act.at_unix_ms ? time(act.at_unix_ms) : ""].filter(Boolean).join(" · ");
  const handed = act.interrupted ? ["中断，不计 Cut short", "bad"] : act.handed_on ? ["是 yes", "well"] : ["待上传 waits", "bad"];
  line.append(element("td", `${time(act.done_at_unix_ms)} ${act.attendant}`), element("td", TITLES[act.act]), element("td", detail),
    element("td", reason ? `${reason.zh} ${reason.en}` : act.reason), element("td", handed[0], handed[1]));
  return line;
}

at("look").addEventListener("submit", async (event) => {
  event.preventDefault();
  const shown = at("shown").value;
  at("shown").value = "";
  await lookUp(shown);
});

async function lookUp(shown) {
  at("done").textContent = "";
  say("look-error", "");
  try {
    rider = await send("/rider", { shown });
  } catch (error) {
    rider = null;
    say("look-error", error.message);
  }
  at("rider").hidden = !rider;
  if (!rider) return;
  const rows = [
    ["乘客 Rider", `${rider.masked} · ${rider.by_code ? "乘车码有效 by a valid ride code" : "乘客号 by number"}`, ""],
    ["位置 Where", ...WHERE[rider.whereabouts]],
    ["欠费 Deny list", ...(rider.denied ? ["有未支付的行程 Open payment", "bad"] : ["否 no", "well"])],
    ["刷脸 By face", ...(rider.code_asked ? ["今日需乘车码 Code asked today", "bad"] : ["可以 allowed", "well"])],
  ];
  at("rider-facts").replaceChildren(...rows.map(([name, words, kind]) => {
    const both = document.createElement("div");
    both.append(element("dt", name), element("dd", words, kind));
    return both;
  }));
}

at("entry").addEventListener("click", () => confirmAct({ act: "entry", rider: rider.rider }, rider.masked));
at("exit").addEventListener("click", () => confirmAct({ act: "exit", rider: rider.rider }, rider.masked));

function confirmAct(what, about) {
  asked = { id: crypto.randomUUID(), ...what };
  at("dialog-title").textContent = TITLES[what.act];
  at("about").textContent = about;
  at("entry-fields").hidden = what.act !== "entry";
  at("exit-fields").hidden = what.act !== "exit";
  at("reason").value = "";
  at("fare").value = "charged";
  at("from").value = state.station;
  at("at").value = local(state.now_unix_ms - 20 * 60 * 1000);
  at("confirm").disabled = false;
  say("act-error", "");
  at("dialog").showModal();
}

at("reason").addEventListener("change", () => say("act-error", ""));
at("cancel").addEventListener("click", () => at("dialog").close());

at("act").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!at("reason").value) return say("act-error", "请选择原因。 Choose a reason.");
  if (asked.act === "entry" && !at("at").value) return say("act-error", "请填写进站时间。 Say when he came in.");
  const more = { entry: () => ({ station: at("from").value.trim(), at_unix_ms: new Date(at("at").value).getTime() }), exit: () => ({ fare: at("fare").value }), open: () => ({}) };
  at("confirm").disabled = true;
  try {
    const done = await send("/acts", { ...asked, reason: at("reason").value, ...more[asked.act]() });
    at("dialog").close();
    if (rider && asked.act !== "open") await lookUp(rider.rider);
    at("done").textContent = `已办理 Done: ${TITLES[done.act]} · ${done.about} · ${done.record}`;
    at("done").className = "well";
    at("shown").focus();
  } catch (error) {
    say("act-error", error.message);
    // Corrected, it is another act; the name of one whose answer was lost stays.
    if (!(error instanceof TypeError)) asked = { ...asked, id: crypto.randomUUID() };
  } finally {
    at("confirm").disabled = false;
  }
});

function say(id, words) {
  at(id).textContent = words;
  at(id).hidden = !words;
}

function element(name, words, kind) {
  const made = document.createElement(name);
  made.textContent = words;
  if (kind) made.className = kind;
  return made;
}

const time = (unix_ms) => new Date(unix_ms).toLocaleTimeString("zh-CN", { hour12: false });
const local = (unix_ms) => new Date(unix_ms - new Date(unix_ms).getTimezoneOffset() * 60000).toISOString().slice(0, 16);

async function stations() {
  const known = await (await fetch("/stations.json")).json();
  at("stations").replaceChildren(...known.map(({ id, name }) => new Option(name, id)));
}

stations();
ask();
