// The page as a whole.

function showHead() {
  byId("title").append(story.title);
  const runs = groups.reduce((sum, group) => sum + group.runs.length, 0);
  const facts = [
    ["groups", groups.length.toLocaleString("en")],
    ["runs", runs.toLocaleString("en")],
    ["result", `${metric}, ${story.lessIsBetter ? "lower" : "higher"} is better`],
    ["left out", story.leftOut.map((one) => `${one}`).join("; ") || "none"],
  ];
  byId("facts").append(...facts.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, name(value)))));
  byId("legend").append(...[...story.legend, ...story.notes].map((line) => make("p", {}, line)));
  byId("others-choice").hidden = !story.others.length;
  byId("footer").append("Made by attnpred. Nothing on this page asks the network for anything.");
}

function showCurveTools() {
  byId("curve").append(...curveNames().map((one) => make("option", { value: one }, one)));
  const kept = story.curvesOf < groups.length ? ` To keep this file small, curves are here for the first ${story.curvesOf} groups of the original order.` : "";
  byId("curves-about").append(`Of the groups that have a colour, which the boxes in the table give and take.${kept}`);
  byId("curve").addEventListener("change", showCurves);
  byId("band").addEventListener("change", showCurves);
}

keepTheme();
showHead();
groups.slice(0, COLOURED).forEach((group) => mark(group, true));
showCurveTools();
onChange(showTable);
onChange(showCurves);
if (groups.length > 1 && story.options.length) {
  axes = makeAxes();
  onChange(showParallel);
} else {
  byId("options").hidden = byId("to-options").hidden = true;
}
choose();
byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", choose);
byId("others").addEventListener("change", choose);
byId("clear").addEventListener("click", () => {
  brushes.clear();
  choose();
  byId("filter").focus();
});
byId("more").addEventListener("click", () => {
  const before = rowsShown;
  rowsShown += 10 * ROWS;
  showTable();
  document.querySelectorAll("#groups tbody input")[before]?.focus();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
