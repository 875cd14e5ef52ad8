// One input, asked of the service that this page comes from, and what the model looked at.

const LEVELS = 8; // shades of a hue in colours.css
const OWN = "its own attention";
const HUES = { importance: [168, 85, 247], for: [37, 140, 255], against: [255, 120, 20] };
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const hueOf = (value, signed) => (signed ? (value < 0 ? "against" : "for") : "importance");
const magnitude = (values) => values.reduce((top, value) => Math.max(top, Math.abs(value ?? 0)), 0);
const pictures = new Map(); // dropped files by their fields' names, as data URLs

const chosen = () => story.models[Number(byId("model")?.value ?? 0)];

function select(id, label, names) {
  const options = names.map((one, i) => make("option", { value: i }, one));
  return make("label", { class: "field" }, make("span", {}, label), make("select", { id }, ...options));
}

function showChoices() {
  const names = story.models.map((one) => `${one.name} (${one.version})`);
  if (names.length > 1) byId("choices").append(select("model", "Model", names));
  byId("choices").append(make("div", { id: "explainers" }));
  if (story.keys) {
    const key = make("input", { id: "key", type: "password", autocomplete: "off" });
    byId("choices").append(make("label", { class: "field wide" }, make("span", {}, "Key"), key));
  }
  byId("model")?.addEventListener("change", showModel);
}

function showModel() {
  const model = chosen();
  pictures.clear();
  byId("result").hidden = true;
  byId("title").replaceChildren(name(model.name));
  const facts = [["version", model.version], ["reads", model.input], ["numbers", model.precision], ["weights", model.weights]];
  byId("facts").replaceChildren(...facts.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, name(value)))));
  byId("explainers").replaceChildren(model.explainers.length ? select("explainer", "Explained by", [OWN, ...model.explainers]) : "");
  byId("fields").replaceChildren(...fieldsOf(model));
}

function fieldsOf(model) {
  return model.fields.map((field) => {
    if (field.kind === "image") return dropZone(field);
    const label = field.name ?? (field.kind === "series" ? "Rows of numbers, as JSON" : "Text");
    const area = make("textarea", { dir: "auto", spellcheck: "false", required: model.fields.length === 1 });
    return make("label", {}, make("span", {}, name(label)), area);
  });
}

function dropZone(field) {
  const input = make("input", { type: "file", accept: "image/*", class: "hidden" });
  const said = field.name ? `${field.name}: drop a picture here, or choose a file` : "Drop a picture here, or choose a file";
  const zone = make("label", { class: "drop" }, input, make("span", {}, said));
  input.addEventListener("change", () => input.files[0] && take(input.files[0], field, zone));
  for (const kind of ["dragenter", "dragover"])
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0], field, zone);
  });
  return zone;
}

function take(file, field, zone) {
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    pictures.set(field.name, reader.result);
    zone.querySelector("img")?.remove();
    zone.append(make("img", { src: reader.result, alt: `the picture ${file.name}` }));
    if (chosen().fields.length === 1) ask();
  });
  reader.readAsDataURL(file);
}

// What was typed or dropped; null where nothing was
function given(model) {
  const areas = [...byId("fields").querySelectorAll("textarea")];
  const values = model.fields.map((field) => {
    if (field.kind === "image") return pictures.get(field.name) ?? null;
    const text = areas.shift().value;
    return text && field.kind === "series" ? JSON.parse(text) : text || null;
  });
  if (model.fields[0].name === null) return values[0];
  const named = model.fields.map((field, i) => [field.name, values[i]]).filter(([, value]) => value !== null);
  return named.length ? Object.fromEntries(named) : null;
}

function say(text, failed = false) {
  byId("state").textContent = text;
  byId("state").className = failed ? "failed" : "quiet";
}

async function ask() {
  const model = chosen();
  const body = { model: model.name, version: model.version };
  try {
    body.input = given(model);
  } catch {
    return say("That is no JSON.", true);
  }
  if (body.input === null) return say("Give an input first.", true);
  const explainer = Number(byId("explainer")?.value ?? 0);
  if (explainer) body.explainer = model.explainers[explainer - 1];
  const headers = { "Content-Type": "application/json" };
  if (byId("key")?.value) headers.Authorization = `Bearer ${byId("key").value}`;
  say("Asking …");
  byId("go").disabled = true;
  const began = performance.now();
  try {
    const response = await fetch("/v1/predict", { method: "POST", headers, body: JSON.stringify(body) });
    const found = await response.json();
    if (found.error) return say(found.error.message, true);
    show(found.answers[0], explainer > 0);
    return say(`Answered in ${Math.round(performance.now() - began)} ms.`);
  } catch {
    return say("The service cannot be reached.", true);
  } finally {
    byId("go").disabled = false;
  }
}

