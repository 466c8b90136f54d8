// Line charts: means with bands, read by pointer or by arrow keys.
const shownLines = new Set(LINES.map((_, number) => number));
let focused = null; // the line whose band is filled, if not all are
const charts = [];

function ticks(low, high, wanted) {
  const rough = (high - low || 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((part) => part >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

// options: about (for readers of the screen), yFormat, xLabel, level (a line across), late,
// series: by line {x, y, std}; a value that is null is not known.
function lineChart(id, options) {
  const box = $(id);
  const chart = { box, options, at: null };
  box.tabIndex = 0;
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `${options.about}; arrow keys read the values, which the table has too`);
  box.addEventListener("pointermove", (event) => readAt(chart, event.offsetX));
  box.addEventListener("pointerleave", () => readAt(chart, null));
  box.addEventListener("blur", () => readAt(chart, null));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !chart.xs.length) return;
    event.preventDefault();
    const place = chart.at === null ? (step > 0 ? 0 : chart.xs.length - 1) : chart.xs.indexOf(chart.at) + step;
    readAt(chart, chart.toX(chart.xs[Math.min(Math.max(place, 0), chart.xs.length - 1)]));
  });
  charts.push(chart);
  drawChart(chart);
}

function drawChart(chart) {
  const { box, options } = chart;
  const [width, height] = [box.clientWidth || 500, box.clientHeight || 300];
  const edge = { left: 52, right: 14, top: 10, bottom: 38 };
  const kept = options.series.map((one, number) => ({ ...one, number })).filter((one) => shownLines.has(one.number));
  let xs = [...new Set(kept.flatMap((one) => one.x.filter((_, at) => known(one.y[at]))))].sort((a, b) => a - b);
  if (options.late?.() && xs.length > 2) xs = xs.slice(Math.floor(xs.length / 2));
  const [first, last] = [xs[0] ?? 0, xs[xs.length - 1] ?? 1];
  const inside = (one, at) => known(one.y[at]) && one.x[at] >= first && one.x[at] <= last;
  const values = kept.flatMap((one) => one.y.filter((_, at) => inside(one, at)));
  if (known(options.level)) values.push(options.level);
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const margin = Math.max((high - low) * 0.06, 0.002);
  [low, high] = [low - margin, high + margin];
  const span = last - first || 1;
  const toX = (x) => edge.left + ((x - first) / span) * (width - edge.left - edge.right);
  const toY = (y) => edge.top + ((high - y) / (high - low)) * (height - edge.top - edge.bottom);
  Object.assign(chart, { toX, toY, xs, kept });
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const clip = `clip-${box.id}`;
  drawing.append(svg("clipPath", { id: clip }, svg("rect", { x: edge.left - 5, y: edge.top - 5, width: width - edge.left - edge.right + 10, height: height - edge.top - edge.bottom + 10 })));
  drawAxes(drawing, { low, high, first, last, toX, toY, width, height, edge, options });
  const group = svg("g", { "clip-path": `url(#${clip})` });
  const order = [...kept].sort((a, b) => (a.number === focused) - (b.number === focused));
  order.forEach((one, rank) => drawLine(group, one, { toX, toY, inside, every: Math.ceil(xs.length / 6), all: kept.length <= 3, rank }));
  drawing.append(group, svg("g", { class: "reading" }));
  box.replaceChildren(drawing, el("div", { class: "tip", hidden: "" }));
}

