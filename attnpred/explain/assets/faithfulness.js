// How far the maps can be believed: measures beside the random floor, and what happens as parts are taken away.

// `higher` is whether more is better; rank correlation with shuffled weights has no floor, it should be near 0.
const MEASURES = {
  comprehensiveness: {
    title: "Comprehensiveness",
    higher: true,
    says: "How much the score falls when the most important parts are taken away",
  },
  sufficiency: { title: "Sufficiency", higher: false, says: "How much the score falls when only they are kept" },
  deletion: {
    title: "Deletion",
    higher: false,
    says: "The mean score while parts are taken away, the most important ones first",
  },
  insertion: {
    title: "Insertion",
    higher: true,
    says: "The mean score while parts are put back, the most important ones first",
  },
  racu: {
    title: "RACU",
    higher: true,
    says: "How far deletion lies below that of a random order, as a share of the room that there is",
  },
  racu_second: {
    title: "RACU, second removal",
    higher: true,
    says: "The same where parts are taken away in another way: how far the verdict hangs on that",
  },
  f_fidelity: {
    title: "F-Fidelity",
    higher: true,
    says: "How much more the score falls without some of the named parts than without as many others",
  },
  rank_correlation: {
    title: "Rank correlation",
    higher: true,
    says: "How well the order of the parts agrees with what happens when each is left out alone",
  },
  agreement: {
    title: "Agreement of two seeds",
    higher: true,
    says: "How well the order of the parts agrees with that of the same model trained from another seed",
  },
  pointing: {
    title: "Pointing",
    higher: true,
    says: "How often the most important part is one that is known to decide the label",
  },
  pointing_game: {
    title: "Pointing game",
    higher: true,
    says: "How much of what speaks for a class lies in its example, which was put among examples of other classes",
  },
  precision_recall: {
    title: "Precision and recall",
    higher: true,
    says: "How well the order of the parts puts those first that are known to decide the label, as an area",
  },
  overlap: {
    title: "Overlap",
    higher: true,
    says: "How many of the parts that decide the label are among as many of the most important ones, of all in either",
  },
};
const FLOOR = "random";
const fixed = (value) => (value === null ? "–" : value.toFixed(3).replace("-", "−"));
const SIGNIFICANT = 0.05; // p-values below it
const UNMOVED = 0.5; // a rank correlation from which on two maps are much alike

function showFaithfulness() {
  const found = story.faithfulness;
  if (!found) return;
  byId("faithfulness").hidden = byId("contents").hidden = false;
  if (!found.answers) return showMeasured(found, null);
  for (const [answer, measured] of Object.entries(found.answers)) showMeasured(measured, answer);
}

function showMeasured(found, answer) {
  const section = byId("faithfulness");
  if (answer) section.append(make("h3", {}, name(answer)));
  const scores = found.scores ?? {};
  const rows = [...explainers.keys(), ...Object.keys(scores).filter((who) => !explainers.has(who) && who !== FLOOR)];
  const asked = rows.filter((who) => scores[who] || found.sanity?.[who] !== undefined);
  if (scores[FLOOR]) asked.push(FLOOR);
  const measures = Object.keys(MEASURES).filter((measure) => asked.some((who) => scores[who]?.[measure]));
  const sanity = Object.keys(found.sanity ?? {}).length > 0;
  section.append(
    make(
      "p",
      {},
      `Measured on ${plural(found.examples, "example")} by taking parts of the input away (`,
      make("i", {}, found.removal),
      `) and watching the score: ${found.scored ?? story.scored}. Each number is a mean with its 95 % confidence interval. `,
      "The floor is an explainer that orders parts at random. Each explainer is tested against it on the same examples, ",
      "by a paired t-test, corrected for how many are tested (Holm).",
    ),
    table(asked, measures, found, sanity ? found.sanity : null),
    explanation(measures, sanity),
    ...ofInputs(found),
    ...cascade(found.cascade ?? {}),
    ...charts(found, rows),
    make("h3", {}, "What this does not prove"),
    make(
      "p",
      {},
      "These numbers say how well a map names the parts that this model's answer depends on, one input ",
      "at a time. They do not say that the model is right, that it is right for a good reason, or that a person would ",
      "agree. Inputs with parts taken away are unlike those the model was trained on, unless it was trained with ",
      "task.seen_masked, so some of a fall may come from their strangeness alone; and an explainer that beats the random floor on average can mislead on a single example.",
    ),
  );
}

// What the paired test says of an explainer and a measure; null where it is better than random, or was not tested
function verdict(who, measure, tests) {
  const test = tests?.[who]?.[measure];
  if (!test) return null;
  if (test.p === null || test.p >= SIGNIFICANT) return make("span", { class: "unclear" }, "no difference from random shown");
  const better = test.difference > 0 === MEASURES[measure].higher;
  return better ? null : make("strong", { class: "poor" }, "worse than random");
}

