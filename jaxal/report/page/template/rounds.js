// What each round bought, for each strategy; and how balanced that is, and how well it is learnt.
const THUMBS = 8;

function drawRounds() {
  const some = store.picks.some((own) => own);
  $("rounds").hidden = !some;
  if (!some) return;
  const image = DATA.examples?.kind === "image";
  $("rounds-about").textContent = `Seed ${atlas.seed}: ${image ? `the first ${THUMBS} picks of each round` : "the picks of each round"}${DATA.atlas ? `, their ${ERRORS ? "values" : "classes"} as a bar in the colours of the map` : ""}; below, the ${MEASURE.name} (mean over seeds) that they led to. A click shows the round on the map.`;
  const from = store.picks.some((own) => own?.get(atlas.seed)?.some((pick) => pick.round < 0)) ? -1 : 0;
  const columns = Array.from({ length: rounds - from }, (_, at) => at + from);
  const rows = LINES.map((_, line) => [el("th", { scope: "row" }, name(line)), ...columns.map((round) => roundCell(line, round))]);
  $("table-rounds").replaceChildren(table(["strategy", ...columns.map(roundName)], rows));
  markCurrent();
}

function roundCell(line, round) {
  const picks = picksOf(line, atlas.seed).filter((pick) => pick.round === round);
  if (!picks.length) return el("td", {}, "");
  const go = () => {
    atlas.kept = null;
    if (!DATA.atlas) return;
    atlas.line = line;
    $("atlas-line").value = line;
    setRound(round + 1);
    $("atlas").scrollIntoView();
  };
  const parts = [];
  if (DATA.examples?.kind === "image") parts.push(el("span", { class: "thumbs" }, ...picks.map((pick) => thumb(pick.row, 26)).filter(Boolean).slice(0, THUMBS)));
  if (DATA.examples?.kind === "text") parts.push(el("span", { class: "words" }, example(picks[0].row)?.textContent ?? ""));
  if (DATA.atlas) parts.push(ERRORS ? valueBar(picks) : classBar(picks));
  else parts.push(el("span", { class: "words" }, `rows ${picks.slice(0, 6).map((pick) => pick.row).join(", ")}${picks.length > 6 ? " …" : ""}`));
  const means = LINES[line].points[MEASURE.mean];
  const gain = means[round + 1] - means[round];
  parts.push(el("span", { class: "gain" }, `${measured(means[round + 1])}${round >= 0 && known(gain) ? ` (${ERRORS ? `${gain > 0 ? "+" : ""}${short(gain)}` : signed(100 * gain)})` : ""}`));
  return el("td", {}, el("button", { type: "button", onclick: go, "data-line": line, "data-round": round, "aria-label": `${LINES[line].name}, ${roundName(round)}: ${picks.length} rows` }, ...parts));
}

function classBar(picks) {
  const counts = new Map();
  for (const pick of picks) counts.set(atlas.classes[pick.point], (counts.get(atlas.classes[pick.point]) ?? 0) + 1);
  const order = [...counts].sort((a, b) => a[0] - b[0]);
  const title = order.map(([number, times]) => `${className(number)}: ${times}`).join("\n");
  return el("span", { class: "bar", title }, ...order.map(([number, times]) => el("span", { style: { flex: `${times}`, background: classColor(number) } })));
}

function valueBar(picks) {
  const own = picks.map((pick) => [valueOf(pick.point), labelColor(pick.point)]).sort((a, b) => a[0] - b[0]);
  const there = own.map(([value]) => value).filter(known);
  const title = there.length ? `${short(there[0])} to ${short(there.at(-1))}` : "";
  return el("span", { class: "bar", title }, ...own.map(([, color]) => el("span", { style: { flex: "1", background: color } })));
}

function markCurrent() {
  for (const button of document.querySelectorAll("#table-rounds button")) {
    const here = Number(button.dataset.round) === atlas.round - 1 && (atlas.line === ALL || Number(button.dataset.line) === atlas.line);
    button.setAttribute("aria-current", here);
  }
}

const balance = { picked: null, accuracy: null };

