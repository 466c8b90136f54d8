// Colours by what the last model says of each row: its prediction, how sure it is, and its errors.
const PREDICTED = [["predicted", "prediction of the last model"], ...(ERRORS ? [] : [["sure", "probability of its prediction"]]), ["error", "error of the last model"]];
const LEVELS = 63;
const isPredicted = () => PREDICTED.some(([key]) => key === atlas.color);

async function modelOf(line) {
  const own = DATA.atlas.predicted;
  const stored = own?.lines[line];
  if (!stored || own.seed !== atlas.seed) return null;
  atlas.models ??= {};
  atlas.models[line] ??= (async () => ({ values: await arrayOf(stored.values), sure: stored.sure && (await arrayOf(stored.sure)) }))();
  return atlas.models[line];
}

const stepValue = (step) => DATA.atlas.values.low + (step / STEPS) * (DATA.atlas.values.high - DATA.atlas.values.low);
const sureOf = (level) => DATA.atlas.predicted.low + (level / LEVELS) * (1 - DATA.atlas.predicted.low);

// The error of a prediction as a share of the colours: of classes 1 where it is wrong; null where
// the label is not known.
function errorAt(found, place) {
  const point = place * DATA.atlas.predicted.every;
  if (!ERRORS) return atlas.classes[point] >= NONE ? null : Number(found.values[place] !== atlas.classes[point]);
  const value = valueOf(point);
  return value === null ? null : Math.min(Math.abs(stepValue(found.values[place]) - value) / (DATA.atlas.predicted.error || 1), 1);
}

async function colorByModel(paint, solid) {
  const found = atlas.line === ALL ? null : await modelOf(atlas.line);
  if (!found) return;
  const { every } = DATA.atlas.predicted;
  const kind = {
    predicted: (place) => (ERRORS ? Math.round(252 * shareOf(stepValue(found.values[place]))) : Math.min(found.values[place], 252)),
    sure: (place) => Math.round((252 * found.sure[place]) / LEVELS),
    error: (place) => {
      const own = errorAt(found, place);
      return own === null || (!ERRORS && !own) ? 255 : Math.round(252 * own);
    },
  }[atlas.color];
  const byRamp = ERRORS || atlas.color === "sure";
  for (let own = 0; own <= 252; own++) paint(own, byRamp ? ramp(own / 252) : atlas.color === "error" ? cssColor("--wrong") : classColor(own), solid);
  for (let place = 0; place < found.values.length; place++) atlas.kinds[place * every] = kind(place);
}

async function drawModelLegend(box) {
  const asked = [atlas.color, atlas.line];
  const found = await modelOf(atlas.line);
  if (asked[0] !== atlas.color || asked[1] !== atlas.line) return; // another was chosen meanwhile
  const { every, seed, low, error } = DATA.atlas.predicted;
  const said = el("div", { class: "keys" });
  if (!found) {
    said.textContent = seed !== atlas.seed ? `Known for seed ${seed} alone.` : "Not known of this strategy.";
    return box.replaceChildren(said);
  }
  said.textContent = `After the last round, of labelled rows too.${every > 1 ? ` One row in ${every} is coloured.` : ""}`;
  if (atlas.color === "predicted" && !ERRORS) {
    const present = [...new Set(found.values)].sort((a, b) => a - b);
    return box.replaceChildren(...present.map((own) => el("span", { class: "key" }, el("span", { class: "swatch", style: { background: classColor(own) } }), className(own))), said);
  }
  if (atlas.color === "error" && !ERRORS) {
    const errors = Array.from(found.values, (_, place) => errorAt(found, place)).filter((own) => own !== null);
    const wrong = errors.reduce((sum, own) => sum + own, 0);
    const share = `wrong: ${count(wrong)} of ${count(errors.length)} rows, ${percent(wrong / errors.length)}`;
    return box.replaceChildren(el("span", { class: "key" }, el("span", { class: "swatch", style: { background: cssColor("--wrong") } }), share), said);
  }
  const ends = atlas.color === "sure" ? [percent(low, 0), "100%"] : atlas.color === "error" ? ["0", `${short(error)} and more`] : DATA.atlas.values.ends.map(short);
  box.replaceChildren(rampLegend(...ends, said.textContent));
}

async function predictionOf(own) {
  const line = own.line ?? atlas.line;
  const found = line === ALL ? null : await modelOf(line);
  if (!found || own.point % DATA.atlas.predicted.every) return "";
  const place = own.point / DATA.atlas.predicted.every;
  const value = found.values[place];
  if (ERRORS) return `predicted: ${short(stepValue(value))}`;
  return `predicted: ${className(value)}, ${percent(sureOf(found.sure[place]), 0)}${errorAt(found, place) ? " (wrong)" : ""}`;
}
