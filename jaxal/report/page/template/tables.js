// The tables: results, comparison, timings, settings and origin.
function drawResults() {
  const ends = LINES.map((line) => {
    const points = line.points;
    return { labels: points.labels.at(-1), mean: points[MEASURE.mean].at(-1), std: points[MEASURE.std].at(-1), mae: points.mae_mean?.at(-1) };
  });
  const targets = ERRORS ? [] : DATA.curves.targets.map((target) => `labels to ${percent(target, 0)}`);
  const headers = ["strategy", "seeds", "labels", `final ${MEASURE.name}`, ...(ERRORS ? ["final MAE", "mean log RMSE"] : ["area"]), ...targets, "vs random"];
  const found = DATA.curves.found;
  const best = (values, least) => {
    const there = values.filter(known);
    return there.length > 1 ? (least ? Math.min(...there) : Math.max(...there)) : null;
  };
  const columns = {
    end: best(ends.map((one) => one.mean), ERRORS),
    mae: best(ends.map((one) => one.mae), true),
    area: best(LINES.map((line) => line.area_mean), ERRORS),
    to: targets.map((_, at) => best(LINES.map((line) => line.labels_to[at]), true)),
    ratio: best(LINES.map((line) => line.efficiency)),
  };
  const cell = (text, value, top) => el("td", { class: known(value) && value === top ? "best" : null }, text);
  const rows = LINES.map((line, at) => [
    name(at),
    count(line.seeds),
    count(ends[at].labels),
    cell(spread(ends[at].mean, ends[at].std), ends[at].mean, columns.end),
    ...(ERRORS ? [cell(short(ends[at].mae), ends[at].mae, columns.mae)] : []),
    cell(spread(line.area_mean, line.area_std), line.area_mean, columns.area),
    ...targets.map((_, place) => line.labels_to[place]).map((value, at) => cell(known(value) ? count(value) : "not reached", value, columns.to[at])),
    cell(known(line.efficiency) ? `${line.efficiency.toFixed(1)}x` : "–", line.efficiency, columns.ratio),
    ...found.map((key) => {
      const own = line.points[key].filter(known);
      const value = own[own.length - 1];
      return key === "rare_recall" ? percent(value) : known(value) ? value.toFixed(1) : "–";
    }),
  ]);
  $("table-curves").replaceChildren(table([...headers, ...found.map((key) => key.replaceAll("_", " "))], rows));
}

const spread = (mean, std) => `${measured(mean)}${known(std) ? ` ± ${ERRORS ? short(std) : (100 * std).toFixed(1)}` : ""}`;

function drawComparison() {
  const rows = DATA.comparison.rows;
  if (!rows.length) {
    $("comparison-about").textContent = "Nothing to compare: it takes random sampling, another strategy, and two seeds that both have finished.";
    return;
  }
  const seeds = [...new Set(rows.map((row) => row.seeds))].sort((a, b) => a - b);
  $("comparison-about").textContent =
    `${ERRORS ? "By how much the logarithm of the RMSE is lower, on average over the labels and times 100: 10 is an error ten per cent smaller;" : "Difference of the areas under the learning curves in points of %,"} within each seed, where both begin with the same labels and variables. ` +
    `${rows.length > 1 ? `All ${rows.length} intervals hold together` : "The interval holds"} with 95% (Student's t, Bonferroni), over ${seeds.join(" to ")} seeds. Same: within 1 point. ` +
    `A number of seeds: so many would tell the two apart ${percent(DATA.comparison.power, 0)} of the time, if they differ as seen.`;
  const reach = Math.max(0.011, ...rows.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)])) * 1.05;
  const headers = ["strategy", "against", "", "difference", "interval", "worse", "same", "better", "told apart"];
  const numbers = new Map(LINES.map((line, number) => [line.name, number]));
  const label = (text) => (numbers.has(text) ? name(numbers.get(text)) : text);
  const cells = rows.map((row) => [
    label(row.strategy),
    label(row.against),
    interval(row, reach),
    signed(100 * row.difference),
    known(row.low) && known(row.high) ? `${signed(100 * row.low)} to ${signed(100 * row.high)}` : "not known",
    ...[row.worse, row.same, row.better].map((chance) => (known(chance) ? chance.toFixed(2) : "–")),
    verdict(row),
  ]);
  $("table-comparison").replaceChildren(table(headers, cells));
}

function verdict(row) {
  if (row.told_apart) return el("strong", {}, row.difference > 0 ? "▲ above" : "▼ below");
  return known(row.seeds_needed) ? `no; ${count(row.seeds_needed)} seeds` : "no";
}

function interval(row, reach) {
  const [width, height] = [220, 18];
  const x = (value) => width / 2 + (value / reach) * (width / 2);
  const color = row.told_apart ? cssColor("--accent") : cssColor("--soft");
  return svg(
    "svg",
    { width, height, "aria-hidden": "true" },
    svg("rect", { x: x(-0.01), width: x(0.01) - x(-0.01), y: 0, height, fill: cssColor("--grid") }),
    svg("line", { x1: x(0), x2: x(0), y1: 0, y2: height, stroke: cssColor("--line") }),
    // An interval without ends goes from edge to edge.
    svg("line", { x1: known(row.low) ? x(row.low) : 0, x2: known(row.high) ? x(row.high) : width, y1: 9, y2: 9, stroke: color, "stroke-width": 2 }),
    svg("circle", { cx: x(row.difference), cy: 9, r: 4, fill: row.told_apart ? color : cssColor("--paper"), stroke: color, "stroke-width": 2 })
  );
}

function drawTimings() {
  const headers = ["strategy", "a fit (median)", "to pick a round (median)", "all fits", "all observing", "all selecting", "compiling", "epochs"];
  const rows = LINES.map((line, number) => {
    const own = line.seconds;
    return [name(number), seconds(own.fit), seconds(own.pick), seconds(own.all_fit), seconds(own.all_observe), seconds(own.all_select), seconds(own.compile), count(own.epochs)];
  });
  const about = el("p", { class: "about" }, "Seconds by the clock; seeds that run together are given equal shares. Compiling is in no other column.");
  $("table-timings").replaceChildren(about, table(headers, rows));
}

function drawOrigin() {
  const configs = Object.entries(DATA.configs).filter(([, text]) => text);
  $("configs").replaceChildren(
    ...configs.map(([run, text]) => {
      const holder = el("details", {}, el("summary", {}, `config.toml of ${run}`), el("pre", { tabindex: "0" }, text));
      holder.open = configs.length === 1;
      return holder;
    })
  );
  const rows = Object.entries(DATA.facts);
  $("facts").replaceChildren(el("table", {}, el("tbody", {}, ...rows.map(([key, value]) => el("tr", {}, el("td", {}, key), el("td", {}, value))))));
}
