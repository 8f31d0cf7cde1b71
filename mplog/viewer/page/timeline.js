// The histogram, the lanes, and zooming in them.
const LANE = 20;
const HISTOGRAM = 104;
const AXIS = 20;
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1.5e7, 3e7, 6e7, 1.2e8, 3e8,
  6e8, 9e8, 1.8e9, 3.6e9, 7.2e9, 1.08e10, 2.16e10, 4.32e10, 8.64e10, 1.728e11, 6.048e11, 2.6e12, 7.8e12, 3.15e13,
];
const style = {};

function readStyle() {
  const computed = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "life", "c0", "c1", "c2", "c3", "c4", "shade", "card", "mono"]) {
    style[name] = computed.getPropertyValue(`--${name}`).trim();
  }
}

// A process keeps its colour from page to page: the hue is a hash of its name, its number varies the shade.
function hue(name) {
  const base = name.replace(/[-_:]?\d+(:\d+)*$/, "");
  const number = [...name.matchAll(/\d+/g)].reduce((sum, [digits]) => sum * 3 + Number(digits), 0);
  let hash = 2166136261;
  for (const char of base) hash = Math.imul(hash ^ char.codePointAt(0), 16777619) >>> 0;
  return ((hash % 300) + 150 + number * 37) % 360;
}
// Blue and violet look darker than they measure, yellow and green lighter.
const colour = (process) => {
  const angle = hue(process.name);
  const shade = Number.parseFloat(style.shade);
  const lift = angle > 225 && angle < 300 ? 10 : angle > 40 && angle < 200 && shade < 50 ? -9 : 0;
  return `hsl(${angle} 52% ${shade + lift}%)`;
};

function prepare(canvas, height) {
  const width = canvas.clientWidth || canvas.parentElement.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width];
}

const x = (time, width) => ((time - state.from) / (state.to - state.from)) * width;

function drawHistogram() {
  const [context, width] = prepare($("histogram"), HISTOGRAM);
  const bars = Math.max(1, Math.floor(width / 5));
  const counts = Array.from({ length: 5 }, () => new Uint32Array(bars));
  const scale = bars / (state.to - state.from);
  for (let i = state.low; i < state.high; i++) {
    const row = ROWS[state.base[i]];
    counts[CLASS[row[LEVEL]]][Math.min(bars - 1, Math.floor((row[TIME] - state.from) * scale))]++;
  }
  let most = 0;
  for (let bar = 0; bar < bars; bar++) most = Math.max(most, counts.reduce((sum, c) => sum + c[bar], 0));
  const room = HISTOGRAM - AXIS - 4;
  for (let bar = 0; bar < bars; bar++) {
    let bottom = HISTOGRAM - AXIS;
    for (const kind of [4, 3, 2, 1, 0]) {
      const number = counts[kind][bar];
      if (!number) continue;
      const height = Math.max((number / most) * room, kind >= 2 ? 2 : 1);
      context.fillStyle = style[`c${kind}`];
      context.fillRect((bar * width) / bars, bottom - height, width / bars - 1, height);
      bottom -= height;
    }
  }
  drawAxis(context, width);
  $("most").textContent = most ? `${count(most)} in ${span((state.to - state.from) / bars)}` : "";
}

function drawAxis(context, width) {
  const wanted = ((state.to - state.from) * 110) / width;
  const step = STEPS.find((s) => s >= wanted) ?? STEPS[STEPS.length - 1];
  const shift = state.utc ? 0 : -new Date(DATA.start / 1000).getTimezoneOffset() * 6e7;
  const zero = DATA.start + shift;
  context.font = `11px ${style.mono}`;
  context.strokeStyle = style.line;
  context.fillStyle = style.soft;
  context.beginPath();
  context.moveTo(0, HISTOGRAM - AXIS + 0.5);
  context.lineTo(width, HISTOGRAM - AXIS + 0.5);
  for (let tick = Math.ceil((state.from + zero) / step) * step - zero; tick < state.to; tick += step) {
    const at = Math.round(x(tick, width)) + 0.5;
    context.moveTo(at, HISTOGRAM - AXIS);
    context.lineTo(at, HISTOGRAM - AXIS + 5);
    const p = parts(tick + 0.5);
    const fine = step < 1e3 ? p.micros : step < 1e6 ? p.micros.slice(0, 3) : "";
    const label = step >= 8.64e10 ? p.day : fine ? `${p.clock.slice(3)}.${fine}` : step < 6e7 ? p.clock : p.clock.slice(0, 5);
    const midnight = p.clock === "00:00:00" && !fine;
    const text = midnight && step < 8.64e10 ? p.day.slice(5) : label;
    if (at + 4 + context.measureText(text).width < width) context.fillText(text, at + 4, HISTOGRAM - 5);
  }
  context.stroke();
}