async function startClasses() {
  const own = DATA.balance;
  if (own.picked) balance.picked = await arrayOf(own.picked);
  if (own.accuracy) balance.accuracy = await arrayOf(own.accuracy);
  if (!NONE || (!balance.picked && !balance.accuracy)) {
    $("classes").hidden = true;
    return;
  }
  $("classes-about").textContent = "Over all seeds. Balance is the entropy of the classes among the labels over its largest value. A class that is not tested on has no accuracy.";
  $("balance-figure").hidden = !balance.picked;
  $("worst-figure").hidden = !balance.accuracy;
  const plain = (value) => value.toFixed(2);
  const whole = (value, exact) => percent(value, exact ? 1 : 0);
  if (balance.picked) lineChart("chart-balance", { about: "Balance of the labels", xLabel: "labels", yFormat: plain, series: LINES.map((_, line) => evenness(line)) });
  if (balance.accuracy) lineChart("chart-worst", { about: "Accuracy on the worst class", xLabel: "labels", yFormat: whole, series: LINES.map((_, line) => worst(line)) });
  fill($("class-line"), LINES.map((line, at) => [at, line.name]));
  $("class-line").value = Math.max(LINES.findIndex((line) => line.strategy !== DATA.random), 0);
  $("class-line").addEventListener("change", drawHeat);
  drawHeat();
}

// Labels so far by class, after the fit of each round: [rounds + 1][C].
function soFar(line) {
  const width = NONE + 1;
  const size = (rounds + 2) * width;
  const total = new Array(NONE).fill(0);
  return Array.from({ length: rounds + 1 }, (_, round) => {
    for (let number = 0; number < NONE; number++) total[number] += balance.picked[line * size + round * width + number];
    return [...total];
  });
}

function evenness(line) {
  const y = soFar(line).map((counts) => {
    const all = counts.reduce((sum, one) => sum + one, 0);
    if (!all || NONE < 2) return null;
    return -counts.reduce((sum, one) => sum + (one ? (one / all) * Math.log(one / all) : 0), 0) / Math.log(NONE);
  });
  return { x: LINES[line].points.labels, y };
}

const accuracyOf = (line, round, number) => balance.accuracy[(line * (rounds + 1) + round) * NONE + number];

function worst(line) {
  const x = LINES[line].points.labels;
  const y = x.map((_, round) => {
    const there = DATA.classes.map((_, number) => accuracyOf(line, round, number)).filter(known);
    return there.length ? Math.min(...there) : null;
  });
  return { x, y };
}

function drawHeat() {
  const line = Number($("class-line").value);
  const every = Math.ceil((rounds + 1) / 16);
  const columns = LINES[line].points.labels.map((_, round) => round).filter((round) => round % every === 0 || round === rounds);
  let numbers = DATA.classes.map((_, number) => number);
  let cut = "";
  if (NONE > 40) {
    const last = LINES[line].points.labels.length - 1;
    if (balance.accuracy) numbers.sort((a, b) => (accuracyOf(line, last, a) || 0) - (accuracyOf(line, last, b) || 0));
    numbers = numbers.slice(0, 40);
    cut = balance.accuracy ? "; the 40 classes with the lowest final accuracy" : "; the first 40 classes";
  }
  const parts = [];
  if (balance.picked) {
    const counts = soFar(line);
    const most = Math.max(1, ...numbers.map((number) => counts[counts.length - 1][number]));
    parts.push(heatTable(`Labels of each class so far (mean of a seed)${cut}`, line, columns, numbers, (round, number) => {
      const value = counts[round][number];
      return [value < 10 ? value.toFixed(1) : count(value), value / most];
    }));
  }
  if (balance.accuracy) {
    parts.push(heatTable(`Accuracy on each class, in %${cut}`, line, columns, numbers, (round, number) => {
      const value = accuracyOf(line, round, number);
      return known(value) ? [(100 * value).toFixed(0), value] : ["–", null];
    }));
  }
  $("heat").replaceChildren(...parts);
}

function heatTable(title, line, columns, numbers, value) {
  const head = columns.map((round) => count(LINES[line].points.labels[round]));
  const rows = numbers.map((number) => [
    el("th", { scope: "row", title: className(number) }, className(number)),
    ...columns.map((round) => {
      const [text, share] = value(round, number);
      const color = share === null ? null : ramp(share);
      return el("td", { style: color ? { background: color, color: inkOn(color) } : {} }, text);
    }),
  ]);
  return el("figure", { class: "heat" }, el("figcaption", {}, title), el("div", { class: "scroll" }, table(["labels", ...head], rows)));
}
