// One explainer's view of one example: a text with shaded words, or an image under a heat map. Both answer the pointer
// and, as one stop of the tab key, the arrow keys, with the numbers behind a part.

const WORDS_SHOWN = 120; // of a longer text the stretch that matters most is shown first
const SUMMARY = { text: 5, image: 3 }; // of a signed map about half as many a side
const HUES = { importance: [168, 85, 247], for: [37, 140, 255], against: [255, 120, 20] };

const hueOf = (value, signed) => (signed ? (value < 0 ? "against" : "for") : "importance");
function partName(example, i) {
  if (example.words) return example.words[i];
  const [row, column] = [Math.floor(i / example.grid[1]), i % example.grid[1]];
  if (example.rows) return `${example.rows[row]} from ${example.columns[column]}`; // of a series
  return `row ${row + 1}, column ${column + 1}`;
}

function shade(value, top, signed) {
  const level = top > 0 ? Math.round((Math.abs(value) / top) * LEVELS) : 0;
  return level ? `${hueOf(value, signed)}-${level}` : "";
}

function panel(example, values, { title, about, signed, stretch }) {
  const heading = make("h4", { title: about }, name(title));
  if (!values) return make("div", { class: "panel" }, heading, make("p", { class: "quiet" }, "no map of this example"));
  if (example.inputs)
    return make("div", { class: "panel inputs" }, heading, ...mapsOfInputs(example, values, signed, title));
  const map = example.words
    ? textMap(example, values, signed, title, stretch)
    : imageMap(example, values, signed, title);
  return make("div", { class: "panel" }, heading, map, summary(example, values, signed));
}

function textMap(example, values, signed, title, [start, end]) {
  const top = magnitude(values);
  const known = new Set(example.evidence ?? []);
  const text = make("p", { class: "map text", dir: "auto", ...stepping(`words shaded by ${title}`) });
  if (start > 0) text.append(make("span", { class: "cut" }, `… ${plural(start, "word")} before … `));
  const titles = new Map(); // where a text begins that is read together with others
  let at = 0;
  for (const [title, count] of example.texts ?? []) {
    titles.set(at, title);
    at += count;
  }
  for (let i = start; i < end; i++) {
    if (titles.has(i)) text.append(make("span", { class: "cut" }, `${i ? " ‖ " : ""}${titles.get(i)}: `));
    const kind = [`word ${shade(values[i], top, signed)}`, known.has(i) ? "evidence" : ""].join(" ").trim();
    text.append(make("span", { class: kind, "data-part": i }, example.words[i]), " ");
  }
  text.numbers = () => numbersByPart(example, values);
  const left = values.length - end;
  if (left > 0) text.append(make("span", { class: "cut" }, `… ${plural(left, "more word")} …`));
  return text;
}

