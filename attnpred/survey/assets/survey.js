"use strict";
// A survey of data: columns, parts with their classes, odd rows, rows that are alike, labels in doubt.

const whole = (count) => count.toLocaleString("en");

function table(label, heads, rows) {
  const head = make("tr", {}, ...heads.map((one) => make("th", { scope: "col" }, one)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, typeof cell === "string" ? name(cell) : cell))));
  return make("div", { class: "scroll framed", tabindex: "0", role: "region", "aria-label": label }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

function showHead() {
  byId("title").append(name(story.source));
  const facts = [...story.splits.map((one) => [`rows of ${one.name}`, whole(one.rows)]), ...story.facts];
  byId("facts").append(...facts.map(([key, value]) => make("div", {}, make("dt", {}, name(key)), make("dd", {}, name(value)))));
  const next = story.question ?? (story.refused ? `Would be refused: ${story.refused}` : story.command);
  byId("next").append(story.question || story.refused || !next ? name(next ?? "") : make("code", {}, name(next)));
  byId("footer").append("Made by attnpred. Nothing on this page asks the network for anything.");
}

function showColumns() {
  const rows = story.columns.map((one) => [
    one.name,
    one.kind,
    whole(one.missing + one.empty),
    one.distinct === null ? "many" : one.distinct ? whole(one.distinct) : "",
    one.span,
    one.plays ?? "",
    one.samples.join("; "),
  ]);
  byId("columns").append(table("columns", ["column", "kind", "missing", "different", "range", "plays", "values"], rows));
}

// A share of a part's rows, as a bar and in numbers
function shareOf(part, key) {
  const count = part.classes[key] ?? 0;
  const share = part.rows ? count / part.rows : 0;
  const bar = draw(
    "svg",
    { viewBox: "0 0 100 8", width: "100", height: "8", "aria-hidden": "true" },
    draw("rect", { width: String(100 * share), height: "8", fill: "currentColor", opacity: "0.5" }),
  );
  return make("span", {}, bar, ` ${whole(count)} (${(100 * share).toFixed(1)} %)`);
}

function showParts() {
  byId("parts").hidden = !story.parts.length;
  if (!story.parts.length) return;
  const names = [...new Set(story.parts.flatMap((part) => Object.keys(part.classes ?? {})))];
  const rows = [["rows", ...story.parts.map((part) => whole(part.rows))], ...names.map((key) => [key, ...story.parts.map((part) => shareOf(part, key))])];
  byId("parts").append(table("parts", ["", ...story.parts.map((part) => part.part)], rows));
}

function showOdd() {
  const found = [
    ...story.problems.map((one) => [`${plural(one.count, "row")} ${one.what}`, one.rows.join(", "), one.remedy]),
    ...story.pairs.map((one) => [`${one.kind}: ${one.said}`, one.shown.map((pair) => `${pair.rows.join(" = ")}: ${pair.targets.join(" and ")}`).join("; "), ""]),
    ...story.warnings.map((line) => [line, "", ""]),
  ];
  byId("odd").append(found.length ? table("what to look at", ["what", "rows", "what to do"], found) : make("p", {}, "Nothing odd was found."));
}

function showDoubts() {
  const found = story.doubts;
  byId("doubts").hidden = !found;
  if (!found) return;
  byId("doubts").append(make("p", {}, `${whole(found.doubted)} of ${plural(found.rows, "row")} that ${plural(found.runs.length, "run")} did not train on.`));
  const rows = found.shown.map((one) => [one.row, one.label, one.answer, one.said, one.input]);
  if (rows.length) byId("doubts").append(table("labels in doubt", ["row", "label", "answer", "sure", "input"], rows));
}

keepTheme();
showHead();
showColumns();
showParts();
showOdd();
showDoubts();
