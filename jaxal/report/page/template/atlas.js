// The atlas: which rows each round bought, on the map of the pool.
const ALL = -1;
const atlas = { line: ALL, seed: 0, color: "class", round: 0, only: null, hidden: new Set(), view: { scale: 1, x: 0, y: 0, ratio: 1 }, hover: null, kept: null, timer: 0 };
const rounds = Math.max(...LINES.map((line) => line.points.labels.length)) - 1;

async function startAtlas() {
  const own = DATA.atlas;
  const seeds = allSeeds();
  atlas.seed = seeds[0] ?? 0;
  if (!own) {
    $("atlas-body").hidden = true;
    $("atlas-about").textContent = "There is no map: the page was made without the pool.";
    return;
  }
  const names = Object.keys(own.layouts);
  atlas.layout = names[0];
  atlas.positions = (await placesOf(atlas.layout)).slice();
  fill($("atlas-layout"), names.map((name) => [name, LAYOUTS[name]]));
  $("layout-label").hidden = names.length < 2;
  if (own.values) atlas.steps = await arrayOf(own.values.steps);
  else atlas.classes = await arrayOf(own.classes);
  atlas.rows = own.steps ? (await arrayOf(own.steps)).map(((sum) => (step) => (sum += step))(0)) : null;
  atlas.kinds = new Uint8Array(own.points);
  describeMap(own);
  atlas.renderer = drawnByPixels($("points"), atlas.positions);
  atlas.present = own.values ? [] : [...new Set(atlas.classes)].sort((a, b) => a - b);
  fill($("atlas-line"), [...(LINES.length > 1 ? [[ALL, "all, side by side"]] : []), ...LINES.map((line, at) => [at, line.name])]);
  fill($("atlas-seed"), seeds.map((seed) => [seed, `${seed}`]));
  fill($("atlas-color"), [["class", `${own.values ? "value" : "class"}; of all: strategy`], ["round", "round of the pick"], ["nearest", "nearest pick, by its round"], ...(own.predicted ? PREDICTED : [])]);
  const best = LINES.findIndex((line) => line.strategy !== DATA.random);
  atlas.line = best < 0 ? 0 : best;
  $("atlas-line").value = atlas.line;
  $("round").max = rounds;
  listenToAtlas();
  new ResizeObserver(resizeMap).observe($("stage"));
  resizeMap();
  showAll();
  setRound(rounds);
}

function useCard() {
  const made = DATA.atlas && byWebGL($("points"), atlas.positions);
  document.documentElement.dataset.points = made ? "webgl" : "pixels";
  if (!made) return;
  atlas.renderer = made;
  recolor();
}

// Unpacked when it is asked for, and once.
function placesOf(name) {
  atlas.layouts ??= {};
  return (atlas.layouts[name] ??= arrayOf(DATA.atlas.layouts[name]));
}

// The array of positions stays the same, as the renderer holds it; what is in it changes.
async function layOut(name) {
  const places = await placesOf(name);
  if ($("atlas-layout").value !== name) return; // another was chosen meanwhile
  atlas.layout = name;
  atlas.positions.set(places);
  atlas.finder = null;
  hover(null);
  atlas.renderer.moved();
  describeMap(DATA.atlas);
  showAll();
}

const LAYOUTS = { pca: "principal components", "t-sne": "t-SNE: neighbours together" };

function describeMap(own) {
  const part = own.points < own.pool ? `${count(own.points)} of its ${count(own.pool)} rows, the picks among them` : `all its ${count(own.points)} rows`;
  if (atlas.layout === "t-sne") {
    const of = own.words ? "the words of its texts" : "its inputs";
    $("atlas-about").textContent = `The pool, ${part}, by t-SNE of ${own.components} principal components of ${of}: rows that lie together are alike. How far groups are apart, and how large they are, says nothing.`;
    return;
  }
  const share = own.explained.map((value) => percent(value, 0)).join(" and ");
  const of = own.words ? "the words of its texts (truncated SVD)" : "its inputs (PCA)";
  $("atlas-about").textContent = `The pool, ${part}, by the first two principal components of ${of}, which have ${share} of the variance: what lies together here may be far apart in the others.`;
}

// The label of a point: its class, or the value of a regression, null where it is not known.
const STEPS = 65534;
const valueOf = (point) => (atlas.steps[point] > STEPS ? null : DATA.atlas.values.low + (atlas.steps[point] / STEPS) * (DATA.atlas.values.high - DATA.atlas.values.low));
const labelOf = (point) => (ERRORS ? (atlas.steps[point] > STEPS ? "no value" : `value ${short(valueOf(point))}`) : className(atlas.classes[point]));
const labelColor = (point) => (ERRORS ? (atlas.steps[point] > STEPS ? classColor(NONE) : ramp(shareOf(valueOf(point)))) : classColor(atlas.classes[point]));

