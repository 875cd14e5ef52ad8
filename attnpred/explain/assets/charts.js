// Line charts with the names of their curves below.

const CHART = { width: 480, height: 300, left: 44, right: 24, top: 12, bottom: 42 };
const KEY = { columns: 2, line: 20, gap: 14 };
const LINES = 8; // colours of lines in style.css

function chart(kind, doing, better, fractions, curves) {
  const { width, height, left, right, top, bottom } = CHART;
  const [least, most, step] = range(curves.flatMap(([, curve]) => curve));
  const x = (fraction) => left + fraction * (width - left - right);
  const y = (value) => top + ((most - value) / (most - least)) * (height - top - bottom);
  const [title, text] = [`${MEASURES[kind].title} curves`, described(doing, better, fractions, curves)];
  const picture = draw(
    "svg",
    { viewBox: `0 0 ${width} ${height + KEY.gap + KEY.line * Math.ceil(curves.length / KEY.columns)}`, role: "img", "aria-labelledby": `${kind}-title ${kind}-desc`, class: "chart" },
    draw("title", { id: `${kind}-title` }, title),
    draw("desc", { id: `${kind}-desc` }, text),
  );
  for (let value = least; value < most + step / 2; value += step) {
    picture.append(
      draw("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "rule" }),
      draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(1)),
    );
  }
  for (let i = 0; i <= 4; i++) {
    picture.append(draw("text", { x: x(i / 4), y: height - bottom + 17, "text-anchor": "middle" }, `${25 * i} %`));
  }
  picture.append(
    draw("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, `parts ${doing}`),
  );
  const lines = curves.map(([who, curve], i) => ({
    who,
    look: who === FLOOR ? "floor" : `line-${i % LINES}`,
    points: fractions.map((fraction, n) => [x(fraction), y(curve[n] ?? least)]),
  }));
  for (const { look, points } of lines) {
    picture.append(
      draw("polyline", { points: points.map((point) => point.join(",")).join(" "), class: `curve ${look}` }),
    );
  }
  picture.append(...key(lines));
  const caption = make(
    "figcaption",
    {},
    make("b", {}, title),
    `, ${better} is better. The score while parts are ${doing}.`,
  );
  return make("figure", {}, caption, picture, numbers(kind, fractions, curves));
}

// Round numbers around all values, and the step between rules
function range(values) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const step = high - low > 0.5 ? 0.2 : 0.1;
  const least = step * Math.floor(low / step + 1e-9);
  return [least, Math.max(least + step, step * Math.ceil(high / step - 1e-9)), step];
}

// Below the plot, so that no name crosses or hides a curve: in the order of the curves where they lie farthest apart
function key(lines) {
  const { width, left, top, height, bottom } = CHART;
  const heights = (n) => lines.map((line) => line.points[n][1]).sort((a, b) => a - b);
  const closest = (n) => Math.min(...heights(n).map((y, i, all) => (i ? y - all[i - 1] : Infinity)));
  const inner = lines[0].points.map((_, n) => n).slice(1, -1);
  const at = inner.reduce((best, n) => (closest(n) > closest(best) ? n : best), inner[0] ?? 0);
  const sorted = [...lines].sort((a, b) => a.points[at][1] - b.points[at][1]);
  return sorted.flatMap(({ who, look }, i) => {
    const x = left + (i % KEY.columns) * ((width - left) / KEY.columns);
    const y = height + KEY.gap + Math.floor(i / KEY.columns) * KEY.line;
    const short = who.length > 24 ? `${who.slice(0, 23)}…` : who;
    return [
      draw("line", { x1: x, x2: x + 26, y1: y - 4, y2: y - 4, class: `curve ${look}` }),
      draw("text", { x: x + 33, y, class: "curve-name" }, short),
    ];
  });
}

function described(doing, better, fractions, curves) {
  const middle = Math.floor(fractions.length / 2);
  const each = curves.map(([who, curve]) => `${who} ${number(curve[middle])}`).join(", ");
  return (
    `The score while parts are ${doing}, ${better} is better. With ` +
    `${Math.round(100 * fractions[middle])} % ${doing}: ${each}.`
  );
}

function numbers(kind, fractions, curves) {
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "parts"),
    ...curves.map(([who]) => make("th", { scope: "col" }, name(who))),
  );
  const rows = fractions.map((fraction, n) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, `${Math.round(100 * fraction)} %`),
      ...curves.map(([, curve]) => make("td", {}, number(curve[n]))),
    ),
  );
  const caption = make("caption", { class: "hidden" }, `${kind}: ${story.scored} by the share of parts`);
  const whole = make("table", {}, caption, make("thead", {}, head), make("tbody", {}, ...rows));
  const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": `numbers of the ${kind} curves` };
  return make("details", {}, make("summary", {}, `The numbers behind the ${kind} curves`), make("div", region, whole));
}
