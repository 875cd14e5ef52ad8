// Words that have answers of their own, such as tags: each over its answer. The maps explain that of the word picked.

const NOTHING = "O"; // an answer that is told only where it is wrong
const picked = new WeakMap(); // example -> which of its choices
const choiceOf = (example) => example.choices?.[picked.get(example) ?? 0];
const mapsOf = (example) => choiceOf(example)?.maps ?? example.maps;

function marksOf(example, card) {
  const about = "words and their answers; a word that can be pressed has its answer explained";
  const line = make("div", { class: "marks", role: "group", "aria-label": about });
  const why = make("p", { class: "quiet", role: "status" });
  const buttons = new Map();
  const explain = () => {
    const choice = choiceOf(example);
    for (const [at, button] of buttons) button.setAttribute("aria-pressed", String(example.choices[at] === choice));
    if (!choice) return;
    why.replaceChildren("The maps explain ", name(className(choice.explained)), " of ", name(example.words[choice.word]), ".");
  };
  const at = new Map(example.choices.map((choice, i) => [choice.word, i]));
  example.marks.forEach((mark, i) => {
    const content = [make("span", { class: "mark-word" }, name(example.words[i])), answerOf(mark)];
    if (!at.has(i)) return void line.append(make("span", { class: "mark" }, ...content));
    const pick = () => {
      picked.set(example, at.get(i));
      explain();
      showMaps(card, example);
    };
    const button = make("button", { type: "button", class: "mark", on: { click: pick } }, ...content);
    buttons.set(at.get(i), button);
    line.append(button);
  });
  explain();
  return make("div", {}, line, why);
}

function answerOf(mark) {
  if (!mark) return make("span", { class: "mark-answer" }, "cut away");
  const [said, truth] = mark.map((index) => (index === null ? null : className(index)));
  if (truth !== null && truth !== said) return make("span", { class: "mark-answer wrong" }, `${said}, is ${truth}`);
  return make("span", { class: "mark-answer" }, said === NOTHING ? "" : said);
}