function show(answer, explained) {
  const said = typeof answer.answer === "string" ? answer.answer : JSON.stringify(answer.answer);
  byId("answer").replaceChildren(name(said), answer.confidence === null ? "" : ` ${percent(answer.confidence)}`);
  const chances = Object.entries(answer.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  byId("chances").replaceChildren(...chances.slice(0, 10).map(chance));
  byId("maps").replaceChildren(...mapsOf(answer, explained));
  byId("json").textContent = JSON.stringify(answer, null, 1);
  byId("result").hidden = false;
}

function chance([key, value], i) {
  const bar = draw(
    "svg",
    { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("rect", { width: 100, height: 6, class: "rest" }),
    draw("rect", { width: 100 * value, height: 6, class: "part" }),
  );
  return make("li", { class: i ? "" : "first" }, name(key), bar, make("span", {}, percent(value)));
}

function mapsOf(answer, explained, field = null) {
  if (answer.answers) // to several questions
    return Object.entries(answer.answers).flatMap(([key, one]) => [make("h3", {}, name(key)), ...mapsOf(one, explained, field)]);
  if (answer.inputs)
    return Object.entries(answer.inputs).flatMap(([key, one]) => [make("h4", {}, name(key)), ...mapsOf(one, explained, key)]);
  if (answer.texts)
    return Object.entries(answer.texts).flatMap(([key, one]) => [make("h4", {}, name(key)), ...wordsOf(one, answer.texts)]);
  if (answer.words && answer.attention) return wordsOf(answer, { only: answer });
  if (answer.size) return [pictureOf(answer, field)];
  if (answer.moments) return [momentsOf(answer)];
  return explained ? [make("p", { class: "quiet" }, "no map of this answer")] : [];
}

function shade(value, top, signed) {
  const level = top > 0 ? Math.round((Math.abs(value) / top) * LEVELS) : 0;
  return level ? `${hueOf(value, signed)}-${level}` : "";
}

function wordsOf(one, all) {
  const every = Object.values(all).flatMap((other) => other.attention);
  const [top, signed] = [magnitude(every), every.some((value) => value < 0)];
  const words = one.words.map((word, i) =>
    make("span", { class: `word ${shade(one.attention[i], top, signed)}`.trim(), title: number(one.attention[i]) }, word),
  );
  const text = make("p", { class: "text", dir: "auto" }, ...words.flatMap((word) => [word, " "]));
  const order = one.words.map((_, i) => i).sort((a, b) => Math.abs(one.attention[b]) - Math.abs(one.attention[a]));
  const most = order.slice(0, 5).map((i) => `${one.words[i]} ${number(one.attention[i])}`);
  return [text, make("p", { class: "quiet" }, most.length ? `most important: ${most.join("; ")}` : "no words")];
}

function pictureOf(answer, field) {
  const [height, width] = answer.size;
  const values = answer.attention.flat();
  const [top, signed] = [magnitude(values), values.some((value) => value < 0)];
  const canvas = make("canvas", { width, height, role: "img", "aria-label": "what the model looked at" });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  values.forEach((value, i) => {
    const strength = top > 0 ? Math.abs(value) / top : 0;
    pixels.data.set([...HUES[hueOf(value, signed)], Math.round(215 * strength)], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  const one = chosen().fields.find((other) => other.name === field);
  const fit = { crop: "cover", pad: "contain" }[one?.fit] ?? "fill";
  const frame = (kind, alt, ...more) => {
    const image = make("img", { src: pictures.get(field), alt });
    image.style.objectFit = fit;
    const found = make("div", { class: `picture ${kind}` }, image, ...more);
    found.style.aspectRatio = `${width} / ${height}`;
    return found;
  };
  return make("div", { class: "pair" }, frame("", "the picture as the model sees it"), frame("map", "", canvas));
}

function momentsOf(answer) {
  const rows = Object.entries(answer.attention);
  const every = rows.flatMap(([, shares]) => shares);
  const [top, signed] = [magnitude(every), every.some((value) => value < 0)];
  const cells = (shares) =>
    shares.map((value, i) => make("span", { class: shade(value, top, signed), title: `${answer.moments[i]}: ${number(value)}` }));
  return make("div", { class: "moments" }, ...rows.flatMap(([key, shares]) => [name(key), make("div", {}, ...cells(shares))]));
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
});
keepTheme();
showChoices();
showModel();
byId("footer").append("Served by attnpred. This page asks nobody but its own service, and keeps nothing.");