function table(rows, measures, { scores = {}, tests }, sanity) {
  const head = make("tr", {}, make("th", { scope: "col" }, "Explainer"));
  for (const measure of measures) {
    const { title, higher } = MEASURES[measure];
    head.append(
      make("th", { scope: "col" }, title, make("small", {}, higher ? "higher is better" : "lower is better")),
    );
  }
  if (sanity) head.append(make("th", { scope: "col" }, "Shuffled weights", make("small", {}, "near 0 is better")));
  const body = make("tbody");
  for (const who of rows) {
    const title = who === FLOOR ? "random (the floor)" : who;
    const row = make("tr", { class: who === FLOOR ? "floor" : null }, make("th", { scope: "row" }, breakable(title)));
    for (const measure of measures) row.append(cell(who, measure, rows, scores, verdict(who, measure, tests)));
    if (sanity) row.append(sanityCell(sanity[who]));
    body.append(row);
  }
  const whole = make(
    "table",
    {},
    make("caption", { class: "hidden" }, "Faithfulness by explainer"),
    make("thead", {}, head),
    body,
  );
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table of faithfulness" }, whole);
}

function cell(who, measure, rows, scores, said) {
  const score = scores[who]?.[measure];
  if (!score || score[0] === null) return make("td", {}, "–");
  const floor = scores[FLOOR]?.[measure];
  const [mean, low, high] = score;
  const interval = make("small", {}, `${fixed(low)} to ${fixed(high)}`);
  return make(
    "td",
    {},
    make("span", { class: "mean" }, fixed(mean)),
    interval,
    spread(measure, score, floor, rows, scores),
    said,
  );
}

// The interval on a scale that the column shares, above the floor's in grey
function spread(measure, [mean, low, high], floor, rows, scores) {
  const all = rows.flatMap((who) => scores[who]?.[measure] ?? []).filter((value) => value !== null);
  const [least, most] = [Math.min(0, ...all), Math.max(0, ...all)];
  const x = (value) => 3 + ((value - least) / (most - least || 1)) * 94;
  const picture = draw("svg", { viewBox: "0 0 100 12", class: "spread", "aria-hidden": "true" });
  if (floor)
    picture.append(
      draw("rect", { x: x(floor[1]), width: Math.max(1, x(floor[2]) - x(floor[1])), y: 0, height: 12, class: "band" }),
    );
  picture.append(draw("line", { x1: x(low), x2: x(high), y1: 6, y2: 6 }), draw("circle", { cx: x(mean), cy: 6, r: 3 }));
  return picture;
}

function sanityCell(value) {
  if (value === undefined || value === null) return make("td", {}, "–");
  const poor = Math.abs(value) >= UNMOVED ? make("strong", { class: "poor" }, "hardly depends on the weights") : null;
  return make("td", {}, make("span", { class: "mean" }, fixed(value)), poor);
}

function explanation(measures, sanity) {
  const list = make("dl", { class: "explanation" });
  const add = (title, text) => list.append(make("div", {}, make("dt", {}, title), make("dd", {}, text)));
  for (const measure of measures) {
    const { title, says, higher } = MEASURES[measure];
    add(title, `${says}; ${higher ? "higher" : "lower"} is better.`);
  }
  if (sanity) {
    add(
      "Shuffled weights",
      "How alike the maps are to those of the same model with its weights shuffled, as a rank " +
        "correlation; a map that hardly changes says little of what the model has learned.",
    );
  }
  return list;
}

// How alike maps stay while the model forgets what it learned, from the answer down
function cascade(stages) {
  const given = Object.entries(stages).filter(([, values]) => values.length > 1);
  if (!given.length) return [];
  const count = Math.max(...given.map(([, values]) => values.length));
  const head = make("tr", {}, make("th", { scope: "col" }, "Explainer"));
  for (let stage = 1; stage <= count; stage++) {
    const where = stage === count ? "all" : `${stage} from the answer`;
    head.append(make("th", { scope: "col" }, where));
  }
  const body = make("tbody");
  for (const [who, values] of given) {
    const cells = values.map((value) => make("td", {}, fixed(value)));
    body.append(make("tr", {}, make("th", { scope: "row" }, breakable(who)), ...cells));
  }
  const whole = make("table", {}, make("thead", {}, head), body);
  return [
    make("h3", {}, "As levels forget what they learned"),
    make(
      "p",
      {},
      "Rank correlation with the trained model's maps, once the weights of so many levels are shuffled. A map of what ",
      "was learned falls to 0.",
    ),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "maps under shuffled levels" }, whole),
  ];
}

function charts(found, rows) {
  const wanted = [
    ["deletion", "taken away", "lower"],
    ["insertion", "put back", "higher"],
  ];
  const fractions = found.fractions ?? [];
  const drawn = wanted.flatMap(([kind, doing, better]) => {
    const given = [...rows, FLOOR].map((who) => [who, (found.curves?.[who]?.[kind] ?? []).slice(0, fractions.length)]);
    const curves = given.filter(([, curve]) => curve.filter((value) => value !== null).length > 1);
    return curves.length ? [chart(kind, doing, better, fractions, curves)] : [];
  });
  return drawn.length
    ? [make("h3", {}, "As parts are taken away or put back"), make("div", { class: "charts" }, ...drawn)]
    : [];
}
