// Moving about in the atlas: pointer, keys, slider, and the card of an example.
function resizeMap() {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = $("stage");
  if (!width || !atlas.renderer) return;
  for (const id of ["points", "marks"]) Object.assign($(id), { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  atlas.view.ratio = ratio;
  if (!atlas.fitted) showAll();
  drawMap();
}

function showAll() {
  const { clientWidth: width, clientHeight: height } = $("stage");
  const scale = Math.max(Math.min(width, height) - 36, 50);
  // The map is as wide as its data, which need not fill the square.
  let [left, right, bottom, top] = [SIDE, 0, SIDE, 0];
  for (let at = 0; at < atlas.positions.length; at += 2) {
    const [x, y] = [atlas.positions[at], atlas.positions[at + 1]];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  }
  const [wide, high] = [Math.max(right - left, 1) / SIDE, Math.max(top - bottom, 1) / SIDE];
  const fitted = Math.max(Math.min((width - 36) / wide, (height - 36) / high), scale * 0.2);
  atlas.fitted = atlas.view.scale = Math.min(fitted, 4 * Math.max(width, height));
  atlas.view.x = width / 2 - ((left + right) / 2 / SIDE) * atlas.view.scale;
  atlas.view.y = height / 2 - (1 - (bottom + top) / 2 / SIDE) * atlas.view.scale;
  drawMap();
}

function zoomAt(factor, x = $("stage").clientWidth / 2, y = $("stage").clientHeight / 2) {
  const scale = Math.min(Math.max(atlas.view.scale * factor, atlas.fitted * 0.5), atlas.fitted * 400);
  const real = scale / atlas.view.scale;
  atlas.view.x = x - (x - atlas.view.x) * real;
  atlas.view.y = y - (y - atlas.view.y) * real;
  atlas.view.scale = scale;
  drawMap();
}

function move(x, y) {
  atlas.view.x += x;
  atlas.view.y += y;
  drawMap();
}

// The pick under the pointer, else the point.
function under(x, y) {
  let [best, found] = [12 ** 2, null];
  for (const pick of visible()) {
    const away = (placeX(pick.point) - x) ** 2 + (placeY(pick.point) - y) ** 2;
    if (away <= best) [best, found] = [away, pick];
  }
  if (found) return found;
  atlas.finder ??= pointFinder(atlas.positions);
  const perPixel = SIDE / atlas.view.scale;
  const point = atlas.finder((x - atlas.view.x) * perPixel, SIDE - (y - atlas.view.y) * perPixel, 8 * perPixel);
  return point < 0 ? null : { point, row: rowOf(point) };
}

function hover(own) {
  if (own?.point === atlas.hover?.point && own?.line === atlas.hover?.line) return;
  atlas.hover = own;
  if (!atlas.kept) showCard(own);
  if (atlas.color === "nearest" && !atlas.kept) recolor();
  else drawMap();
}

function keep(own) {
  atlas.kept = own;
  showCard(own ?? atlas.hover);
  if (atlas.color === "nearest") recolor();
  else drawMap();
}

async function showCard(own) {
  const card = $("card");
  card.classList.toggle("kept", Boolean(atlas.kept));
  if (!own) {
    card.replaceChildren(el("p", { class: "empty" }, "Point at a row of the pool, or press n for the next pick."));
    return;
  }
  const parts = [el("h3", {}, labelOf(own.point)), el("div", {}, `row ${count(own.row).replaceAll(",", " ")}`)];
  const shown = example(own.row);
  if (shown && DATA.examples.kind !== "row") parts.unshift(shown);
  const whom = LINES.flatMap((line, number) => picksOf(number, atlas.seed).filter((pick) => pick.row === own.row));
  const said = whom.map((pick) => el("li", {}, `${LINES[pick.line].name}: ${roundName(pick.round)}`));
  const predicted = await predictionOf(own);
  if (predicted) parts.push(el("div", {}, predicted));
  const near = await nearestOf(own);
  if (near) parts.push(el("div", {}, near));
  if (said.length) parts.push(el("ul", { "aria-label": "picked by" }, ...said));
  else parts.push(el("div", { class: "empty" }, `not picked (seed ${atlas.seed})`));
  if (shown && DATA.examples.kind === "row") parts.push(shown);
  if (own === (atlas.kept ?? atlas.hover)) card.replaceChildren(...parts); // it was not left meanwhile
}

async function nearestOf(own) {
  const line = own.line ?? atlas.line;
  const found = line === ALL ? null : await ownersOf(line);
  if (!found) return "";
  const picks = picksOf(line, atlas.seed);
  if (own.place !== undefined) {
    const stands = found.counts[own.place];
    return `stands for ${count(stands)} ${stands === 1 ? "row" : "rows"}, ${percent(stands / DATA.atlas.points)} of the pool`;
  }
  const every = DATA.atlas.nearest.every;
  if (own.point % every) return "";
  const pick = picks[found.owners[own.point / every]];
  return `nearest pick: row ${pick.row}, ${labelOf(pick.point)} (${roundName(pick.round)})`;
}

function step(by) {
  const picks = visible();
  if (!picks.length) return;
  const own = atlas.kept ?? atlas.hover;
  const at = own ? picks.findIndex((pick) => pick.point === own.point && pick.line === own.line) : -1;
  const next = at < 0 ? (by > 0 ? 0 : picks.length - 1) : (at + by + picks.length) % picks.length;
  keep(picks[next]);
}

function play() {
  const running = Boolean(atlas.timer);
  clearInterval(atlas.timer);
  atlas.timer = 0;
  $("play").textContent = running ? "▶" : "❚❚";
  $("play").setAttribute("aria-label", running ? "Play the rounds" : "Stop");
  if (running) return;
  if (atlas.round >= rounds) setRound(0);
  atlas.timer = setInterval(() => (atlas.round >= rounds ? play() : setRound(atlas.round + 1)), 700);
}

function listenToAtlas() {
  const change = (id, key) => $(id).addEventListener("change", (event) => {
    atlas[key] = key === "color" ? event.target.value : Number(event.target.value);
    atlas.hover = atlas.kept = null;
    showCard(null);
    setRound(atlas.round);
  });
  change("atlas-line", "line");
  change("atlas-seed", "seed");
  change("atlas-color", "color");
  $("atlas-layout").addEventListener("change", (event) => layOut(event.target.value));
  $("round").addEventListener("input", (event) => setRound(Number(event.target.value)));
  $("play").addEventListener("click", play);
  $("zoom-in").addEventListener("click", () => zoomAt(1.6));
  $("zoom-out").addEventListener("click", () => zoomAt(1 / 1.6));
  $("zoom-all").addEventListener("click", showAll);
  const canvas = $("marks");
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return hover(under(event.offsetX, event.offsetY));
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(x, y) < 4) return;
    move(x, y);
    drag = { x: event.clientX, y: event.clientY, moved: true };
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) keep(under(event.offsetX, event.offsetY));
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => drag || hover(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", onKey);
  showCard(null);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40),
    "+": () => zoomAt(1.4), "=": () => zoomAt(1.4), "-": () => zoomAt(1 / 1.4), 0: showAll,
    n: () => step(1), p: () => step(-1), "[": () => setRound(atlas.round - 1), "]": () => setRound(atlas.round + 1),
    Escape: () => keep(null), " ": play,
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
