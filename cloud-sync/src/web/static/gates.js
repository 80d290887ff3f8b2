"use strict";
// What a person does at a gate: a form in a dialog, with a name of its own, so that one that is sent twice is one act.

const ACTS = {
  open_once: ["Open once", "The door opens for one body, on nobody's account: within a minute or not at all."],
  mode: ["Mode", ""],
  restart: ["Restart", "The gate's software ends in order and is started again. Nobody passes by it meanwhile."],
};
const MODES = {
  none: ["None of its own", "The gate works as it is configured and as its station's mode says."],
  normal_entry: ["Entry only", "Riders enter. Nobody leaves by this gate."],
  normal_exit: ["Exit only", "Riders leave. Nobody enters by this gate."],
  bidirectional: ["Both ways", "Riders enter and leave."],
  closed: ["Closed", "Nobody is let through."],
  maintenance: ["Maintenance", "Nobody is let through, and staff may go in and out without an alarm."],
  fare_exempt: ["Fares exempt", "Rides that begin or end here cost nothing."],
  time_exempt: ["Time exempt", "Staying too long costs nothing extra."],
  sequence_exempt: ["Sequence exempt", "An entry or exit that is missing costs nothing."],
  emergency_open: ["Emergency: stand open", "The door stands open for everybody until another mode is told."],
};
const CAME_OF = { done: ["good", "Done"], refused: ["bad", "Refused"], waits: ["wait", "On its way"], offline: ["bad", "Gate offline"], over: ["bad", "Not done"] };

/** "Open once", "Mode: closed". */
function nameOfAct(act) {
  return act.what === "mode" ? `Mode: ${(MODES[act.mode]?.[0] ?? words(act.mode)).toLowerCase()}` : ACTS[act.what]?.[0] ?? words(act.what);
}

/** The line below a gate's name that says what was done there last. */
function showAct(element, act) {
  element.hidden = !act;
  if (!act) return;
  const [tone, text] = CAME_OF[act.state] ?? ["", words(act.state)];
  setTag(element.querySelector(".tag"), tone, text);
  say(element.querySelector(".said"), `${nameOfAct(act)} by ${personOf(act.by)}: ${act.said}`);
  element.title = `${when.format(new Date(act.at))}${act.reason ? `, ${act.reason}` : ""}`;
}

function makeActLine() {
  return el("small", { class: "act", hidden: "" }, el("span", { class: "tag" }), " ", el("span", { class: "said soft" }));
}

function options(of) {
  return Object.entries(of).map(([value, [label]]) => el("option", { value }, label));
}

/** Asks what to do at the gate and why, and does it when that was confirmed. */
function openActs(gate, lookAgain) {
  const order = crypto.randomUUID();
  const what = el("select", { name: "what" }, ...options(ACTS));
  const mode = el("select", { name: "mode" }, ...options(MODES));
  const modeLabel = el("label", { hidden: "" }, "Mode ", mode);
  const reason = el("input", { name: "reason", maxlength: "130", autocomplete: "off", required: "" });
  const effect = el("p", { class: "effect", role: "status" });
  const wrong = el("p", { class: "notice", role: "alert", hidden: "" });
  const send = el("button", {}, "");
  const cancel = el("button", { type: "button", class: "quiet" }, "Cancel");
  const form = el("form", { method: "dialog" },
    el("h2", { id: "h-act" }, `Gate ${gate.gate}`),
    el("label", {}, "What ", what), modeLabel, effect,
    el("label", {}, "Reason, kept with your name ", reason), wrong,
    el("div", { class: "buttons" }, send, cancel));
  const dialog = el("dialog", { class: "acts", "aria-labelledby": "h-act" }, form);
  let isSure = false;
  const wanted = () => (what.value === "mode" ? `Set ${gate.gate} to ${MODES[mode.value][0].toLowerCase()}` : `${ACTS[what.value][0]}: ${gate.gate}`);
  const changed = () => {
    isSure = false;
    modeLabel.hidden = what.value !== "mode";
    const offline = gate.state === "offline" ? " The gate is not connected now: see afterwards whether it heard of it." : "";
    say(effect, (what.value === "mode" ? MODES[mode.value][1] : ACTS[what.value][1]) + offline);
    say(send, wanted());
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!isSure) {
      isSure = true;
      say(send, `${wanted()} – sure?`);
      return;
    }
    send.disabled = true;
    wrong.hidden = true;
    try {
      const fields = { order, what: what.value, reason: reason.value };
      if (what.value === "mode") fields.mode = mode.value;
      await postForm(`/ops/gates/${encodeURIComponent(gate.gate)}/acts`, fields);
      dialog.close();
      await lookAgain();
    } catch (error) {
      // Sent again it has the same name: if it had arrived after all, it is not done twice.
      wrong.hidden = false;
      say(wrong, error.message);
    } finally {
      send.disabled = false;
    }
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  changed();
  dialog.showModal();
}