function drawTracks() {
  const lanes = $("lanes");
  const total = DATA.processes.length * LANE;
  const shown = Math.max(LANE, Math.min(total, lanes.clientHeight || total));
  const [context, width] = prepare($("tracks"), shown);
  const columns = Math.ceil(width);
  const top = Math.floor(lanes.scrollTop / LANE);
  const bottom = Math.min(DATA.processes.length, Math.ceil((lanes.scrollTop + shown) / LANE));
  const counts = new Uint16Array((bottom - top) * columns);
  const worst = new Uint8Array((bottom - top) * columns);
  const bad = new Uint16Array((bottom - top) * columns);
  const sums = new Uint32Array(bottom - top);
  let most = 1;
  for (let i = state.low; i < state.high; i++) {
    const row = ROWS[state.base[i]];
    const lane = row[PROCESS] - top;
    if (lane < 0 || lane >= bottom - top) continue;
    const cell = lane * columns + Math.max(0, Math.min(columns - 1, Math.floor(x(row[TIME], width))));
    if (counts[cell] < 65535) most = Math.max(most, ++counts[cell]);
    worst[cell] = Math.max(worst[cell], CLASS[row[LEVEL]]);
    if (CLASS[row[LEVEL]] >= 2) bad[cell]++;
    sums[lane]++;
  }
  for (let lane = top; lane < bottom; lane++) {
    const process = DATA.processes[lane];
    const y = lane * LANE - lanes.scrollTop;
    drawLife(context, process, y, width);
    const plain = colour(process);
    const thick = sums[lane - top] * 6 < width ? 2.5 : 1.2;
    for (let column = 0; column < columns; column++) {
      const cell = (lane - top) * columns + column;
      if (!counts[cell]) continue;
      context.globalAlpha = 0.3 + 0.7 * Math.sqrt(counts[cell] / most);
      context.fillStyle = plain;
      if (bad[cell] < counts[cell]) context.fillRect(column, y + 5, thick, 10);
      if (!bad[cell]) continue;
      // Alone in its column a warning or error is a full tick; among others a mark below, so that the density stays visible.
      const height = bad[cell] === counts[cell] ? LANE - 5 : worst[cell] >= 3 ? 8 : 4;
      context.globalAlpha = 1;
      context.fillStyle = style[`c${worst[cell]}`];
      context.fillRect(column, y + LANE - 3 - height, worst[cell] >= 3 ? Math.max(thick, 1.8) : thick, height);
    }
    context.globalAlpha = 1;
    if (process.died && process.end !== null) drawDeath(context, x(process.end, width), y + LANE / 2);
  }
}

function drawLife(context, process, y, width) {
  if (process.start === null) return;
  const left = Math.max(-8, x(process.start, width));
  const right = Math.min(width + 8, x(process.end ?? LAST, width));
  if (right < 0 || left > width) return;
  context.fillStyle = style.life;
  context.beginPath();
  context.roundRect(left, y + 3, Math.max(right - left, 3), LANE - 6, process.ended ? 3 : [3, 0, 0, 3]);
  context.fill();
  context.fillStyle = style.soft;
  context.fillRect(left, y + 3, 1.5, LANE - 6);
  if (process.ended && !process.died) context.fillRect(right - 1.5, y + 3, 1.5, LANE - 6);
}

function drawDeath(context, at, middle) {
  context.strokeStyle = style.card;
  for (const width of [5, 2.2]) {
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(at - 4, middle - 4);
    context.lineTo(at + 4, middle + 4);
    context.moveTo(at + 4, middle - 4);
    context.lineTo(at - 4, middle + 4);
    context.stroke();
    context.strokeStyle = style.c3;
  }
  context.lineWidth = 1;
}

