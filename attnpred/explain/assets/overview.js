// What maps say of all examples together: the words or regions that matter most, and those that mattered in mistakes.

function showOverview() {
  const found = story.overview;
  if (!found) return;
  const parts = [
    ...wordsByClass(found),
    ...wordsInMistakes(found),
    ...wordsApart(found),
    ...regionsByClass(found),
  ];
  if (!parts.length) return;
  const section = byId("overview");
  section.hidden = byId("contents").hidden = false;
  section.append(make("p", {}, "By the maps of ", name(found.explainer), "; words in small letters."), ...parts);
}

function listing(title, about, head, rows) {
  const cells = (values, tag) => values.map((value) => make(tag, tag === "th" ? { scope: "col" } : {}, value));
  const whole = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...cells(head, "th"))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row, "td")))),
  );
  const frame = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, whole);
  return [make("h3", {}, title), make("p", { class: "quiet" }, about), frame];
}

function wordsByClass({ words }) {
  return Object.entries(words ?? {}).flatMap(([answer, rows]) =>
    listing(
      `Most important for ${answer}`,
      "Mean share of a map, and in how many examples the word is.",
      ["word", "share", "examples"],
      rows.map((one) => [name(one.word), share(one.share), String(one.count)]),
    ),
  );
}

function wordsInMistakes({ mistakes }) {
  if (!mistakes?.length) return [];
  return listing(
    "Words on which mistakes hang",
    "Where the word is among the strongest three: how many answers are wrong, with the 95 % interval of that share, " +
      `beside ${share(mistakes[0].usual)} of all.`,
    ["word", "examples", "wrong", "share", "interval"],
    mistakes.map((one) => [
      name(one.word),
      String(one.count),
      String(one.wrong),
      share(one.rate),
      `${share(one.low)} to ${share(one.high)}`,
    ]),
  );
}

function wordsApart({ beside }) {
  if (!beside?.length) return [];
  return listing(
    "Where the two runs look apart",
    "Mean share of a word in this run's maps and in the other's.",
    ["word", "here", "there", "examples"],
    beside.map((one) => [name(one.word), share(one.here), share(one.there), String(one.count)]),
  );
}

function regionsByClass({ regions, grid }) {
  const shown = Object.entries(regions ?? {});
  if (!shown.length) return [];
  const [rows, columns] = grid;
  const top = Math.max(...shown.map(([, values]) => magnitude(values)));
  const pictures = shown.map(([title, values]) => {
    const cells = values.map((value, i) =>
      draw("rect", {
        x: i % columns,
        y: Math.floor(i / columns),
        width: 1,
        height: 1,
        fill: `rgb(${HUES[hueOf(value, values.some((v) => v < 0))]})`,
        "fill-opacity": top ? Math.abs(value) / top : 0,
      }),
    );
    const box = { viewBox: `0 0 ${columns} ${rows}`, width: 120, role: "img", "aria-label": `mean map of ${title}` };
    return make("figure", {}, draw("svg", box, ...cells), make("figcaption", {}, name(title)));
  });
  return [make("h3", {}, "Mean maps"), make("div", { class: "means" }, ...pictures)];
}

// Training examples in which the model looked at like things
function prototypesOf(example) {
  if (!example.prototypes?.length) return "";
  const panels = example.prototypes.map((one) => {
    const values = unpack(one.map, Int16Array);
    const said = [`#${one.id}`, one.label === null ? className(one.predicted) : className(one.label)];
    const top = magnitude(values);
    const map = one.words
      ? make(
          "p",
          { class: "text", dir: "auto" },
          ...one.words.flatMap((word, i) => [make("span", { class: `word ${shade(values[i], top, false)}` }, word), " "]),
        )
      : imageMap({ ...one, id: one.id }, values, false, "attention");
    return make("div", { class: "panel" }, make("h4", {}, said.join(", "), ` (likeness ${share(one.likeness)})`), map);
  });
  return make(
    "details",
    { class: "prototypes" },
    make("summary", {}, "Training examples with like attention"),
    make("div", { class: "alike" }, ...panels),
  );
}