function imageMap(example, values, signed, title) {
  const [rows, columns] = example.grid;
  const canvas = make("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  const top = magnitude(values);
  values.forEach((value, i) => {
    const strength = top > 0 ? Math.abs(value) / top : 0;
    pixels.data.set([...HUES[hueOf(value, signed)], Math.round(215 * strength)], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  const frame = picture(example, "", "map");
  const about = { ...stepping(`image under its map by ${title}`), "data-columns": columns, "data-rows": rows };
  frame.numbers = () => numbersByPart(example, values);
  return fill(frame, about, [canvas, outline(example)]);
}

function picture(example, alt, kind = "") {
  const [height, width] = example.size;
  const longest = Math.max(height, width);
  const scale = longest < 192 ? Math.floor(200 / longest) : Math.min(1, (example.rows ? 640 : 320) / longest);
  const image = make("img", {
    src: example.image,
    alt,
    width: Math.round(width * scale),
    height: Math.round(height * scale),
  });
  const frame = make("div", { class: `picture ${kind} ${longest < 192 ? "small" : example.rows ? "wide" : ""}` }, image);
  frame.style.maxWidth = `${Math.round(width * scale)}px`;
  return frame;
}

// For a file: a row a part
const numbersByPart = (example, values) => [
  ["part", "importance"],
  ...values.map((value, i) => [partName(example, i), String(value ?? "")]),
];

// The border around the regions that are known to decide, and the place of the region that is asked for
function outline(example) {
  const [rows, columns] = example.grid;
  const known = new Set(example.evidence ?? []);
  let path = "";
  for (const i of known) {
    const [y, x] = [Math.floor(i / columns), i % columns];
    if (!known.has(i - columns)) path += `M${x} ${y}h1`;
    if (!known.has(i + columns)) path += `M${x} ${y + 1}h1`;
    if (x === 0 || !known.has(i - 1)) path += `M${x} ${y}v1`;
    if (x === columns - 1 || !known.has(i + 1)) path += `M${x + 1} ${y}v1`;
  }
  const lines = ["dark", "light"].map((kind) => draw("path", { d: path, class: `border ${kind}` }));
  const here = draw("rect", { class: "square", width: 1, height: 1 });
  const box = { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  return draw("svg", box, ...lines, here);
}

function summary(example, values, signed) {
  const say = (i) => [make("b", {}, name(partName(example, i))), ` ${number(values[i])}`];
  const list = (places) => places.flatMap((i, n) => (n ? ["; ", ...say(i)] : say(i)));
  const most = example.words ? SUMMARY.text : SUMMARY.image;
  const places = strongest(values, signed ? values.length : most);
  const line = make("p", { class: "summary" });
  if (!places.length) line.append("no part matters here");
  else if (!signed) line.append("most important: ", ...list(places));
  else {
    const side = (sign) => list(places.filter((i) => values[i] * sign > 0).slice(0, Math.ceil(most / 2)));
    const [plus, minus] = [side(1), side(-1)];
    if (plus.length) line.append(make("span", { class: "side" }, "for: ", ...plus));
    if (minus.length) line.append(make("span", { class: "side" }, "against: ", ...minus));
  }
  return line;
}

// The stretch of a long text with most of what the chosen explainers point at
function stretchOf(example, whole) {
  const length = example.words?.length ?? 0;
  if (whole || length <= WORDS_SHOWN * 1.25) return [0, length];
  const weight = new Array(length).fill(0);
  for (const explainer of chosen) {
    const values = mapOf(example, explainer) ?? [];
    const top = magnitude(values) || 1;
    values.forEach((value, i) => (weight[i] += Math.abs(value) / top));
  }
  let [sum, best, start] = [0, -1, 0];
  weight.forEach((value, i) => {
    sum += value - (i >= WORDS_SHOWN ? weight[i - WORDS_SHOWN] : 0);
    if (i >= WORDS_SHOWN - 1 && sum > best + 1e-9) [best, start] = [sum, i - WORDS_SHOWN + 1];
  });
  return [start, start + WORDS_SHOWN];
}

// What is said of a part: its number by every explainer that the page shows
function numbersOf(example, i) {
  return viewsOf(example).flatMap((view) => {
    const rows = [...chosen].filter((explainer) => mapsOf(view)[explainer]);
    return rows.map((explainer) => [titled(view, explainer), number(mapOf(view, explainer)[i])]);
  });
}

const stepping = (label) => ({ tabindex: 0, role: "group", "aria-label": `${label}; arrow keys step through` });

let lit = []; // what stands out at the moment: words, and the squares over images

function showPart(map, i, spoken) {
  const card = map.closest("article");
  const example = shown.get(card);
  const piece = pieceOf(example, map);
  hidePart();
  for (const other of card.querySelectorAll(".maps .map")) {
    if (other.dataset.input !== map.dataset.input) continue;
    const part = other.querySelector(piece.words ? `[data-part="${i}"]` : ".square");
    if (!part) continue;
    part.classList.add("here");
    lit.push(part);
    if (piece.words) continue;
    part.setAttribute("x", i % piece.grid[1]);
    part.setAttribute("y", Math.floor(i / piece.grid[1]));
  }
  showLinks(card, example, piece, i);
  const rows = numbersOf(example, (piece.offset ?? 0) + i);
  const tip = byId("tip");
  tip.replaceChildren(
    make("b", {}, name(partName(piece, i))),
    ...rows.map(([who, value]) => make("div", {}, name(who), ` ${value}`)),
  );
  tip.hidden = false;
  const at = map.querySelector(".here").getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = at.bottom + tip.offsetHeight + 12 < window.innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? at.bottom + 6 : at.top - tip.offsetHeight - 6}px`;
  if (spoken) byId("said").textContent = `${partName(piece, i)}: ${rows.map((row) => row.join(" ")).join(", ")}`;
}

function hidePart() {
  byId("tip").hidden = true;
  for (const part of lit) part.classList.remove("here");
  lit = [];
  hideLinks();
}

function partUnder(map, event) {
  if (!map.dataset.columns) return event.target.dataset?.part ?? null;
  const box = map.getBoundingClientRect();
  const [columns, rows] = [Number(map.dataset.columns), Number(map.dataset.rows)];
  const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
  const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
  return x >= 0 && y >= 0 && x < columns && y < rows ? y * columns + x : null;
}

function stepFrom(map, key) {
  const columns = Number(map.dataset.columns ?? 1);
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
  const words = map.querySelectorAll(".word");
  if (by === undefined || !(words.length || map.dataset.rows)) return null;
  const first = words.length ? Number(words[0].dataset.part) : 0;
  const last = words.length ? Number(words[words.length - 1].dataset.part) : columns * Number(map.dataset.rows) - 1;
  const at = map.dataset.at === undefined ? (by > 0 ? first : last) : Number(map.dataset.at) + by;
  return Math.min(last, Math.max(first, at));
}

document.addEventListener("pointermove", (event) => {
  const map = event.target.closest?.(".maps .map");
  const part = map ? partUnder(map, event) : null;
  if (part !== null) showPart(map, Number(part), false);
  else if (!byId("tip").hidden && !document.activeElement?.matches(".map[data-at]")) hidePart();
});
document.addEventListener("click", (event) => {
  const map = event.target.closest?.(".maps .map");
  const part = map ? partUnder(map, event) : null;
  if (part === null) return;
  map.dataset.at = part; // the arrow keys go on from here
  showPart(map, Number(part), false);
});
document.addEventListener("focusout", hidePart);
document.addEventListener("scroll", hidePart, { passive: true });