function listNames() {
  DATA.processes.forEach((process, index) => {
    const button = element("button", process.died ? "died" : "");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    const name = element("span", "name", " ".repeat(2 * process.depth) + process.name);
    button.append(name, element("span", "end", process.died || (process.how && process.how !== "exit 0") ? process.how : ""));
    button.title = [
      `${process.name}[${process.pid ?? "?"}]: ${plural(process.records, "record")}`,
      process.how ? `ended: ${process.how}` : "no end recorded",
      process.words ? `last words: ${process.words}` : "",
    ].filter(Boolean).join("\n");
    button.addEventListener("click", () => choose("process", state.process === index ? -1 : index));
    $("names").append(button);
  });
}

function zoom(from, to) {
  const least = 100;
  const all = [FIRST - MARGIN, LAST + MARGIN];
  if (to - from < least) [from, to] = [(from + to) / 2 - least / 2, (from + to) / 2 + least / 2];
  if (to - from >= all[1] - all[0]) [from, to] = all;
  if (from < all[0]) [from, to] = [all[0], all[0] + to - from];
  if (to > all[1]) [from, to] = [all[1] - (to - from), all[1]];
  [state.from, state.to] = [from, to];
  showWindow();
}

function zoomAt(share, factor) {
  const at = state.from + share * (state.to - state.from);
  zoom(at - (at - state.from) * factor, at + (state.to - at) * factor);
}
const move = (share) => { const by = share * (state.to - state.from); zoom(state.from + by, state.to + by); };

function listenToPointer(canvas) {
  let begin = null;
  const left = () => canvas.getBoundingClientRect().left - $("timeline").getBoundingClientRect().left;
  const share = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const width = () => canvas.getBoundingClientRect().width;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    begin = share(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = share(event);
    $("cross").hidden = false;
    $("cross").style.left = `${left() + at * width()}px`;
    if (begin !== null && Math.abs(at - begin) * width() > 3) {
      $("brush").hidden = false;
      $("brush").style.left = `${left() + Math.min(at, begin) * width()}px`;
      $("brush").style.width = `${Math.abs(at - begin) * width()}px`;
    }
    showTip(canvas, event, at);
  });
  canvas.addEventListener("pointerup", (event) => {
    const [a, b] = [begin ?? 0, share(event)].sort((p, q) => p - q);
    const dragged = begin !== null && (b - a) * width() > 3;
    $("brush").hidden = true;
    if (dragged) {
      const size = state.to - state.from;
      zoom(state.from + a * size, state.from + b * size);
    } else if (begin !== null) {
      const near = nearest(canvas, event, share(event));
      if (near >= 0) pick(near, true);
    }
    begin = null;
  });
  canvas.addEventListener("pointercancel", () => { begin = null; $("brush").hidden = true; });
  canvas.addEventListener("pointerleave", () => { $("cross").hidden = $("tip").hidden = true; });
  canvas.addEventListener("dblclick", () => zoom(FIRST - MARGIN, LAST + MARGIN));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const delta = event.deltaY || event.deltaX;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(Math.sign(delta) * 0.1);
    else zoomAt(share(event), Math.exp(Math.max(-1, Math.min(1, delta / 300))));
  }, { passive: false });
}

function laneOf(canvas, event) {
  if (canvas.id !== "tracks") return -1;
  const y = event.clientY - canvas.getBoundingClientRect().top + $("lanes").scrollTop;
  return Math.max(0, Math.min(DATA.processes.length - 1, Math.floor(y / LANE)));
}

// The position in the table of the record nearest to the pointer, in its lane; -1 where none is near.
function nearest(canvas, event, at) {
  const lane = laneOf(canvas, event);
  const time = state.from + at * (state.to - state.from);
  const reach = ((state.to - state.from) * 8) / canvas.clientWidth;
  const middle = lower(state.base, time);
  for (let d = 0; d < 5000; d++) {
    for (const i of [middle + d, middle - 1 - d]) {
      if (i < state.low || i >= state.high) continue;
      const row = ROWS[state.base[i]];
      if (Math.abs(row[TIME] - time) <= reach && (lane < 0 || row[PROCESS] === lane)) return i - state.low;
    }
  }
  return -1;
}

function showTip(canvas, event, at) {
  const lines = [stamp(state.from + at * (state.to - state.from))];
  const near = nearest(canvas, event, at);
  const lane = laneOf(canvas, event);
  if (lane >= 0) lines.push(DATA.processes[lane].name);
  if (near >= 0) {
    const row = ROWS[state.base[state.low + near]];
    lines.push(`${DATA.levels[row[LEVEL]][0]} ${row[MSG].split("\n", 1)[0].slice(0, 200)}`);
  }
  const tip = $("tip");
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
}
