// Puts the parts together: filters, errors, keys, colours.
function showWindow() {
  clip();
  $("space").style.height = `${(state.high - state.low) * HEIGHT}px`;
  drawHistogram();
  drawTracks();
  drawRows();
  const shown = state.high - state.low;
  $("count").textContent = `${count(shown)} of ${plural(DATA.total, "record")}`;
  const whole = state.from <= FIRST - MARGIN && state.to >= LAST + MARGIN;
  $("window").textContent = `${whole ? "everything, " : ""}${span(state.to - state.from)} from ${stamp(state.from)}`;
  $("timeline").setAttribute("aria-label", `Time line, ${plural(DATA.processes.length, "process")}, ${$("window").textContent}`);
}

function refresh() {
  $("search").classList.remove("wrong");
  try {
    select();
  } catch (error) {
    $("search").classList.add("wrong");
    $("count").textContent = error.message;
    return;
  }
  $("process").value = state.process;
  $("level").value = state.level;
  $("logger").value = state.logger;
  [...$("names").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === state.process)));
  for (const item of $("groups").children) item.firstChild.setAttribute("aria-pressed", String(item.group === state.group));
  showWindow();
}

function choose(name, value) {
  state[name] = value;
  $("rows").scrollTop = 0;
  refresh();
}

function options(id, none, names) {
  const list = $(id);
  list.append(new Option(none, -1), ...names.map(([value, label]) => new Option(label, value)));
  list.addEventListener("change", () => choose(id, Number(list.value)));
}

function listErrors() {
  $("failures").hidden = !DATA.errors.length;
  const total = DATA.errors.reduce((sum, group) => sum + group.count, 0);
  $("error-facts").textContent = `${plural(total, "exception")} of ${plural(DATA.errors.length, "kind")}; click one to see its records`;
  const ranked = DATA.errors.map((group, index) => [group, index]).sort(([a], [b]) => b.count - a.count);
  for (const [group, index] of ranked) {
    const button = element("button");
    button.type = "button";
    const what = element("span", "what");
    what.append(element("b", "", group.type), group.message ? `: ${group.message}` : "");
    const where = [group.place, ...group.chain].filter(Boolean).join("  ←  ");
    button.append(
      element("span", "times", count(group.count)), what, element("span", "spark", group.spark),
      element("span", "where", where), element("span", "span", group.processes),
    );
    button.addEventListener("click", () => choose("group", state.group === index ? -1 : index));
    const item = element("li");
    item.group = index;
    item.append(button);
    $("groups").append(item);
  }
}

function showFacts() {
  $("title").textContent = DATA.title;
  const facts = $("facts");
  facts.append(element("b", "", plural(DATA.total, "record")), ` of ${plural(DATA.processes.length, "process")} in ${span(LAST - FIRST)}`);
  const died = DATA.processes.filter((process) => process.died).length;
  if (died) facts.append(", ", element("span", "bad", `${count(died)} died`));
  if (DATA.damaged) facts.append(`, ${plural(DATA.damaged, "damaged line")}`);
  if (DATA.total > ROWS.length) facts.append(`. Too many for one page: table and histogram show the newest ${count(ROWS.length)}; lanes and errors tell of all`);
}

function useTheme(wish) {
  const dark = wish === "dark" || (wish === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.documentElement.dataset.wish = wish;
  $("theme").textContent = { system: "◐ System", light: "☀ Light", dark: "☾ Dark" }[wish];
  readStyle();
}

function redraw() {
  $("zone").textContent = state.utc ? "UTC" : "Local time";
  showWindow();
}

function listen() {
  $("zone").addEventListener("click", () => { state.utc = !state.utc; redraw(); if (!$("details").hidden) showDetails(); });
  $("theme").addEventListener("click", () => {
    const order = { system: "light", light: "dark", dark: "system" };
    useTheme(order[document.documentElement.dataset.wish]);
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { useTheme(document.documentElement.dataset.wish); redraw(); });
  $("zoom-in").addEventListener("click", () => zoomAt(0.5, 0.5));
  $("zoom-out").addEventListener("click", () => zoomAt(0.5, 2));
  $("zoom-all").addEventListener("click", () => zoom(FIRST - MARGIN, LAST + MARGIN));
  let pending = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(() => choose("text", $("search").value.trim()), 120);
  });
  $("reset").addEventListener("click", () => {
    Object.assign(state, { text: "", level: -1, process: -1, logger: -1, group: -1, from: FIRST - MARGIN, to: LAST + MARGIN });
    $("search").value = "";
    refresh();
  });
  $("timeline").addEventListener("keydown", (event) => {
    const actions = {
      "+": () => zoomAt(0.5, 0.5), "=": () => zoomAt(0.5, 0.5), "-": () => zoomAt(0.5, 2), "0": () => zoom(FIRST - MARGIN, LAST + MARGIN),
      ArrowLeft: () => move(-0.15), ArrowRight: () => move(0.15), Home: () => zoom(FIRST - MARGIN, LAST + MARGIN),
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey) return;
    actions[event.key]();
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { $("search").focus(); event.preventDefault(); }
    else if (event.key === "e" || event.key === "E") nextError(event.key === "e" ? 1 : -1);
    else if (event.key === "Escape") $("details").hidden = true;
  });
  $("lanes").addEventListener("scroll", () => requestAnimationFrame(drawTracks));
  new ResizeObserver(() => requestAnimationFrame(showWindow)).observe($("timeline"));
  listenToPointer($("histogram"));
  listenToPointer($("tracks"));
  listenToRows();
}

useTheme("system");
showFacts();
listNames();
listErrors();
const numbers = [...new Set(DATA.levels.map(([, n]) => n))].sort((a, b) => a - b);
options("level", "all levels", numbers.map((n) => [n, `${DATA.levels.find((l) => l[1] === n)[0] || "no level"} or worse`]));
options("process", "all processes", DATA.processes.map((p, i) => [i, p.name || `pid ${p.pid}`]));
options("logger", "all loggers", DATA.loggers.map((name, i) => [i, name || "(no logger)"]));
listen();
redraw();
refresh();
document.documentElement.dataset.ready = "true";
