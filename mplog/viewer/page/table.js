// The table of records: only the rows that can be seen exist.
const HEIGHT = 24;
const pool = [];

function makeRow() {
  const row = element("div", "row");
  row.setAttribute("role", "option");
  row.cells = ["time", "level", "process", "logger", "msg"].map((name) => element("span", name));
  row.append(...row.cells);
  row.addEventListener("click", () => { pick(row.position); showDetails(); });
  return row;
}

function drawRows() {
  const view = $("rows");
  const total = state.high - state.low;
  const from = Math.max(0, Math.floor(view.scrollTop / HEIGHT) - 6);
  const to = Math.min(total, Math.ceil((view.scrollTop + view.clientHeight) / HEIGHT) + 6);
  while (pool.length < to - from) {
    pool.push(makeRow());
    view.append(pool[pool.length - 1]);
  }
  pool.forEach((element_, index) => {
    const position = from + index;
    element_.hidden = position >= to;
    if (!element_.hidden) fillRow(element_, position);
  });
}

function fillRow(line, position) {
  const index = state.base[state.low + position];
  const row = ROWS[index];
  const process = DATA.processes[row[PROCESS]];
  line.position = position;
  line.id = `row-${index}`;
  line.className = `row l${CLASS[row[LEVEL]]}`;
  line.style.transform = `translateY(${position * HEIGHT}px)`;
  line.setAttribute("aria-selected", String(index === state.selected));
  line.setAttribute("aria-posinset", position + 1);
  line.setAttribute("aria-setsize", state.high - state.low);
  const [time, level, name, logger, msg] = line.cells;
  time.textContent = row[TIME] === null ? "" : clock(row[TIME]);
  level.textContent = DATA.levels[row[LEVEL]][0];
  name.textContent = process ? process.name : "";
  name.style.color = process ? colour(process) : "";
  logger.textContent = DATA.loggers[row[LOGGER]];
  msg.textContent = row[MSG].replaceAll("\n", " ⏎ ").slice(0, 1000);
  if (row[FIELDS]) msg.append(element("span", "fields", row[FIELDS].slice(0, 400)));
}

// Select the record at a position of the table and bring it into view.
function pick(position, open) {
  const total = state.high - state.low;
  if (!total) return;
  position = Math.max(0, Math.min(total - 1, position));
  state.selected = state.base[state.low + position];
  const view = $("rows");
  const top = position * HEIGHT;
  if (top < view.scrollTop) view.scrollTop = top;
  if (top + HEIGHT > view.scrollTop + view.clientHeight) view.scrollTop = top + HEIGHT - view.clientHeight;
  drawRows();
  view.setAttribute("aria-activedescendant", `row-${state.selected}`);
  if (open || !$("details").hidden) showDetails();
}

function position() {
  const at = state.base.indexOf(state.selected);
  return at >= state.low && at < state.high ? at - state.low : -1;
}

function showDetails() {
  const row = ROWS[state.selected];
  const box = $("details");
  const opened = box.hidden;
  box.replaceChildren();
  box.hidden = !row;
  if (!row) return;
  const list = element("dl");
  const process = DATA.processes[row[PROCESS]];
  const facts = [
    ["time", stamp(row[TIME])], ["level", DATA.levels[row[LEVEL]][0]], ["message", row[MSG]], ["logger", DATA.loggers[row[LOGGER]]],
    ["process", process ? `${process.name}[${process.pid ?? "?"}]` : ""], ["thread", DATA.threads[row[THREAD]]],
    ["place", DATA.places[row[PLACE]]], ["seq", row[SEQ] ?? ""], ["fields", row[FIELDS] ?? ""],
  ];
  for (const [name, value] of facts) {
    if (value !== "" && value !== undefined) list.append(element("dt", "", name), element("dd", "", String(value)));
  }
  box.append(list);
  if (row[TEXT]) box.append(element("pre", "", row[TEXT]));
  if (opened) box.scrollIntoView({ block: "nearest" });
}

function nextError(step) {
  const total = state.high - state.low;
  const start = position();
  for (let i = 1; i <= total; i++) {
    const at = (((start + step * i) % total) + total) % total;
    if (CLASS[ROWS[state.base[state.low + at]][LEVEL]] >= 3) return pick(at, true);
  }
  return undefined;
}

function listenToRows() {
  const view = $("rows");
  view.addEventListener("scroll", () => requestAnimationFrame(drawRows));
  view.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(view.clientHeight / HEIGHT) - 1);
    const at = position();
    const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) pick(at < 0 ? 0 : at + moves[event.key]);
    else if (event.key === "Home") pick(0);
    else if (event.key === "End") pick(state.high - state.low - 1);
    else if (event.key === "Enter" || event.key === " ") showDetails();
    else return;
    event.preventDefault();
  });
}
