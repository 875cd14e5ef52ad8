// Views of single layers and heads: small multiples, drawn when unfolded; one that is picked is shown at length.

const STRIP = 64; // pixels that a text's small view has

function headsOf(example) {
  if (!example.heads) return null;
  const heads = Math.max(...example.heads.map((layer) => layer.length));
  const summary = make(
    "summary",
    {},
    `Layers and heads (${plural(example.heads.length, "layer")} of ${plural(heads, "head")})`,
  );
  const box = make("details", { class: "heads" }, summary);
  const unfold = () => box.open && box.childElementCount === 1 && box.append(...multiples(example));
  box.addEventListener("toggle", unfold);
  return box;
}

function multiples(example) {
  const large = make("div", { class: "large", role: "status", "aria-live": "polite" });
  const grid = make("div", {
    class: "grid",
    role: "group",
    "aria-label": "layers and heads; arrow keys move, Enter shows one",
  });
  const tiles = [];
  const pick = (at) => {
    tiles.forEach((tile, i) => tile.button.setAttribute("aria-pressed", String(i === at)));
    const { title, values } = tiles[at];
    const about = "One scale a view: the strongest part is darkest.";
    large.replaceChildren(panel(example, values, { title, about, signed: false, stretch: stretchOf(example, false) }));
  };
  example.heads.forEach((layer, l) => {
    const heads = layer.map((packed) => unpack(packed, Int8Array));
    const mean = heads[0].map((_, i) => heads.reduce((sum, head) => sum + head[i], 0) / heads.length);
    const row = make("div", { class: "layer" }, make("span", { class: "layer-name" }, `layer ${l + 1}`));
    [mean, ...heads].forEach((values, h) => {
      const title = `layer ${l + 1}, ${h ? `head ${h}` : "mean of heads"}`;
      const at = tiles.length;
      const button = tile(example, values, title, h ? `head ${h}` : "mean", () => pick(at));
      button.tabIndex = at ? -1 : 0;
      tiles.push({ button, title, values, row: l, column: h });
      row.append(button);
    });
    grid.append(row);
  });
  grid.addEventListener("keydown", (event) => moveAmong(tiles, event));
  return [make("div", { class: "scroll" }, grid), large];
}

function tile(example, values, title, label, onClick) {
  const first = strongest(values, 1).map((i) => `${nameOfPart(example, i)} ${number(values[i])}`);
  const views = piecesOf(example).map((piece) => {
    const own = ownOf(piece, values);
    return piece.words ? strip(own) : thumbnail(piece, own);
  });
  const textual = piecesOf(example).some((piece) => piece.words);
  const caption = textual ? make("span", { class: "top" }, name(first[0] ?? "–")) : null;
  const about = { type: "button", class: "tile", "aria-pressed": "false", on: { click: onClick } };
  about["aria-label"] = `${title}: ${first.length ? `most important ${first[0]}` : "no part matters"}`;
  return make("button", about, make("span", { class: "tile-name" }, label), ...views, caption);
}

const ink = (canvas, shares) => {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  shares.forEach((strength, i) =>
    pixels.data.set([...HUES.importance, Math.round(255 * Math.max(0, strength))], 4 * i),
  );
  context.putImageData(pixels, 0, 0);
  return canvas;
};

// A text as one row of bars; of more words than bars each bar shows the greatest of its own
function strip(values) {
  const width = Math.max(1, Math.min(STRIP, values.length));
  const top = magnitude(values) || 1;
  const bars = new Array(width).fill(0);
  values.forEach((value, i) => {
    const bar = Math.floor((i * width) / values.length);
    bars[bar] = Math.max(bars[bar], value / top);
  });
  return ink(make("canvas", { width, height: 1, class: "strip", "aria-hidden": "true" }), bars);
}

function thumbnail(example, values) {
  const [rows, columns] = example.grid;
  const top = magnitude(values) || 1;
  const canvas = make("canvas", { width: columns, height: rows, "aria-hidden": "true" });
  const frame = make("span", { class: "picture" }, make("img", { src: example.image, alt: "" }));
  frame.append(
    ink(
      canvas,
      values.map((value) => (0.85 * value) / top),
    ),
  );
  return frame;
}

// One stop of the tab key for all tiles; the arrow keys go from one to the next.
function moveAmong(tiles, event) {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  const from = tiles.find((tile) => tile.button === event.target);
  if (!step || !from) return;
  event.preventDefault();
  event.stopPropagation();
  const to = tiles.find((tile) => tile.row === from.row + step[0] && tile.column === from.column + step[1]);
  if (!to) return;
  from.button.tabIndex = -1;
  to.button.tabIndex = 0;
  to.button.focus();
}
