// Several inputs of one example, such as a question and an image: a map each, side by side. Pointing at a part of one
// lights the parts of the others that it attends to.

const pieced = new WeakMap(); // example -> its inputs, each like an example of its own
function piecesOf(example) {
  if (!example.inputs) return [example];
  if (!pieced.has(example)) {
    let offset = 0;
    const pieces = example.inputs.map((input, i) => {
      const count = input.words ? input.words.length : input.grid[0] * input.grid[1];
      const own = (example.evidence ?? []).map((part) => part - offset).filter((part) => part >= 0 && part < count);
      const piece = { label: null, evidence: own, ...input, place: i, offset, count };
      offset += count;
      return piece;
    });
    pieced.set(example, pieces);
  }
  return pieced.get(example);
}

// The input that a map shows
const pieceOf = (example, map) => piecesOf(example)[Number(map.dataset.input ?? 0)];

// What a map over all inputs says of one
const ownOf = (piece, values) => (piece.count === undefined ? values : values.slice(piece.offset, piece.offset + piece.count));

// A part by its number over all inputs
function nameOfPart(example, i) {
  const piece = example.inputs ? piecesOf(example).findLast((one) => one.offset <= i) : example;
  return partName(piece, i - (piece.offset ?? 0));
}

function mapsOfInputs(example, values, signed, title) {
  const total = values.reduce((sum, value) => sum + Math.abs(value), 0) || 1;
  return piecesOf(example).map((piece) => {
    const own = ownOf(piece, values);
    const part = own.reduce((sum, value) => sum + Math.abs(value), 0) / total;
    const about = `${piece.name} by ${title}`;
    const map = piece.words
      ? textMap(piece, own, signed, about, [0, piece.count])
      : imageMap(piece, own, signed, about);
    map.dataset.input = piece.place;
    const head = make("h5", {}, name(piece.name), make("small", {}, ` ${share(part)} of this map`));
    return make("div", { class: "input" }, head, map, summary(piece, own, signed));
  });
}

function originals(example) {
  return make(
    "div",
    { class: "panel inputs" },
    make("h4", {}, "original"),
    ...piecesOf(example).map((piece) =>
      make(
        "div",
        { class: "input" },
        make("h5", {}, name(piece.name)),
        piece.words
          ? make("p", { class: "text", dir: "auto" }, piece.words.join(" "))
          : picture(piece, `${piece.name} of example ${example.id}`),
      ),
    ),
  );
}

const crossings = new WeakMap();
// How much a part, counted over all inputs, attends to each part; null where that is not kept
function attendedBy(example, part) {
  if (!example.cross) return null;
  if (!crossings.has(example)) crossings.set(example, unpack(example.cross, Int8Array));
  const all = piecesOf(example).reduce((sum, piece) => sum + piece.count, 0);
  return crossings.get(example).slice(part * all, (part + 1) * all);
}

// Lights what a part attends to in the other inputs' maps
function showLinks(card, example, piece, part) {
  const weights = attendedBy(example, piece.offset + part);
  if (!weights) return;
  for (const other of card.querySelectorAll(".map[data-input]")) {
    const there = pieceOf(example, other);
    if (there === piece) continue;
    const own = ownOf(there, weights);
    const top = magnitude(own);
    own.forEach((weight, i) => top > 0 && light(other, there, i, weight / top));
  }
}

function light(map, piece, i, strength) {
  if (strength < 0.1) return;
  if (piece.words) {
    const word = map.querySelector(`[data-part="${i}"]`);
    if (!word) return;
    word.classList.add("linked");
    word.style.setProperty("--link", strength);
    lit.push(word);
    return;
  }
  const [x, y] = [i % piece.grid[1], Math.floor(i / piece.grid[1])];
  const box = draw("rect", { class: "linked", x, y, width: 1, height: 1, "data-part": i, "fill-opacity": strength * 0.7 });
  map.querySelector("svg").append(box);
  links.push(box);
}

let links = []; // drawn over images at the moment
function hideLinks() {
  for (const box of links) box.remove();
  links = [];
  for (const word of document.querySelectorAll(".word.linked")) word.classList.remove("linked");
}

// Whether a model that was asked to look did look: what the score loses without an input, each one's share of the maps,
// and how true the maps are on each alone
function ofInputs(found) {
  const inputs = Object.entries(found.inputs ?? {});
  if (!inputs.length) return [];
  const who = [...new Set(inputs.flatMap(([, one]) => Object.keys(one.share)))];
  const interval = (value) => (value ? `${fixed(value[0])} (${fixed(value[1])} to ${fixed(value[2])})` : "–");
  const head = ["Input", "Score lost without it", ...who.map((one) => `Share of ${one}`)];
  const rows = inputs.map(([title, one]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, name(title)),
      make("td", {}, interval(one.fall)),
      ...who.map((explainer) => make("td", {}, interval(one.share[explainer]))),
    ),
  );
  const whole = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, name(text))))),
    make("tbody", {}, ...rows),
  );
  return [
    make("h3", {}, "Which input the answer hangs on"),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table of inputs" }, whole),
    ...inputs.flatMap(([title, one]) => {
      const scores = one.scores ?? {};
      const asked = [...who.filter((explainer) => scores[explainer]), ...(scores[FLOOR] ? [FLOOR] : [])];
      const measures = Object.keys(MEASURES).filter((measure) => asked.some((explainer) => scores[explainer]?.[measure]));
      return [make("h3", {}, `Taking parts away of the ${title} alone`), table(asked, measures, one, null)];
    }),
  ];
}