// Where a value lies between the ends of the colours.
function shareOf(value) {
  const [low, high] = DATA.atlas.values.ends;
  return Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
}

const fill = (select, options) => select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
const rowOf = (point) => (atlas.rows ? atlas.rows[point] : point);
const visible = () => (atlas.line === ALL ? LINES.map((_, line) => line).filter((line) => !atlas.hidden.has(line)) : [atlas.line]).flatMap((line) => picksOf(line, atlas.seed).filter((pick) => pick.round < atlas.round));

function setRound(round) {
  atlas.round = Math.min(Math.max(round, 0), rounds);
  $("round").value = atlas.round;
  const line = atlas.line === ALL ? 0 : atlas.line;
  const text = atlas.round ? `after round ${atlas.round} of ${rounds}` : "initial rows";
  $("round-said").textContent = `${text}: ${count(labelsAt(line, atlas.round))} labels${atlas.line === ALL ? " each" : `, ${MEASURE.name} ${measured(LINES[line].points[MEASURE.mean][atlas.round])}`}`;
  $("round").setAttribute("aria-valuetext", $("round-said").textContent);
  recolor();
  markCurrent();
}

// What each point is drawn as; 255 is drawn as background.
async function recolor() {
  const colors = new Uint8Array(1024);
  const paint = (kind, color, alpha) => colors.set([...hex(color), alpha], 4 * kind);
  const solid = atlas.kinds.length < 200_000 ? 215 : atlas.renderer.blends ? 70 : 150;
  const grey = isDark() ? "#59616a" : "#b4bac0";
  const byClass = atlas.color === "class" && atlas.line !== ALL;
  paint(255, grey, byClass ? 90 : solid / 2);
  if (byClass && ERRORS) {
    for (let kind = 0; kind <= 253; kind++) paint(kind, ramp(kind / 253), solid);
    for (let at = 0; at < atlas.kinds.length; at++) atlas.kinds[at] = atlas.steps[at] > STEPS ? 255 : Math.round(253 * shareOf(valueOf(at)));
  } else if (byClass) {
    for (let kind = 0; kind < 255; kind++) paint(kind, classColor(Math.min(kind, NONE)), solid);
    for (let at = 0; at < atlas.kinds.length; at++) atlas.kinds[at] = atlas.only !== null && atlas.classes[at] !== atlas.only ? 255 : Math.min(atlas.classes[at], 254);
  } else {
    for (let kind = 0; kind <= rounds; kind++) paint(kind, ramp(kind / Math.max(rounds, 1)), solid);
    paint(254, cssColor("--accent"), 255);
    atlas.kinds.fill(255);
    if (atlas.color === "nearest") await colorByNearest();
    else if (isPredicted()) await colorByModel(paint, solid);
  }
  atlas.renderer.color(atlas.kinds, colors);
  drawMapLegend();
  drawMap();
}

async function ownersOf(line) {
  const stored = DATA.atlas.nearest.lines[line];
  if (!stored || DATA.atlas.nearest.seed !== atlas.seed) return null;
  atlas.owners ??= {};
  atlas.owners[line] ??= (async () => ({ owners: await arrayOf(stored.owners), counts: await arrayOf(stored.counts) }))();
  return atlas.owners[line];
}

async function colorByNearest() {
  const found = atlas.line === ALL ? null : await ownersOf(atlas.line);
  if (!found) return;
  const picks = picksOf(atlas.line, atlas.seed);
  const own = atlas.kept ?? atlas.hover;
  const aimed = own?.line === atlas.line ? own.place : -1;
  const kinds = picks.map((pick) => (pick.place === aimed ? 254 : pick.round < atlas.round ? pick.round + 1 : 255));
  const every = DATA.atlas.nearest.every;
  for (let at = 0; at < found.owners.length; at++) atlas.kinds[at * every] = kinds[found.owners[at]];
}

