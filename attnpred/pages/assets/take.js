// Every chart, map and table of a page can be saved: SVG and PNG, CSV and LaTeX. Colours are those of the light theme.

const PRESENTATION = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin"];
const OF_TEXT = ["font-family", "font-size", "font-weight", "text-anchor", "paint-order"];
const ENLARGED = 3; // pixels of a PNG for each of the page

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "attnpred";
const plainNumber = (text) => text.replaceAll("\u2212", "-");

function save(name, extension, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: url, download: `${slug(name)}.${extension}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// What a function reads of the page while its light colours hold
function inLight(read) {
  const root = document.documentElement;
  const before = root.dataset.theme;
  root.dataset.theme = "light";
  try {
    return read();
  } finally {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
  }
}

function sheet(width, height, ...children) {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  return draw("svg", size, draw("rect", { width, height, fill: "#ffffff" }), ...children);
}

// A chart with the styles that it has here as attributes of its own
function chartAsSvg(chart) {
  const { width, height } = chart.viewBox.baseVal;
  const copy = chart.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll("*")];
  [chart, ...chart.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(element);
    const wanted = element.tagName === "text" ? [...PRESENTATION, ...OF_TEXT] : PRESENTATION;
    for (const property of wanted) copies[i].setAttribute(property, style.getPropertyValue(property));
    copies[i].removeAttribute("class");
    copies[i].removeAttribute("tabindex");
  });
  return sheet(width, height, ...copy.childNodes);
}

// Words where they stand, each on its colour
function wordsAsSvg(map) {
  const frame = map.getBoundingClientRect();
  const style = getComputedStyle(map);
  const font = { "font-family": style.fontFamily, "font-size": style.fontSize, fill: style.color };
  const words = [...map.querySelectorAll("span")].flatMap((word) => {
    const box = word.getBoundingClientRect();
    const at = { x: box.left - frame.left, y: box.top - frame.top };
    const ground = { ...at, width: box.width, height: box.height, rx: 3, fill: getComputedStyle(word).backgroundColor };
    const text = { x: at.x + box.width / 2, y: at.y + 0.72 * box.height, "text-anchor": "middle", ...font };
    return [draw("rect", ground), draw("text", text, word.textContent)];
  });
  return sheet(Math.ceil(frame.width), Math.ceil(frame.height), ...words);
}

// An image, as grey as it is below its map here, and the map
function imageAsSvg(map) {
  const [image, canvas] = [map.querySelector("img"), map.querySelector("canvas")];
  const below = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = below.getContext("2d");
  context.filter = getComputedStyle(image).filter;
  context.drawImage(image, 0, 0);
  const { width, height } = image;
  const layers = [below, canvas].map((layer) =>
    draw("image", { width, height, preserveAspectRatio: "none", href: layer.toDataURL("image/png") }),
  );
  return sheet(width, height, ...layers);
}

const serialized = (svg) => new XMLSerializer().serializeToString(svg);

function savePng(name, svg) {
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = make("canvas", { width: ENLARGED * image.width, height: ENLARGED * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name, "png", "image/png", blob));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(serialized(svg))}`;
}

// A cell as one line of text, without what only draws
function cellText(cell) {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest("svg, button, [aria-hidden='true']")) found.push(node.data.trim());
  return plainNumber(found.filter(Boolean).join(" "));
}

const rowsOf = (table) => [...table.rows].map((row) => [...row.cells].map(cellText));

// Quoted where CSV asks for it; what a spreadsheet would run as a formula begins with an apostrophe
function csv(rows) {
  const cell = (text) => {
    const safe = /^[=@\t\r]/.test(text) || (/^[+-]/.test(text) && Number.isNaN(Number(text))) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const latexText = (text) => text.replace(/[\\~^&%$#_{}]/g, (one) => LATEX[one] ?? `\\${one}`);

function latexTable(rows) {
  const width = Math.max(...rows.map((row) => row.length));
  const lines = rows.map((row) => `${row.map(latexText).join(" & ")} \\\\`);
  lines.splice(1, 0, "\\hline");
  return `\\begin{tabular}{l${"r".repeat(width - 1)}}\n${lines.join("\n")}\n\\end{tabular}\n`;
}

function latexWords(map) {
  const words = [...map.querySelectorAll(".word")].map((word) => {
    const ground = getComputedStyle(word).backgroundColor.match(/[\d.]+/g) ?? [];
    const text = `\\strut ${latexText(word.textContent)}`;
    return Number(ground[3] ?? 1) ? `\\colorbox[RGB]{${ground.slice(0, 3)}}{${text}}` : text;
  });
  return `% \\usepackage{xcolor}\n{\\setlength{\\fboxsep}{1pt}\n${words.join("\n")}\n}\n`;
}

function waysOf(element) {
  const figure = (make) => [
    ["SVG", (name) => save(name, "svg", "image/svg+xml", serialized(inLight(() => make(element))))],
    ["PNG", (name) => savePng(name, inLight(() => make(element)))],
  ];
  const text = (label, extension, type, write) => [label, (name) => save(name, extension, type, write())];
  if (element.matches("table"))
    return [
      text("CSV", "csv", "text/csv", () => csv(rowsOf(element))),
      text("LaTeX", "tex", "application/x-tex", () => latexTable(rowsOf(element))),
    ];
  if (element.matches("svg")) return figure(chartAsSvg);
  const numbers = [text("CSV", "csv", "text/csv", () => csv(element.numbers()))];
  if (!element.matches(".text")) return [...figure(imageAsSvg), ...numbers];
  return [
    ...figure(wordsAsSvg),
    ...numbers,
    text("LaTeX", "tex", "application/x-tex", () => inLight(() => latexWords(element))),
  ];
}

function nameOf(element) {
  const said = element.caption?.textContent ?? element.querySelector("title")?.textContent ?? element.getAttribute("aria-label");
  const card = element.closest("article")?.querySelector(".number")?.textContent ?? "";
  return [byId("title").textContent.slice(0, 30), card, said].filter(Boolean).join(" ");
}

function equip() {
  for (const element of document.querySelectorAll("svg.chart, table, .panel > .map")) {
    if (element.taken) continue;
    element.taken = true;
    const buttons = waysOf(element).map(([label, act]) =>
      make("button", { type: "button", on: { click: () => act(nameOf(element)) } }, label),
    );
    const bar = make("details", { class: "take" }, make("summary", { "aria-label": "Save as a file" }, "Save"), ...buttons);
    (element.closest(".scroll") ?? element).after(bar);
  }
}

new MutationObserver(equip).observe(document.body, { childList: true, subtree: true });
document.addEventListener("DOMContentLoaded", equip);
equip();
