// Asks the gate every second how it is. Signed out, the page leads to the sign-in.

"use strict";

const EVERY_MS = 1000;
const KINDS = { granted: "放行 Let through", refused: "拒绝 Refused", merged: "同一次通行 Same ride", by_card: "刷卡 Card", sighted: "已见 Sighted" };
const OUTCOMES = { passed: "已通过 passed", turned_back: "退回 turned back", timed_out: "无人通过 nobody came", unknown: "未知 not known" };
const MEDIA = { face: "刷脸 Face", code: "乘车码 Code" };
const at = (id) => document.getElementById(id);

async function ask() {
  try {
    const answer = await fetch("/attendant/state.json");
    if (answer.status === 401) return location.reload();
    show(await answer.json());
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(ask, EVERY_MS);
}

function show(state) {
  at("gate").textContent = [state.station, state.id, state.direction].filter(Boolean).join(" · ");
  at("clock").textContent = `${time(state.now_unix_ms)} · ${state.attendant}`;
  const reader = state.reader_online === null ? ["无 none", true] : [state.reader_online ? "正常 fine" : "离线 not there", state.reader_online];
  const rows = [
    ["显示 Display says", `${state.display.what.zh} ${state.display.what.en}`, null],
    ["模式 Mode", `${state.gate_mode} (${state.mode})`, state.gate_mode !== "fault"],
    ["位置 Stands at", state.gate_state, null],
    ["摄像头 Camera", state.camera.words ?? state.camera.state, state.camera.words === null],
    ["扫码器 Code reader", ...reader],
    ["传感器 Beams", state.sensors ?? "正常 fine", state.sensors === null],
    ["门 Door", state.aisle_online ? "在线 online" : "离线 offline", state.aisle_online],
    ["车站服务器 Station", state.station_reachable ? `在线 online (${state.station_mode})` : "离线 offline", state.station_reachable],
    ["故障 Fault", state.fault ?? "无 none", state.fault === null],
    ["未上传 Not handed on", `${state.backlog}`, null],
    ["判定用时 Decisions take", state.decision_ms.count ? `p50 ${Math.round(state.decision_ms.p50)} ms · p99 ${Math.round(state.decision_ms.p99)} ms` : "—", null],
    ["警报 Alarms", Object.entries(state.alarms).map(([name, count]) => `${name} ${count}`).join(", ") || "无 none", null],
    ["准入 Not admitted", state.not_admitted ?? "—", null],
    ["指令 Last order", state.order_outcome ?? "—", null],
  ];
  at("now").replaceChildren(...rows.map(pair));
  at("none").hidden = state.decisions.length > 0;
  at("last").replaceChildren(...state.decisions.toReversed().map((decision) => row(decision, state.reasons)));
}

function pair([name, words, well]) {
  const both = document.createElement("div");
  both.append(element("dt", name), element("dd", words, well === null ? "" : well ? "well" : "bad"));
  return both;
}

function row(decision, reasons) {
  const line = document.createElement("tr");
  const reason = reasons[decision.reason];
  const result = [KINDS[decision.kind], OUTCOMES[decision.outcome]].filter(Boolean).join(" · ");
  line.append(element("td", time(decision.at_unix_ms)), element("td", MEDIA[decision.medium] ?? "—"),
    element("td", result, `result ${decision.kind === "refused" ? "bad" : "well"}`), element("td", reason ? `${reason.zh} ${reason.en}` : "—"));
  return line;
}

function element(name, words, kind) {
  const made = document.createElement(name);
  made.textContent = words;
  if (kind) made.className = kind;
  return made;
}

const time = (unix_ms) => new Date(unix_ms).toLocaleTimeString("zh-CN", { hour12: false });

ask();
