// What is known of a row: its class, its example, and who picked it when.
const store = { picks: [], places: new Map(), classOf: null, thumb: null };

// Picks by line and seed: {row, point, round, place}, in the order in which they were bought.
async function loadPicks() {
  const { groups, rows, points } = DATA.picks;
  const [heads, all] = [await arrayOf(groups), await arrayOf(rows)];
  const where = points ? await arrayOf(points) : null;
  let start = 0;
  for (let at = 0; at < heads.length; at += 4) {
    const [line, seed, round, size] = heads.subarray(at, at + 4);
    const own = (store.picks[line] ??= new Map());
    if (!own.has(seed)) own.set(seed, []);
    const list = own.get(seed);
    for (let one = start; one < start + size; one++) list.push({ line, row: all[one], point: where ? where[one] : -1, round, place: list.length });
    start += size;
  }
}

const picksOf = (line, seed) => store.picks[line]?.get(seed) ?? [];
const allSeeds = () => [...new Set(store.picks.flatMap((own) => (own ? [...own.keys()] : [])))].sort((a, b) => a - b);

async function loadExamples() {
  const own = DATA.examples;
  if (!own) return;
  (await arrayOf(own.rows)).forEach((row, place) => store.places.set(row, place));
  if (own.kind === "row") store.values = await arrayOf(own.values);
  if (own.kind !== "image") return;
  const url = URL.createObjectURL(new Blob([await bytesOf(own.sprite)], { type: own.type }));
  document.head.append(el("style", {}, `.thumb { background-image: url("${url}"); }`));
}

const hasExample = (row) => store.places.has(row);

// The small picture of a row, `side` pixels high and wide at most.
function thumb(row, side) {
  const own = DATA.examples;
  const place = store.places.get(row);
  if (own?.kind !== "image" || place === undefined) return null;
  const [high, wide] = own.size;
  const scale = side / Math.max(high, wide);
  const [x, y] = [(place % own.across) * wide * scale, Math.floor(place / own.across) * high * scale];
  const style = { width: `${wide * scale}px`, height: `${high * scale}px`, backgroundPosition: `-${x}px -${y}px`, backgroundSize: `${own.across * wide * scale}px auto` };
  return el("span", { class: "thumb", style, role: "img", "aria-label": `row ${row}` });
}

// The example as the card shows it; null where the page does not have it.
function example(row) {
  const own = DATA.examples;
  const place = store.places.get(row);
  if (!own || place === undefined) return null;
  if (own.kind === "image") {
    const holder = thumb(row, 112);
    holder.classList.add("example");
    return holder;
  }
  if (own.kind === "text") return el("div", { class: "text" }, own.texts[place] || "(no text)");
  const shown = store.values.length / store.places.size;
  const values = [...store.values.subarray(place * shown, (place + 1) * shown)];
  if (own.tokens) return el("div", { class: "text" }, `tokens ${values.filter((value) => value > 0).join(" ")}`);
  const most = Math.max(...values.map(Math.abs)) || 1;
  const cells = values.slice(0, 12).flatMap((value, at) => [
    el("span", {}, `${at}`),
    el("i", { style: { width: `${(100 * Math.abs(value)) / most}%`, opacity: value < 0 ? 0.45 : 1 } }),
    el("span", {}, Number(value.toPrecision(4)).toString()),
  ]);
  const more = own.width > 12 ? [el("span", {}, ""), el("span", {}, `and ${own.width - 12} more numbers`), el("span", {}, "")] : [];
  return el("div", { class: "values" }, ...cells, ...more);
}

const roundName = (round) => (round < 0 ? "initial" : `round ${round + 1}`);

// Labels that the fit of a round saw.
const labelsAt = (line, round) => LINES[line].points.labels[round];
