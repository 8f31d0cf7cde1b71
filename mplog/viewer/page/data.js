// What the page shows, and the parts of it that are chosen at the moment.
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
// A row: time (microseconds since DATA.start), level, process, logger, place, thread, seq, message, fields, traceback, group.
const [TIME, LEVEL, PROCESS, LOGGER, PLACE, THREAD, SEQ, MSG, FIELDS, TEXT, GROUP] = Array(11).keys();
const ROWS = DATA.rows;
for (const row of ROWS) if (row[PROCESS] >= 0) row[PROCESS] = DATA.order[row[PROCESS]];
if (ROWS.some((row, i) => i && row[TIME] < ROWS[i - 1][TIME])) ROWS.sort((a, b) => a[TIME] - b[TIME]);
const CLASS = DATA.levels.map(([, n]) => (n >= 50 ? 4 : n >= 40 ? 3 : n >= 30 ? 2 : n >= 20 || n === 0 ? 1 : 0));
const FIRST = Math.min(...DATA.processes.map((p) => p.start ?? Infinity), ROWS.length ? ROWS[0][TIME] : 0);
const LAST = Math.max(...DATA.processes.map((p) => p.end ?? -Infinity), ROWS.length ? ROWS[ROWS.length - 1][TIME] : 1, FIRST + 1000);
const MARGIN = Math.max((LAST - FIRST) * 0.01, 500);

const state = {
  from: FIRST - MARGIN, to: LAST + MARGIN, text: "", level: -1, process: -1, logger: -1, group: -1,
  utc: false, selected: -1, base: new Uint32Array(0), low: 0, high: 0,
};

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const count = (n) => n.toLocaleString("en-US");
const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
const two = (n) => String(n).padStart(2, "0");

function parts(time) {
  const date = new Date((DATA.start + time) / 1000);
  const utc = state.utc ? "UTC" : "";
  return {
    day: `${date[`get${utc}FullYear`]()}-${two(date[`get${utc}Month`]() + 1)}-${two(date[`get${utc}Date`]())}`,
    clock: `${two(date[`get${utc}Hours`]())}:${two(date[`get${utc}Minutes`]())}:${two(date[`get${utc}Seconds`]())}`,
    micros: String(Math.floor((((DATA.start + time) % 1e6) + 1e6) % 1e6)).padStart(6, "0"),
  };
}
const clock = (time) => { const p = parts(time); return `${p.clock}.${p.micros.slice(0, 3)}`; };
const stamp = (time) => { const p = parts(time); return `${p.day} ${p.clock}.${p.micros}`; };

function span(micros) {
  const seconds = micros / 1e6;
  if (seconds < 0.001) return `${micros.toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
}

// The first position in `base` whose time is not before `time`.
function lower(base, time) {
  let low = 0, high = base.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ROWS[base[middle]][TIME] < time) low = middle + 1; else high = middle;
  }
  return low;
}

let haystack = null;
function matcher(text) {
  const regex = /^\/(.+)\/$/.exec(text);
  if (regex) {
    const compiled = new RegExp(regex[1], /[A-Z]/.test(regex[1]) ? "" : "i");
    return (i) => compiled.test(ROWS[i][MSG]) || (ROWS[i][TEXT] ? compiled.test(ROWS[i][TEXT]) : false);
  }
  haystack ??= ROWS.map((row) => [
    row[MSG], row[FIELDS], row[TEXT], DATA.processes[row[PROCESS]]?.name, DATA.loggers[row[LOGGER]],
  ].join("\n").toLowerCase());
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (i) => words.every((word) => haystack[i].includes(word));
}

function select() {
  const found = new Uint32Array(ROWS.length);
  let size = 0;
  const matches = state.text ? matcher(state.text) : null;
  const least = state.level < 0 ? -1 : state.level;
  for (let i = 0; i < ROWS.length; i++) {
    const row = ROWS[i];
    if (least >= 0 && DATA.levels[row[LEVEL]][1] < least) continue;
    if (state.process >= 0 && row[PROCESS] !== state.process) continue;
    if (state.logger >= 0 && row[LOGGER] !== state.logger) continue;
    if (state.group >= 0 && row[GROUP] !== state.group) continue;
    if (matches && !matches(i)) continue;
    found[size++] = i;
  }
  state.base = found.subarray(0, size);
}

function clip() {
  state.low = lower(state.base, state.from);
  state.high = lower(state.base, state.to + 1e-3);
}
