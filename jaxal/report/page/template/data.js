// What the page is made of, and small tools. Texts of users only ever become text nodes.
const DATA = JSON.parse(document.getElementById("data").textContent);
const LINES = DATA.curves.lines;
const NONE = DATA.classes.length; // the number that stands for no class
const TYPES = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int32: Int32Array, float32: Float32Array };

// Okabe and Ito's palette without its yellow and black; random sampling is grey, as in curves.png.
const OKABE = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"],
  dark: ["#3f9bdc", "#e8702a", "#1fb98d", "#d98fb8", "#e69f00", "#8fd0f5"],
};
// Of classes, with its yellow, then a wine, an olive and the ink; further ones are lighter, then
// darker.
const CLASSES = {
  light: ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#e0d52b", "#882255", "#7f7f1f", "#33373b"],
  dark: ["#2f8fd6", "#e69f00", "#12ab7f", "#cc79a7", "#7cc8f2", "#e0651a", "#f0e442", "#a8326f", "#8f8f36", "#e4e6e8"],
};
const CIVIDIS = ["#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9b9477", "#bcae6c", "#dec958", "#fee838"];
// What is measured: accuracies, or the errors of a regression, where less is better.
const ERRORS = DATA.regression;
const MEASURE = ERRORS ? { name: "RMSE", mean: "rmse_mean", std: "rmse_std" } : { name: "accuracy", mean: "accuracy_mean", std: "accuracy_std" };
const DASHES = ["", "7 3", "7 3 2 3", "2 2", "9 3 2 3 2 3"];

const $ = (id) => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  set(node, attributes);
  node.append(...children);
  return node;
}

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(node, attributes);
  node.append(...children);
  return node;
}

function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(node.style, value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
}

async function bytesOf(reference) {
  const holder = $(`array-${reference.array}`);
  const text = holder.textContent;
  holder.remove(); // each is read once; the text is not needed any more
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  return bytes;
}

async function arrayOf(reference) {
  const stream = new Blob([await bytesOf(reference)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new TYPES[reference.dtype](await new Response(stream).arrayBuffer());
}

const isDark = () => document.documentElement.dataset.theme === "dark";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const percent = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits)}%` : "–");
const signed = (value, digits = 1) => (known(value) ? `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(digits)}` : "–");
const short = (value) => (known(value) ? `${Number(value.toPrecision(3))}`.replace("-", "−") : "–");
const measured = (value) => (ERRORS ? short(value) : percent(value));
const COUNTS = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (value) => (known(value) ? COUNTS.format(value) : "–");
const className = (number) => (number < NONE ? (DATA.classes[number] ?? String(number)) : "no class");

function seconds(value) {
  if (!known(value)) return "–";
  if (value < 0.1) return `${(1000 * value).toPrecision(2)} ms`;
  if (value < 120) return `${Number(value.toPrecision(3))} s`;
  return value < 7200 ? `${(value / 60).toFixed(1)} min` : `${(value / 3600).toFixed(1)} h`;
}

function lineColor(number) {
  const others = [...new Set(LINES.map((line) => line.strategy).filter((name) => name !== DATA.random))];
  const place = others.indexOf(LINES[number].strategy);
  const palette = OKABE[isDark() ? "dark" : "light"];
  return place < 0 ? (isDark() ? "#b6bcc2" : "#444444") : palette[place % palette.length];
}

function lineDash(number) {
  const runs = [...new Set(LINES.map((line) => line.run))];
  if (runs.length > 1) return DASHES[runs.indexOf(LINES[number].run) % DASHES.length];
  return LINES[number].strategy === DATA.random ? "2 2" : DASHES[number % DASHES.length];
}

function classColor(number) {
  if (number >= NONE) return isDark() ? "#6b7279" : "#9aa1a8";
  const palette = CLASSES[isDark() ? "dark" : "light"];
  const base = hex(palette[number % palette.length]);
  const shade = Math.floor(number / palette.length) % 3;
  const to = shade === 1 ? 255 : 0;
  const mixed = shade ? base.map((part) => Math.round(part * 0.55 + to * 0.45)) : base;
  return rgb(mixed);
}

function ramp(share) {
  const at = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const [from, to] = [hex(CIVIDIS[low]), hex(CIVIDIS[low + 1])];
  return rgb(from.map((part, place) => Math.round(part + (to[place] - part) * (at - low))));
}

const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
const rgb = (parts) => `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Black or white, whichever is read better on a colour.
const inkOn = (color) => {
  const [red, green, blue] = hex(color);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111111" : "#ffffff";
};

function name(number) {
  return el("span", { class: "name" }, sample(number), document.createTextNode(LINES[number].name));
}

// A short piece of a line as the charts draw it.
function sample(number) {
  const own = { stroke: lineColor(number), "stroke-width": 2.2, "stroke-dasharray": lineDash(number) };
  const mark = marker(number, 14, 6, 4.2, lineColor(number));
  return svg("svg", { width: 28, height: 12, "aria-hidden": "true" }, svg("line", { x1: 0, x2: 28, y1: 6, y2: 6, ...own }), mark);
}

const SHAPES = ["circle", "square", "up", "diamond", "down", "plus", "cross"];
const shapeOf = (number) => (LINES[number].strategy === DATA.random ? "cross" : SHAPES[number % 6]);

function outline(shape, x, y, r) {
  const points = {
    square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    up: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]],
    down: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]],
    diamond: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
    plus: [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]],
    cross: [[0, -0.5], [0.7, -1.2], [1.2, -0.7], [0.5, 0], [1.2, 0.7], [0.7, 1.2], [0, 0.5], [-0.7, 1.2], [-1.2, 0.7], [-0.5, 0], [-1.2, -0.7], [-0.7, -1.2]],
  }[shape];
  return points && points.map(([a, b]) => [x + a * r, y + b * r]);
}

function marker(number, x, y, r, color) {
  const points = outline(shapeOf(number), x, y, r);
  if (!points) return svg("circle", { cx: x, cy: y, r, fill: color });
  return svg("polygon", { points: points.map((point) => point.join(",")).join(" "), fill: color });
}

function table(headers, rows) {
  const head = el("tr", {}, ...headers.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, ...cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : el("td", {}, cell)))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}
