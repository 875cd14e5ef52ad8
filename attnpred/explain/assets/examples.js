// The list of examples: filters, and cards that are made as they come near the screen.

const CHUNK = 12;
const PRINTED = 200;
const shown = new Map(); // card -> example
let matching = story.examples;
let texts = null; // lower-case text of every example, made at the first search

function textsOf() {
  texts ??= story.examples.map((example) =>
    [`#${example.id}`, ...(example.words ?? example.inputs?.flatMap((input) => input.words ?? []) ?? [className(example.predicted)])].join(" ").toLowerCase(),
  );
  return texts;
}

function choices(id, label, options) {
  const list = make(
    "select",
    { id, on: { change: filter } },
    ...options.map(([value, text]) => make("option", { value }, text)),
  );
  return make("label", { class: "field" }, make("span", {}, label), list);
}

function showTools() {
  const used = (key) => [...new Set(story.examples.map((example) => example[key]))].filter((index) => index !== null);
  const names = (indices) => [["", "any"], ...indices.sort((a, b) => a - b).map((index) => [index, className(index)])];
  const labels = used("label");
  const tools = byId("tools");
  const search = make("input", { type: "search", id: "search", autocomplete: "off", on: { input: filter } });
  const finds = pictured ? "Find a class or #number" : "Find a word or #number";
  tools.append(make("label", { class: "field wide" }, make("span", {}, finds), search));
  if (story.listed && labels.length) tools.append(choices("true", "True class", names(labels)));
  if (story.listed) tools.append(choices("predicted", "Predicted class", names(used("predicted"))));
  if (labels.length)
    tools.append(
      choices("outcome", "Outcome", [
        ["", "any"],
        ["wrong", "mistakes"],
        ["right", "correct"],
      ]),
    );
  const boxes = story.explainers.map((explainer) => {
    const box = make("input", { type: "checkbox", value: explainer.name, on: { change: choose } });
    box.checked = chosen.has(explainer.name);
    return make("label", { class: "check", title: explainer.about }, box, " ", name(explainer.name));
  });
  tools.append(make("fieldset", {}, make("legend", {}, "Explainers, side by side"), ...boxes));
  if (pictured) {
    const smooth = make("input", {
      type: "checkbox",
      id: "smooth",
      on: { change: () => byId("list").classList.toggle("smooth", smooth.checked) },
    });
    tools.append(make("label", { class: "check" }, smooth, " smooth maps"));
  }
  tools.addEventListener("submit", (event) => event.preventDefault());
}

function choose(event) {
  const { value, checked } = event.target;
  const wanted = new Set(chosen);
  if (checked) wanted.add(value);
  else wanted.delete(value);
  chosen.clear();
  for (const { name } of story.explainers) if (wanted.has(name)) chosen.add(name);
  for (const [card, example] of shown) showMaps(card, example);
  showLegend();
}

function filter() {
  const value = (id) => byId(id)?.value ?? "";
  const [label, predicted, outcome] = [value("true"), value("predicted"), value("outcome")];
  const wanted = value("search").trim().toLowerCase();
  const found = wanted ? textsOf() : null;
  matching = story.examples.filter(
    (example, i) =>
      (label === "" || example.label === Number(label)) &&
      (predicted === "" || example.predicted === Number(predicted)) &&
      (outcome === "" || (example.label !== null && isMistake(example) === (outcome === "wrong"))) &&
      (!found || (/^#\d+$/.test(wanted) ? `#${example.id}` === wanted : found[i].includes(wanted))),
  );
  shown.clear();
  byId("list").replaceChildren();
  showMore();
  const [all, mistakes] = [story.examples.length, matching.filter(isMistake).length];
  const known = matching.some((example) => example.label !== null);
  const which =
    matching.length === all
      ? plural(all, "example")
      : `${matching.length.toLocaleString("en")} of ${plural(all, "example")}`;
  byId("count").textContent = matching.length
    ? which + (known ? `, ${plural(mistakes, "mistake")}` : "")
    : "No example matches.";
}

function showMore() {
  const next = matching.slice(shown.size, shown.size + CHUNK);
  byId("list").append(...next.map(card));
  byId("more").hidden = shown.size >= matching.length;
}

function card(example) {
  const mistake = isMistake(example);
  const said = [make("span", { class: "number" }, `#${example.id}`)];
  for (const view of viewsOf(example)) said.push(" ", ...verdictOn(view));
  const body = make("div", { class: "maps" });
  const whole = make(
    "article",
    { tabindex: -1, class: mistake ? "card mistake" : "card" },
    make("h3", {}, ...said),
    ...viewsOf(example).map(probabilities),
    body,
    acrossOf(example),
    headsOf(example),
    prototypesOf(example),
  );
  if (example.alignment) body.before(alignmentOf(example, whole));
  if (example.beside !== undefined && example.beside !== example.predicted)
    body.before(make("p", { class: "quiet" }, "The run beside answers ", name(className(example.beside)), "."));
  if (example.marks) body.before(marksOf(example, whole));
  else if (!example.choices?.length) body.before(...viewsOf(example).map(explainedIn));
  shown.set(whole, example);
  showMaps(whole, example);
  return whole;
}

// How much the words of each text read of the others, over all layers and heads
function acrossOf(example) {
  if (!example.across) return "";
  const names = example.texts.map(([title]) => title);
  const said = names.flatMap((from, i) =>
    names.flatMap((to, j) => (i === j ? [] : [`${from} reads ${to}: ${share(example.across[i][j])}`])),
  );
  return make("p", { class: "quiet" }, `Attention across texts: ${said.join("; ")}`);
}

function probabilities(example) {
  const list = make("ul", { class: "probabilities", "aria-label": "probabilities" });
  for (const [index, value] of example.probabilities) {
    const bar = draw(
      "svg",
      { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("rect", { width: 100, height: 6, class: "rest" }),
      draw("rect", { width: 100 * (value ?? 0), height: 6, class: "part" }),
    );
    list.append(make("li", {}, name(className(index)), bar, make("span", {}, share(value))));
  }
  return list;
}

function showMaps(card, example, whole = card.dataset.whole === "yes") {
  const body = card.querySelector(".maps");
  const stretch = stretchOf(example, whole);
  const panels = [];
  if (example.inputs) panels.push(originals(example));
  else if (!example.words) panels.push(original(example));
  for (const explainer of chosen) {
    const { name: title, about, signed } = explainers.get(explainer);
    for (const view of viewsOf(example))
      panels.push(panel(view, mapOf(view, explainer), { title: titled(view, title), about, signed, stretch }));
  }
  if (example.words && !chosen.size) panels.push(make("p", { class: "text", dir: "auto" }, example.words.join(" ")));
  body.replaceChildren(...panels);
  card.querySelector(".whole")?.remove();
  const length = example.words?.length ?? 0;
  if (length <= WORDS_SHOWN * 1.25 || !chosen.size) return;
  card.dataset.whole = whole ? "yes" : "no";
  const toggle = () => {
    showMaps(card, example, !whole);
    card.querySelector(".whole").focus();
  };
  const label = whole ? "Show the part that matters most" : `Show all ${plural(length, "word")}`;
  body.after(make("button", { type: "button", class: "whole", on: { click: toggle } }, label));
}

function original(example) {
  const label = example.label === null ? "" : `, labelled ${className(example.label)}`;
  return make(
    "div",
    { class: "panel" },
    make("h4", {}, "original"),
    picture(example, `image of example ${example.id}${label}`),
  );
}
