// Shows what the gate tells, as large as it fits, and sounds its tones. When the gate says nothing any more, it says that.

"use strict";

const SILENCE_MAX_MS = 4000;
const RETRY_MS = 2000;
const NOTICE_MS = 5000;
const LOST = {
  sign: "lost", what: { zh: "请使用旁边的闸机", en: "Please use the next gate" },
  next: { zh: "屏幕与闸机失去连接，正在重连。", en: "This screen has lost its gate and is reconnecting." },
};
// What is so, and where there are two, what helps.
const SHAPES = {
  ready: ["face", "qr"], code_only: ["qr"], face_only: ["face"], code_with_face: ["qr", "plus", "face"], looking: ["hourglass"], go: ["ahead"], standing: ["chevrons"],
  show_code: ["cross", "qr"], new_code: ["no_qr", "again"], booth: ["cross", "counter"], next_gate: ["cross", "aside"],
  starting: ["dots", "aside"], closed: ["octagon"], other_side: ["no_entry"], maintenance: ["spanner"], fault: ["triangle"],
  tailgated: ["two"], reverse_entry: ["no_way"], turned_back: ["u_turn"], card: ["bank_card"], lost: ["unplugged"],
};
const RESTING = ["ready", "code_only", "face_only", "code_with_face"];
const DIRECTIONS = { entry: { zh: "进站", en: "Entry" }, exit: { zh: "出站", en: "Exit" } };
const NOTES = { accepted: [[660, 0, .12], [990, .13, .2]], refused: [[330, 0, .18], [220, .22, .34]], attention: [[880, 0, .1], [880, .16, .1], [880, .32, .1]] };

const at = (id) => document.getElementById(id);
let events = null;
let heard = performance.now();
let tried = heard;
let last = null;
let notice = { number: null, until: 0 };
let drawn = "";
let audio = null;

function connect() {
  tried = performance.now();
  events?.close();
  events = new EventSource("/events");
  events.onmessage = (message) => take(JSON.parse(message.data));
  events.onerror = () => { heard = -Infinity; draw(); };
}

function take(view) {
  heard = performance.now();
  // Newer software has another page.
  if (last && last.version !== view.version) location.reload();
  if (last && view.tones !== last.tones) sound(view.tone, view.volume);
  const number = view.notice?.number ?? 0;
  if (notice.number !== null && number > notice.number) notice.until = heard + NOTICE_MS;
  notice.number = number;
  last = view;
  offerSound(view.volume);
  draw();
}

// A notice is of this moment; one that was before the page was opened is not shown.
function current() {
  const waits = last.notice && performance.now() < notice.until;
  return waits && (last.notice.urgent || RESTING.includes(last.sign)) ? last.notice : last;
}

function draw() {
  const lost = !last || performance.now() - heard > SILENCE_MAX_MS;
  if (lost && !last && performance.now() < 1000) return;
  const { sign, what, next } = lost ? LOST : current();
  const languages = last?.languages ?? ["zh", "en"];
  const said = JSON.stringify([sign, what, next, languages, last?.banner, last?.station]);
  if (said === drawn) return;
  drawn = said;
  document.body.dataset.sign = sign;
  document.documentElement.lang = languages[0];
  at("sign").replaceChildren(...SHAPES[sign].map(picture));
  const shares = languages.length === 1 ? [5, 4] : [5, 3.2, 3, 2.6];
  at("words").style.gridTemplateRows = shares.map((share) => `minmax(0, ${share}fr)`).join(" ");
  const lines = [["what", what], ["next", next]].flatMap(([kind, line]) => languages.map((lang) => text(kind, lang, line[lang])));
  at("words").replaceChildren(...lines);
  const direction = DIRECTIONS[last?.direction];
  const side = direction && languages.map((lang) => direction[lang]).join(" ");
  at("who").textContent = [side, last?.station, last?.gate].filter(Boolean).join(" · ");
  at("mode").hidden = !last?.development;
  at("banner").hidden = !last?.banner;
  at("banner").textContent = last?.banner ? languages.map((lang) => last.banner[lang]).join(" · ") : "";
  fit();
}

function picture(shape) {
  const [svg, use] = ["svg", "use"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
  // A symbol keeps its own proportions within the box.
  use.setAttribute("href", `#${shape}`);
  svg.dataset.shape = shape;
  svg.append(use);
  return svg;
}

function text(kind, lang, words) {
  const line = document.createElement("p");
  line.className = `line ${kind}`;
  line.lang = lang;
  const inner = document.createElement("span");
  inner.textContent = words;
  line.append(inner);
  return line;
}

// Each line is as large as its box takes; what is to be done is never larger than what is so.
function fit() {
  let most = Infinity;
  for (const line of document.querySelectorAll(".line")) {
    let [small, large] = [8, Math.min(most, line.clientHeight / 1.2)];
    for (let step = 0; step < 9; step += 1) {
      const middle = (small + large) / 2;
      line.style.fontSize = `${middle}px`;
      const inner = line.firstChild.getBoundingClientRect();
      const fits = inner.height <= line.clientHeight && line.scrollWidth <= line.clientWidth;
      if (fits) small = middle; else large = middle;
    }
    line.style.fontSize = `${Math.floor(small)}px`;
    most = small;
  }
}

function offerSound(volume) {
  if (volume === 0) return;
  audio ??= new AudioContext();
  at("sound").hidden = audio.state === "running";
}

function sound(tone, volume) {
  if (volume === 0 || audio?.state !== "running") return;
  for (const [frequency, begin, length] of NOTES[tone] ?? []) {
    const [voice, level, from] = [audio.createOscillator(), audio.createGain(), audio.currentTime + begin];
    voice.frequency.value = frequency;
    level.gain.setValueAtTime(0, from);
    level.gain.linearRampToValueAtTime(volume, from + .015);
    level.gain.setTargetAtTime(0, from + length, .03);
    voice.connect(level).connect(audio.destination);
    voice.start(from);
    voice.stop(from + length + .25);
  }
}

at("sound").addEventListener("click", async () => {
  await audio?.resume();
  if (last) { offerSound(last.volume); sound("accepted", last.volume); }
});
addEventListener("resize", fit);
setInterval(() => {
  const silent = performance.now() - heard > SILENCE_MAX_MS;
  if (silent && performance.now() - tried > RETRY_MS) connect();
  draw();
}, 250);
connect();