function drawAxes(drawing, { low, high, first, last, toX, toY, width, height, edge, options }) {
  const bottom = height - edge.bottom;
  for (const value of ticks(low, high, 6)) {
    drawing.append(svg("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: toY(value), y2: toY(value) }));
    drawing.append(svg("text", { x: edge.left - 7, y: toY(value) + 4, "text-anchor": "end" }, options.yFormat(value)));
  }
  for (const value of ticks(first, last, 7)) {
    drawing.append(svg("line", { class: "axis", x1: toX(value), x2: toX(value), y1: bottom, y2: bottom + 4 }));
    drawing.append(svg("text", { x: toX(value), y: bottom + 17, "text-anchor": "middle" }, count(value)));
  }
  drawing.append(svg("line", { class: "axis", x1: edge.left, x2: width - edge.right, y1: bottom, y2: bottom }));
  drawing.append(svg("text", { x: (edge.left + width - edge.right) / 2, y: height - 4, "text-anchor": "middle" }, options.xLabel));
  if (known(options.level)) drawing.append(svg("line", { x1: edge.left, x2: width - edge.right, y1: toY(options.level), y2: toY(options.level), stroke: cssColor("--soft") }));
}

function drawLine(group, one, { toX, toY, inside, every, all, rank }) {
  const color = lineColor(one.number);
  const places = one.x.map((_, at) => at).filter((at) => inside(one, at));
  if (!places.length) return;
  const dim = focused !== null && focused !== one.number ? 0.3 : 1;
  const withBand = places.filter((at) => known(one.std?.[at]));
  if (withBand.length > 1 && (all || focused === one.number)) {
    const above = withBand.map((at) => `${toX(one.x[at])},${toY(one.y[at] + one.std[at])}`);
    const below = withBand.map((at) => `${toX(one.x[at])},${toY(one.y[at] - one.std[at])}`).reverse();
    group.append(svg("polygon", { points: [...above, ...below].join(" "), fill: color, opacity: 0.16 * dim }));
  } else if (dim === 1 && withBand.at(-1) === places.at(-1) && withBand.length) {
    // Many bands would blur: the others have their deviation at the end alone, side by side.
    const end = places.at(-1);
    const x = toX(one.x[end]) - 6 * rank;
    const [top, foot] = [toY(one.y[end] + one.std[end]), toY(one.y[end] - one.std[end])];
    group.append(svg("path", { d: `M${x - 3} ${top}h6M${x} ${top}V${foot}M${x - 3} ${foot}h6`, stroke: color, fill: "none", opacity: 0.7 }));
  }
  const line = places.map((at) => `${toX(one.x[at])},${toY(one.y[at])}`).join(" ");
  group.append(svg("polyline", { points: line, fill: "none", stroke: color, "stroke-width": focused === one.number ? 3 : 2, "stroke-dasharray": lineDash(one.number), "stroke-linejoin": "round", opacity: dim }));
  for (const [order, at] of places.entries()) {
    if (order % every !== one.number % every) continue;
    const mark = marker(one.number, toX(one.x[at]), toY(one.y[at]), 3.6, color);
    mark.setAttribute("opacity", dim);
    group.append(mark);
  }
}

function readAt(chart, pixel) {
  const [drawing, tip] = chart.box.children;
  const reading = drawing.lastElementChild;
  reading.replaceChildren();
  tip.hidden = true;
  chart.at = null;
  if (pixel === null || !chart.xs.length) return;
  const x = chart.xs.reduce((best, one) => (Math.abs(chart.toX(one) - pixel) < Math.abs(chart.toX(best) - pixel) ? one : best));
  chart.at = x;
  const here = chart.kept.map((one) => ({ ...one, at: one.x.indexOf(x) })).filter((one) => one.at >= 0 && known(one.y[one.at]));
  here.sort((a, b) => b.y[b.at] - a.y[a.at]);
  const height = drawing.viewBox.baseVal.height;
  reading.append(svg("line", { x1: chart.toX(x), x2: chart.toX(x), y1: 10, y2: height - 38, stroke: cssColor("--soft"), "stroke-dasharray": "3 3" }));
  const rows = here.map((one) => {
    const spread = known(one.std?.[one.at]) ? ` ± ${chart.options.yFormat(one.std[one.at], true)}` : "";
    return el("tr", {}, el("td", {}, sample(one.number)), el("td", {}, LINES[one.number].name), el("td", {}, chart.options.yFormat(one.y[one.at], true) + spread));
  });
  tip.replaceChildren(el("strong", {}, `${count(x)} labels`), el("table", {}, ...rows));
  tip.hidden = false;
  const left = chart.toX(x) > chart.box.clientWidth / 2;
  Object.assign(tip.style, { top: "8px", left: left ? "" : `${chart.toX(x) + 12}px`, right: left ? `${chart.box.clientWidth - chart.toX(x) + 12}px` : "" });
}

function drawLegend() {
  const ends = LINES.map((line) => line.points[MEASURE.mean].at(-1));
  const rank = (at) => (known(ends[at]) ? (ERRORS ? -ends[at] : ends[at]) : -Infinity);
  const order = LINES.map((_, at) => at).sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
  $("legend").replaceChildren(
    ...order.map((number) => {
      const attend = (which) => () => { if (LINES.length > 3) { focused = which; charts.forEach(drawChart); } };
      const toggle = (event) => {
        if (shownLines.has(number)) shownLines.delete(number);
        else shownLines.add(number);
        event.currentTarget.setAttribute("aria-pressed", shownLines.has(number));
        charts.forEach(drawChart);
      };
      const own = { type: "button", "aria-pressed": shownLines.has(number), onclick: toggle, onpointerenter: attend(number), onpointerleave: attend(null), onfocus: attend(number), onblur: attend(null) };
      return el("button", own, sample(number), `${LINES[number].name}  ${measured(ends[number])}`);
    })
  );
}
