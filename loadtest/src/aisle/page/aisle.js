// Shows the aisle as it is, five times a second, and sends what the buttons ask for.

const LOOK_EVERY_MS = 200;
const at = (id) => document.getElementById(id);

async function act(body) {
  const answer = await fetch("/act", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) console.error(await answer.text());
  await look();
}

function cell(row, text, name) {
  const td = document.createElement("td");
  td.textContent = text;
  if (name) td.className = name;
  row.append(td);
  return td;
}

function button(into, label, body, of) {
  const made = document.createElement("button");
  made.textContent = label;
  made.setAttribute("aria-label", `${label}: ${of} beam`);
  made.addEventListener("click", () => act(body));
  into.append(made);
}

// Rows are made once, so that a button stays where it is while it is pressed.
const rows = new Map();
function beamRow(beam) {
  if (rows.has(beam)) return rows.get(beam);
  const row = document.createElement("tr");
  cell(row, beam);
  const state = cell(row, "");
  const doing = cell(row, "");
  button(doing, "Break", { act: "beam", beam, broken: true }, beam);
  button(doing, "Clear", { act: "beam", beam, broken: false }, beam);
  button(doing, "Stick", { act: "kill", beam, death: "blocked" }, beam);
  button(doing, "Silence", { act: "kill", beam, death: "silent" }, beam);
  button(doing, "Mend", { act: "mend", beam }, beam);
  at("beams").append(row);
  rows.set(beam, state);
  return state;
}

function show(aisle) {
  at("gate").textContent = aisle.gate_heard ? "The gate is connected." : "No gate is heard.";
  at("picture").classList.toggle("open", aisle.door !== "closed");
  at("door").textContent = { closed: "closed", open: "open for one", standing: "standing open", watchdog: "open, since no gate is heard" }[aisle.door];
  at("lamp").setAttribute("class", aisle.lamp);
  at("lamp-word").textContent = aisle.lamp;
  at("sound").textContent = aisle.sound;
  at("openings").textContent = aisle.openings.map(({ token, taken }) => (taken ? `${token} (on his way)` : token)).join(", ") || "nobody";
  at("latched").textContent = `${aisle.unacknowledged} ${aisle.unacknowledged === 1 ? "report" : "reports"}`;
  for (const { beam, broken, dead } of aisle.beams) {
    const words = dead ? { blocked: "stuck", silent: "silent" }[dead] : broken ? "broken" : "clear";
    const state = beamRow(beam);
    state.textContent = words;
    state.className = dead || broken ? "bad" : "";
    document.querySelector(`[data-beam="${beam}"]`).setAttribute("class", `beam${broken ? " broken" : ""}${dead ? " dead" : ""}`);
  }
  at("recent").replaceChildren(
    ...aisle.recent.map(({ event, at_ms, saw, token, beam }) => {
      const row = document.createElement("tr");
      cell(row, event);
      cell(row, `${(at_ms / 1000).toFixed(2)} s`);
      cell(row, [beam, saw, token].filter(Boolean).join(" "));
      return row;
    }),
  );
}

async function look() {
  try {
    const answer = await fetch("/state.json");
    show(await answer.json());
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
}

for (const body of document.querySelectorAll("[data-gait]")) {
  body.addEventListener("click", () => act({ act: "body", gait: body.dataset.gait }));
}
await look();
setInterval(look, LOOK_EVERY_MS);
