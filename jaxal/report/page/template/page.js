// The page, from top to bottom: what can be read at once first, then what has to be unpacked.
const themes = matchMedia("(prefers-color-scheme: dark)");

function setTheme() {
  const asked = $("theme").value;
  document.documentElement.dataset.theme = asked === "auto" ? (themes.matches ? "dark" : "light") : asked;
}

function redraw() {
  setTheme();
  drawLegend();
  drawResults();
  drawComparison();
  drawTimings();
  charts.forEach(drawChart);
  if (atlas.renderer) recolor();
  drawRounds();
  if (balance.picked || balance.accuracy) drawHeat();
}

function startCurves() {
  $("title").textContent = DATA.title;
  $("curves-about").textContent = `${DATA.curves.over[0].toUpperCase()}${DATA.curves.over.slice(1)}. ${LINES.length > 3 ? "Of the strategy that is pointed at, the band is filled; of the others the deviation is shown at the end." : "Bands are one standard deviation."} A click leaves a strategy out.`;
  const late = () => $("late").checked;
  const whole = (value, exact) => percent(value, exact ? 1 : ticksNeedTenths(value) ? 1 : 0);
  $("measure-title").textContent = `Test ${MEASURE.name}`;
  const series = (mean, std) => LINES.map((line) => ({ x: line.points.labels, y: line.points[mean], std: line.points[std] }));
  lineChart("chart-accuracy", { about: `Test ${MEASURE.name} against labels`, xLabel: "labels", yFormat: ERRORS ? short : whole, late, series: series(MEASURE.mean, MEASURE.std) });
  const efficient = LINES.some((line) => line.points.efficiency.some(known));
  $("efficiency-figure").hidden = !efficient;
  if (efficient) lineChart("chart-efficiency", { about: "Labelling efficiency against labels", xLabel: "labels of random sampling", yFormat: (value, exact) => `${exact ? value.toFixed(2) : Number(value.toFixed(2))}x`, level: 1, late, series: series("efficiency", "efficiency_std") });
  $("late").addEventListener("change", () => charts.forEach(drawChart));
}

const ticksNeedTenths = (value) => Math.abs(value * 100 - Math.round(value * 100)) > 1e-6;

function startNotes() {
  $("notes").hidden = !DATA.notes.length;
  $("notes").replaceChildren(...DATA.notes.map((note) => el("li", {}, note)));
  const sections = [...document.querySelectorAll("main section")].filter((section) => !section.hidden);
  $("nav").replaceChildren(...sections.map((section) => el("a", { href: `#${section.id}` }, section.dataset.title)));
}

async function start() {
  setTheme();
  $("theme").addEventListener("change", redraw);
  themes.addEventListener("change", redraw);
  drawLegend();
  startCurves();
  drawResults();
  drawComparison();
  drawTimings();
  drawOrigin();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); // these are seen first
  await loadPicks();
  await startAtlas();
  await loadExamples();
  await startClasses();
  drawRounds();
  startNotes();
  $("atlas-seed").addEventListener("change", drawRounds);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => charts.forEach(drawChart), 120);
  });
  document.documentElement.dataset.ready = "true";
  setTimeout(useCard, 500); // pixels do until then
}

start().catch((error) => {
  $("notes").hidden = false;
  $("notes").append(el("li", {}, `This page could not be drawn in full: ${error.message}`));
  throw error;
});
