// Parallel coordinates: an axis an option, the last ones results; brushes along them choose groups.

const AXES = { height: 330, top: 58, bottom: 34, least: 118, missing: 22 };
let axes = [];

function makeAxes() {
  const options = story.options.map((key) => axis(key, (group) => group.options[key]));
  return [...options, ...story.metrics.map((key) => axis(key, (group) => meanOf(group, key) ?? undefined))].filter(Boolean);
}

// Numbers stand by size, on a logarithmic scale where they span much; other values one above the other. What a group
// has no value for is below the axis.
function axis(key, of) {
  const values = groups.map(of).filter((value) => value !== undefined);
  if (!values.length) return null;
  const numeric = values.every((value) => typeof value === "number");
  const [low, high] = [AXES.height - AXES.bottom - AXES.missing, AXES.top];
  let at;
  let labels;
  if (numeric) {
    const [least, most] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const log = least > 0 && most / least >= 30;
    const shape = log ? Math.log10 : (value) => value;
    const distinct = [...new Set(values)].sort((a, b) => a - b);
    const marks = distinct.length <= 6 ? distinct : log ? powers(least, most) : ticks(least, most, 4);
    const ends = [Math.min(least, marks[0]), Math.max(most, marks.at(-1))];
    at = most > least ? scale(ends.map(shape), low, high) : () => (low + high) / 2;
    const straight = at;
    at = (value) => straight(shape(value));
    labels = marks.map((value) => [digits(value), at(value)]);
  } else {
    const order = [...new Set(values)].sort((a, b) => text(a).localeCompare(text(b), "en", { numeric: true }));
    const gap = order.length > 1 ? (low - high) / (order.length - 1) : 0;
    const places = new Map(order.map((value, i) => [value, order.length > 1 ? low - i * gap : (low + high) / 2]));
    at = (value) => places.get(value);
    const every = Math.ceil(order.length / 16);
    labels = order.filter((_, i) => i % every === 0).map((value) => [text(value), at(value)]);
  }
  const placeOf = (group) => (of(group) === undefined ? AXES.height - AXES.bottom : at(of(group)));
  const stops = [...new Map(groups.map((group) => [placeOf(group), of(group)])).entries()].sort((a, b) => a[0] - b[0]);
  return { key, placeOf, labels, stops, say: (value) => (typeof value === "number" ? digits(value) : text(value)) };
}

function powers(least, most) {
  const from = Math.floor(Math.log10(least) + 1e-9);
  const to = Math.ceil(Math.log10(most) - 1e-9);
  const step = Math.ceil((to - from) / 6);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => Number(`1e${from + i * step}`));
}

const withinBrushes = (group) =>
  [...brushes].every(([one, [top, bottom]]) => one.placeOf(group) >= top - 0.5 && one.placeOf(group) <= bottom + 0.5);

function showParallel() {
  const width = Math.max(1100, axes.length * AXES.least + 60);
  const x = (i) => Math.round(64 + (i * (width - 128)) / Math.max(1, axes.length - 1));
  const label = `${plural(groups.length, "group")} over ${axes.map(({ key }) => key).join(", ")}; ${visible.length} chosen`;
  const picture = draw("svg", { viewBox: `0 0 ${width} ${AXES.height}`, class: "chart parallel", role: "group", "aria-label": label });
  picture.style.minWidth = `${Math.min(width, axes.length * 92)}px`;
  const among = new Set(visible);
  const rank = (group) => (marked.has(group) ? 2 : among.has(group) ? 1 : 0);
  for (const group of [...groups].sort((a, b) => rank(a) - rank(b))) {
    const points = axes.map((one, i) => `${x(i)},${one.placeOf(group)}`).join(" ");
    const look = among.has(group) ? lookOf(group) : "out";
    const line = draw("polyline", { points, class: `curve ${look}`, "data-group": group.index });
    if (among.has(group)) answer(line, group);
    picture.append(line);
  }
  axes.forEach((one, i) => picture.append(axisOf(one, x(i))));
  const region = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "axes of options and results" }, picture);
  byId("options-figure").replaceChildren(make("figure", {}, region));
}

function answer(line, group) {
  line.addEventListener("pointermove", (event) => {
    point(group);
    const results = story.metrics.map((key) => `${key} ${withSpread(meanOf(group, key), group.results[key]?.[1] ?? null)}`);
    showTip(event.clientX, event.clientY, `#${group.at} ${shortTitle(group, 80)}`, results);
  });
  line.addEventListener("pointerleave", () => {
    point(null);
    hideTip();
  });
}

