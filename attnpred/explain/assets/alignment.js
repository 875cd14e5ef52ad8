// A text that answers a text: which words of the input each of its words attended, under the pointer and as a matrix.

// A word that is explained can be pressed: the maps then tell why it was said.
function alignmentOf(example, card) {
  const { words, rows } = example.alignment;
  const why = make("p", { class: "quiet", role: "status" }, "Point at a word of either text.");
  const asked = make("p", { class: "quiet", role: "status" });
  const at = new Map((example.choices ?? []).map((choice, i) => [choice.word, i]));
  const answer = make("p", { class: "aligned", dir: "auto", role: "group", "aria-label": "the answer's words" });
  const input = make("p", { class: "aligned", dir: "auto", "aria-label": "the input's words" });
  const marks = example.words.map((word) => make("span", {}, name(word)));
  marks.forEach((mark) => input.append(mark, " "));
  const show = (row) => {
    const top = Math.max(...row, 1e-12);
    marks.forEach((mark, i) => mark.style.setProperty("--share", String(row[i] / top)));
  };
  const buttons = words.map((word, step) => {
    const light = () => {
      show(rows[step]);
      const best = rows[step].indexOf(Math.max(...rows[step]));
      why.replaceChildren(name(word), " attends most to ", name(example.words[best]), `, ${share(rows[step][best])}.`);
    };
    const pick = () => {
      light();
      if (!at.has(step)) return;
      picked.set(example, at.get(step));
      explain();
      showMaps(card, example);
    };
    return make("button", { type: "button", on: { pointerenter: light, focus: light, click: pick } }, name(word));
  });
  const explain = () => {
    const choice = choiceOf(example);
    if (!choice) return;
    at.forEach((_, step) => buttons[step].setAttribute("aria-pressed", String(step === choice.word)));
    asked.replaceChildren("The maps explain ", name(words[choice.word]), "; press another word for its own.");
  };
  explain();
  buttons.forEach((button) => answer.append(button, " "));
  marks.forEach((mark, i) =>
    mark.addEventListener("pointerenter", () => {
      const column = rows.map((row) => row[i]);
      const top = Math.max(...column, 1e-12);
      buttons.forEach((button, step) => button.style.setProperty("--share", String(column[step] / top)));
    }),
  );
  answer.addEventListener("pointerleave", () => show(example.words.map(() => 0)));
  input.addEventListener("pointerleave", () => buttons.forEach((button) => button.style.setProperty("--share", "0")));
  const body = make("details", {}, make("summary", {}, "Alignment as a matrix"));
  body.addEventListener("toggle", () => body.open && body.children.length < 2 && body.append(matrixOf(example)), {
    once: true,
  });
  return make("div", { class: "alignment" }, answer, input, why, asked, body);
}

function matrixOf(example) {
  const { words, rows } = example.alignment;
  const head = make("tr", {}, make("td", {}), ...example.words.map((word) => make("th", { scope: "col" }, name(word))));
  const lines = words.map((word, step) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, name(word)),
      ...rows[step].map((value, i) => {
        const cell = make("td", { title: `${word} ← ${example.words[i]}: ${share(value)}` });
        cell.style.setProperty("--share", String(value));
        return cell;
      }),
    ),
  );
  return make("div", { class: "matrix" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines)));
}