function drawMapLegend() {
  const box = $("map-legend");
  if (atlas.line === ALL && byLine()) {
    box.replaceChildren(
      ...LINES.map((line, number) => {
        const toggle = () => {
          if (!atlas.hidden.delete(number)) atlas.hidden.add(number);
          recolor();
        };
        return el("button", { type: "button", "aria-pressed": !atlas.hidden.has(number), onclick: toggle }, sample(number), line.name);
      }),
      ...(isPredicted() ? [el("div", { class: "keys" }, "Choose one strategy for what its model says.")] : [])
    );
    return;
  }
  if (atlas.color === "class" && ERRORS) {
    box.replaceChildren(rampLegend(...DATA.atlas.values.ends.map(short), "The lowest and the highest two of a hundred rows share the colours of the ends."));
    return;
  }
  if (atlas.color === "class") {
    box.replaceChildren(
      ...atlas.present.map((number) => {
        const only = () => { atlas.only = atlas.only === number ? null : number; recolor(); };
        const pressed = atlas.only === null || atlas.only === number;
        return el("button", { type: "button", "aria-pressed": pressed, onclick: only, title: "show this class alone" }, el("span", { class: "swatch", style: { background: classColor(number) } }), className(number));
      })
    );
    return;
  }
  if (isPredicted()) return drawModelLegend(box);
  box.replaceChildren(rampLegend("initial", `round ${rounds}`, nearestSaid()));
}

function rampLegend(from, to, said) {
  const bar = el("div", { class: "bar", style: { background: `linear-gradient(to right, ${CIVIDIS.join(",")})` } });
  const ends = el("div", { class: "ends" }, el("span", {}, from), el("span", {}, to));
  return el("div", { class: "ramp" }, bar, ends, el("div", { class: "keys" }, said));
}

function nearestSaid() {
  if (atlas.color !== "nearest") return "";
  const { every, seed } = DATA.atlas.nearest;
  if (atlas.line === ALL) return "Choose one strategy.";
  if (seed !== atlas.seed) return `Known for seed ${seed} alone.`;
  const part = every > 1 ? ` One row in ${every} is coloured.` : "";
  return `Nearest in ${DATA.atlas.components} components, of the picks of all rounds; grey: not bought yet.${part}`;
}

// Where a point lies on the canvas, in CSS pixels.
const placeX = (point) => atlas.view.x + (atlas.positions[2 * point] / SIDE) * atlas.view.scale;
const placeY = (point) => atlas.view.y + (1 - atlas.positions[2 * point + 1] / SIDE) * atlas.view.scale;

function drawMap() {
  cancelAnimationFrame(atlas.frame);
  atlas.frame = requestAnimationFrame(() => {
    const zoom = atlas.view.scale / atlas.fitted;
    const base = Math.min(Math.max(1.1, 260 / Math.sqrt(atlas.kinds.length)), 6);
    atlas.renderer.draw(atlas.view, Math.min(base * Math.sqrt(zoom), 12));
    drawMarks();
    document.documentElement.dataset.drawn = "true";
  });
}

function drawMarks() {
  const canvas = $("marks");
  const context = canvas.getContext("2d");
  const { ratio } = atlas.view;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [halo, ink] = [cssColor("--paper"), cssColor("--ink")];
  const times = new Map(); // rows that several strategies picked have their marks side by side
  for (const pick of visible()) times.set(pick.point, (times.get(pick.point) ?? 0) + 1);
  for (const pick of visible()) {
    const newest = pick.round === atlas.round - 1;
    drawMark(context, pick, newest ? 6.5 : 4.6, newest ? ink : halo, newest ? 2 : 1.2, times.get(pick.point) > 1 ? 5 : 0);
  }
  for (const own of [atlas.hover, atlas.kept]) {
    if (!own) continue;
    if (own.line !== undefined) drawMark(context, own, 6.5, ink, 1.5, times.get(own.point) > 1 ? 5 : 0);
    context.beginPath();
    context.arc(placeX(own.point), placeY(own.point), 11, 0, 7);
    context.lineWidth = 2.5;
    context.strokeStyle = cssColor("--accent");
    context.stroke();
  }
}

// Whether marks of all strategies have the strategies' colours.
const byLine = () => atlas.color === "class" || isPredicted();

function pickColor(pick) {
  if (atlas.line === ALL && byLine()) return lineColor(pick.line);
  if (isPredicted()) return cssColor("--paper");
  if (atlas.color === "class") return labelColor(pick.point);
  return ramp((pick.round + 1) / Math.max(rounds, 1));
}

function drawMark(context, pick, size, stroke, width, aside) {
  const angle = (2 * Math.PI * pick.line) / LINES.length;
  const [x, y] = [placeX(pick.point) + aside * Math.cos(angle), placeY(pick.point) + aside * Math.sin(angle)];
  const points = outline(atlas.line === ALL ? shapeOf(pick.line) : "circle", x, y, size);
  context.beginPath();
  if (points) points.forEach(([a, b], at) => (at ? context.lineTo(a, b) : context.moveTo(a, b)));
  else context.arc(x, y, size, 0, 7);
  context.closePath();
  context.lineWidth = width * 2;
  context.strokeStyle = stroke;
  context.stroke();
  context.fillStyle = pickColor(pick);
  context.fill();
}