function axisOf(one, x) {
  const [top, bottom] = [AXES.top, AXES.height - AXES.bottom];
  const cut = one.key.lastIndexOf(one.key.includes("/") ? "/" : ".");
  const short = (word, most) => (word.length > most ? `${word.slice(0, most - 1)}…` : word);
  const whole = draw("g", {}, draw("line", { x1: x, x2: x, y1: top, y2: bottom, class: "axis" }));
  whole.append(
    draw("title", {}, one.key),
    draw("text", { x, y: 16, "text-anchor": "middle" }, short(one.key.slice(0, cut + 1), 17)),
    draw("text", { x, y: 32, "text-anchor": "middle", class: "axis-name" }, short(one.key.slice(cut + 1), 15)),
    ...one.labels.map(([word, y]) => draw("text", { x: x + 8, y: y + 4, class: "axis-label" }, short(word, 14))),
  );
  if (one.stops.some(([place, value]) => value === undefined)) whole.append(draw("text", { x: x + 8, y: bottom + 4, class: "axis-label" }, "none"));
  const [from, to] = brushes.get(one) ?? [top, bottom];
  if (brushes.has(one)) whole.append(draw("rect", { x: x - 9, width: 18, y: from - 3, height: Math.max(6, to - from + 6), rx: 4, class: "brush" }));
  const ground = draw("rect", { x: x - 16, width: 32, y: top - 12, height: bottom - top + 24, class: "ground" });
  drag(ground, one);
  whole.append(ground, handle(one, x, from, 0), handle(one, x, to, 1));
  return whole;
}

// From where the pointer goes down, or from the brush's other end where it takes hold of one.
function drag(element, one, anchor) {
  const placeIn = (event) => {
    const svg = document.querySelector(".parallel");
    const box = svg.getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * AXES.height;
    return Math.max(AXES.top, Math.min(AXES.height - AXES.bottom, y));
  };
  element.addEventListener("pointerdown", (down) => {
    down.preventDefault();
    const start = anchor ?? placeIn(down);
    const move = (event) => {
      const now = placeIn(event);
      if (Math.abs(now - start) > 3) brush(one, [Math.min(start, now), Math.max(start, now)]);
    };
    const up = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up);
    window.addEventListener("pointercancel", up);
  });
  element.addEventListener("dblclick", () => brush(one, null));
}

function brush(one, range) {
  if (range) brushes.set(one, range);
  else brushes.delete(one);
  choose();
}

// End 0 is the upper one. Keys go from one value that there is to the next.
function handle(one, x, y, end) {
  const stops = one.stops;
  const range = brushes.get(one) ?? [AXES.top, AXES.height - AXES.bottom];
  const inside = stops.map(([place], i) => [place, i]).filter(([place]) => place >= range[0] - 0.5 && place <= range[1] + 0.5);
  const now = inside.length ? inside.at(end ? -1 : 0)[1] : end ? stops.length - 1 : 0;
  const id = `handle-${axes.indexOf(one)}-${end}`;
  const about = {
    id,
    role: "slider",
    tabindex: 0,
    "aria-orientation": "vertical",
    "aria-label": `${one.key}: ${end ? "lower" : "upper"} end`,
    "aria-valuemin": 1,
    "aria-valuemax": stops.length,
    "aria-valuenow": stops.length - now,
    "aria-valuetext": one.say(stops[now][1]),
    class: "handle",
    d: end ? `M${x - 6},${y + 4}h12l-6,8z` : `M${x - 6},${y - 4}h12l-6,-8z`,
  };
  const element = draw("path", about);
  drag(element, one, range[1 - end]);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") brush(one, null);
    const other = inside.length ? inside.at(end ? 0 : -1)[1] : now;
    const to = { ArrowUp: now - 1, ArrowRight: now - 1, ArrowDown: now + 1, ArrowLeft: now + 1, Home: stops.length - 1, End: 0 }[event.key];
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    if (to !== undefined) {
      const bound = end ? Math.max(other, Math.min(stops.length - 1, to)) : Math.min(other, Math.max(0, to));
      const [upper, lower] = end ? [other, bound] : [bound, other];
      const whole = upper === 0 && lower === stops.length - 1;
      brush(one, whole ? null : [stops[upper][0], stops[lower][0]]);
    }
    byId(id)?.focus();
    byId("said").textContent = byId("count").textContent;
  });
  return element;
}
