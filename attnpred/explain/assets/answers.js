// Several answers to one input, such as those of several tasks: each with its own maps, side by side.

const viewed = new WeakMap(); // example -> a view of it for each of its answers
function viewsOf(example) {
  if (!example.answers) return [example];
  if (!viewed.has(example))
    viewed.set(example, example.answers.map((answer) => ({ ...example, ...answer, title: answer.name })));
  return viewed.get(example);
}

const titled = (view, title) => (view.title ? `${view.title}: ${title}` : title);

// What was answered, how surely, and whether that is right
function verdictOn(view) {
  const sure = confidence(view);
  const said = [
    make(
      "span",
      {},
      view.title ? `${view.title}: ` : "",
      "predicted ",
      name(className(view.predicted)),
      sure === null ? "" : ` ${share(sure)}`,
    ),
  ];
  if (view.label === null) return said;
  const right = view.label === view.predicted ? "correct" : `is ${className(view.label)}`;
  const verdict = isMistake(view)
    ? make("span", { class: "wrong" }, "mistake: is ", name(className(view.label)))
    : make("span", { class: "right" }, right);
  return [...said, " ", verdict];
}

function explainedIn(view) {
  if (view.explained === view.predicted) return "";
  const whose = view.title ? `The maps of ${view.title} explain ` : "The maps explain ";
  return make("p", { class: "quiet" }, whose, name(className(view.explained)), ".");
}
