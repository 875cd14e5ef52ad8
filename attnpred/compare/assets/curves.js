// Learning curves: of each coloured group the mean over seeds and a band around it; the pointer or the arrow keys read it.

const PLOT = { width: 860, height: 360, left: 62, right: 18, top: 12, bottom: 44 };
let place = null; // step that is read, by its number among all steps

const curveNames = () => {
  const rank = (one) => (one === metric ? 0 : one.startsWith("val/") ? 1 : one.startsWith("train/") ? 2 : 3);
  const all = new Set(groups.flatMap((group) => Object.keys(group.curves)));
  return [...all].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, "en"));
};

function drawnCurves() {
  const key = byId("curve").value;
  return visible.filter((group) => marked.has(group) && group.curves[key]?.length).map((group) => ({ group, points: group.curves[key] }));
}

function showCurves() {
  const key = byId("curve").value;
  const drawn = drawnCurves();
  if (!drawn.length) {
    const why = key ? "No group that is shown has a colour and this curve. Give one a colour by the box in its row." : "These runs kept no records.";
    return void byId("curves-figure").replaceChildren(make("p", { class: "note" }, why));
  }
  const banded = byId("band").checked;
  const bounds = drawn.flatMap(({ points }) => points.flatMap(([, mean, spread]) => [mean - (banded ? (spread ?? 0) : 0), mean + (banded ? (spread ?? 0) : 0)]));
  const [xs, ys] = [ticks(0, Math.max(...drawn.flatMap(({ points }) => points.map(([step]) => step))), 6), ticks(Math.min(...bounds), Math.max(...bounds))];
  const x = scale(xs, PLOT.left, PLOT.width - PLOT.right);
  const y = scale(ys, PLOT.height - PLOT.bottom, PLOT.top);
  const picture = frame(key, drawn, xs, ys, x, y);
  for (const { group, points } of drawn) {
    const around = points.filter(([, , spread]) => spread !== null);
    if (banded && around.length > 1) {
      const upper = around.map(([step, mean, spread]) => `${x(step)},${y(mean + spread)}`);
      const lower = around.map(([step, mean, spread]) => `${x(step)},${y(mean - spread)}`).reverse();
      picture.append(draw("polygon", { points: [...upper, ...lower].join(" "), class: `band ${lookOf(group)}`, "data-group": group.index }));
    }
  }
  for (const { group, points } of drawn) {
    const line = { class: `curve ${lookOf(group)}`, "data-group": group.index };
    picture.append(draw("polyline", { points: points.map(([step, mean]) => `${x(step)},${y(mean)}`).join(" "), ...line }));
    if (points.length === 1) picture.append(draw("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 4, class: `dot ${lookOf(group)}`, "data-group": group.index }));
  }
  const cursor = draw("line", { y1: PLOT.top, y2: PLOT.height - PLOT.bottom, class: "cursor", visibility: "hidden" });
  picture.append(cursor);
  listen(picture, cursor, drawn, x);
  const about = make("figcaption", {}, make("b", {}, name(key)), ` by optimizer step, mean over ${story.repeats}.`);
  byId("curves-figure").replaceChildren(make("figure", {}, about, picture, names(drawn), numbers(key, drawn)));
}

const scale = (values, from, to) => {
  const [low, high] = [values[0], values.at(-1)];
  return (value) => Number((from + ((value - low) / (high - low)) * (to - from)).toFixed(2));
};

function frame(key, drawn, xs, ys, x, y) {
  const last = drawn.map(({ group, points }) => `${titleOf(group)} ${digits(points.at(-1)[1])}`).join("; ");
  const picture = draw(
    "svg",
    { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, class: "chart reading", role: "img", tabindex: 0, "aria-label": `${key} by step. At the end: ${last}. Arrow keys read other steps.` },
  );
  for (const value of ys)
    picture.append(
      draw("line", { x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: y(value), y2: y(value), class: "rule" }),
      draw("text", { x: PLOT.left - 7, y: y(value) + 4, "text-anchor": "end" }, digits(value)),
    );
  for (const value of xs) picture.append(draw("text", { x: x(value), y: PLOT.height - PLOT.bottom + 18, "text-anchor": "middle" }, digits(value)));
  picture.append(draw("text", { x: (PLOT.left + PLOT.width - PLOT.right) / 2, y: PLOT.height - 6, "text-anchor": "middle" }, "optimizer step"));
  return picture;
}

function listen(picture, cursor, drawn, x) {
  const steps = [...new Set(drawn.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const read = (number, at, aloud) => {
    place = Math.max(0, Math.min(steps.length - 1, number));
    const step = steps[place];
    fill(cursor, { x1: x(step), x2: x(step), visibility: "visible" }, []);
    const lines = drawn.map(({ group, points }) => {
      const near = points.reduce((best, one) => (Math.abs(one[0] - step) < Math.abs(best[0] - step) ? one : best));
      return [group, `${shortTitle(group, 40)}: ${withSpread(near[1], near[2])}, ${plural(near[3], story.repeats.slice(0, -1))}${near[0] === step ? "" : ` (step ${digits(near[0])})`}`];
    });
    const shown = lines.map(([group, line]) => make("span", { class: "entry" }, make("span", { class: `swatch ${lookOf(group)}` }), " ", name(line)));
    showTip(at.x, at.y, `step ${digits(step)}`, shown);
    if (aloud) byId("said").textContent = `step ${digits(step)}: ${lines.map(([, line]) => line).join("; ")}`;
  };
  const leave = () => {
    hideTip();
    cursor.setAttribute("visibility", "hidden");
  };
  const onScreen = (step) => {
    const box = picture.getBoundingClientRect();
    return { x: box.left + (x(step) / PLOT.width) * box.width, y: box.top + box.height / 3 };
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * PLOT.width;
    const nearest = steps.reduce((best, step, i) => (Math.abs(x(step) - across) < Math.abs(x(steps[best]) - across) ? i : best), 0);
    read(nearest, { x: event.clientX, y: event.clientY }, false);
  });
  picture.addEventListener("pointerleave", leave);
  picture.addEventListener("blur", leave);
  picture.addEventListener("keydown", (event) => {
    const to = { ArrowRight: (place ?? -1) + 1, ArrowLeft: (place ?? steps.length) - 1, Home: 0, End: steps.length - 1 }[event.key];
    if (event.key === "Escape") leave();
    if (to === undefined) return;
    event.preventDefault();
    read(to, onScreen(steps[Math.max(0, Math.min(steps.length - 1, to))]), true);
  });
}

const names = (drawn) =>
  make("ul", { class: "legend names" }, ...drawn.map(({ group }) =>
    make("li", { "data-group": group.index, on: { pointerenter: () => point(group), pointerleave: () => point(null) } },
      make("span", { class: `swatch ${lookOf(group)}`, "aria-hidden": "true" }), ` #${group.at} `, name(shortTitle(group, 60)))));

function numbers(key, drawn) {
  const steps = [...new Set(drawn.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const heads = ["step", ...drawn.map(({ group }) => `#${group.at}`)].map((one) => make("th", { scope: "col" }, one));
  const maps = drawn.map(({ points }) => new Map(points.map((one) => [one[0], one])));
  const rows = steps.map((step) => make("tr", {}, make("th", { scope: "row" }, digits(step)), ...maps.map((map) => make("td", {}, map.has(step) ? withSpread(map.get(step)[1], map.get(step)[2]) : "–"))));
  const whole = make("table", {}, make("caption", { class: "hidden" }, `${key} by step`), make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": "numbers behind the curves" };
  return make("details", {}, make("summary", {}, "The numbers behind the curves"), make("div", region, whole));
}
