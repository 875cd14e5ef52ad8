"use strict";
// A report of drift: a verdict, every measure with its bound, and how both samples are spread.

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const [WIDTH, HEIGHT] = [320, 120];

function table(label, heads, rows) {
  const head = make("tr", {}, ...heads.map((one) => make("th", { scope: "col" }, one)));
  const body = make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells)));
  return make("div", { class: "scroll framed", tabindex: "0", role: "region", "aria-label": label }, make("table", {}, make("thead", {}, head), body));
}

const cell = (value, kind = null) => make("td", { class: kind }, typeof value === "string" ? name(value) : value);

function showHead() {
  byId("title").append(name(story.run));
  const alarms = story.measures.filter((one) => one.alarm);
  byId("verdict").className = `note ${alarms.length ? "alarm" : "calm"}`;
  byId("verdict").append(
    alarms.length ? `Alarm: ${alarms.map((one) => one.name).join("; ")}` : `No alarm by ${plural(story.measures.length, "measure")}.`,
  );
  const facts = [
    ["new rows", story.rows.toLocaleString("en")],
    ["of", story.source],
    ["reference", `${story.reference.rows.toLocaleString("en")} rows of the ${story.reference.split} split`],
    ["made", story.when],
  ];
  byId("facts").append(...facts.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, name(value)))));
  byId("footer").append("Made by attnpred. Nothing on this page asks the network for anything.");
}

function showMeasures() {
  const rows = story.measures.map((one) => [
    make("th", { scope: "row" }, name(one.name)),
    cell(number(one.before)),
    cell(number(one.now)),
    cell(one.effect.toFixed(3)),
    cell(one.bound.toFixed(3)),
    cell(number(one.corrected)),
    cell(one.alarm ? "alarm" : "", one.alarm ? "alarm" : null),
  ]);
  byId("measures").append(table("measures", ["measure", "mean before", "mean now", "effect", "bound", "p (Holm)", ""], rows));
  const level = `An alarm needs an effect above its bound, and p below ${story.level}, corrected for all measures.`;
  byId("measures").append(make("p", { class: "quiet" }, level));
}

function chart(one) {
  const { before, now, edges, names } = one.histogram;
  const top = Math.max(...before, ...now) || 1;
  const step = WIDTH / before.length;
  const height = (value) => (HEIGHT - 22) * (value / top);
  const bars = before.map((value, i) =>
    draw("rect", { class: "before", x: i * step, y: HEIGHT - 18 - height(value), width: step, height: height(value) }),
  );
  const path = now.map((value, i) => `${i ? "L" : "M"}${i * step} ${HEIGHT - 18 - height(value)}h${step}`).join("");
  const first = names ? names[0] : number(edges[0]);
  const last = names ? names[names.length - 1] : number(edges[edges.length - 1]);
  const said = `${one.name}: effect ${one.effect.toFixed(3)}, bound ${one.bound.toFixed(3)}${one.alarm ? ", alarm" : ""}`;
  const picture = draw(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
    draw("title", {}, said),
    ...bars,
    draw("path", { class: "now", d: path }),
    draw("text", { x: 0, y: HEIGHT - 3 }, first),
    draw("text", { x: WIDTH, y: HEIGHT - 3, "text-anchor": "end" }, last),
  );
  return make("figure", {}, make("figcaption", {}, make("b", {}, name(one.name)), ` ${one.alarm ? "alarm, " : ""}${one.effect.toFixed(3)} of ${one.bound.toFixed(3)}`), picture);
}

function showPictures() {
  const drawn = story.measures.filter((one) => one.histogram);
  byId("pictures").hidden = !drawn.length;
  const swatch = (shape) => draw("svg", { viewBox: "0 0 12 7", "aria-hidden": "true" }, shape);
  const key = make(
    "p",
    { class: "quiet key" },
    make("span", {}, swatch(draw("rect", { class: "before", width: 12, height: 7 })), " before"),
    make("span", {}, swatch(draw("path", { class: "now", d: "M0 3h12" })), " now"),
  );
  byId("charts").before(key);
  byId("charts").append(...drawn.map(chart));
}

function showFalse() {
  byId("false").hidden = !story.false_alarms.length;
  if (!story.false_alarms.length) return;
  byId("false").append(make("p", {}, "How often rows of the run's own test split, drawn at random, give alarm."));
  const rows = story.false_alarms.map((one) => [
    cell(one.rows.toLocaleString("en")),
    cell(one.windows.toLocaleString("en")),
    cell(percent(one.share[0])),
    cell(`${percent(one.share[1])} to ${percent(one.share[2])}`),
  ]);
  byId("false").append(table("false alarms", ["rows at once", "windows", "alarms", "95 %"], rows));
}

function showTests() {
  const said = Object.entries(story.tests).flatMap(([key, text]) => [make("dt", {}, key), make("dd", {}, text)]);
  byId("tests").append(make("dl", { class: "tests" }, ...said));
}

keepTheme();
showHead();
showMeasures();
showPictures();
showFalse();
showTests();
