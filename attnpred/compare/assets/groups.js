// What all parts of the page share: groups, which of them are shown, and which are drawn in a colour of their own.

const LINES = 8; // colours of lines in colours.css
const COLOURED = 5; // groups that begin with a colour
const groups = story.groups.map((group, index) => ({ ...group, index, at: index + 1 }));
const metric = story.metrics[0];
const marked = new Map(); // group → its colour's number
const brushes = new Map(); // axis → [least, most], as places along it
const listeners = [];
let visible = groups; // in the order of the table

const changed = () => listeners.forEach((tell) => tell());
const onChange = (tell) => listeners.push(tell);
const lookOf = (group) => (marked.has(group) ? `line-${marked.get(group) % LINES} dash-${Math.floor(marked.get(group) / LINES) % 3}` : "plain");

function mark(group, on) {
  if (!on) marked.delete(group);
  else if (!marked.has(group)) {
    const taken = new Set(marked.values());
    let free = 0;
    while (taken.has(free)) free += 1;
    marked.set(group, free);
  }
}

const text = (value) => (value === null ? "null" : value === undefined ? "–" : String(value));
const meanOf = (group, name) => group.results[name]?.[0] ?? null;
const titleOf = (group) =>
  story.options.map((name) => `${name.split(".").at(-1)}=${text(group.options[name])}`).join("  ") || `group ${group.at}`;
const shortTitle = (group, most) => {
  const whole = titleOf(group);
  return whole.length > most ? `${whole.slice(0, most - 1)}…` : whole;
};

const digits = (value) => {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6))
    return Number(value.toPrecision(3)).toExponential().replaceAll("-", "−").replace("+", "");
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) < 1000 ? 4 : 1 }).replace("-", "−");
};
// results stand below one another
const fixed = (value) =>
  value !== null && Math.abs(value) < 1000 && (Math.abs(value) >= 1e-3 || value === 0) ? value.toFixed(4).replace("-", "−") : digits(value);
const withSpread = (mean, deviation) => `${fixed(mean)}${deviation === null ? "" : ` ± ${fixed(deviation)}`}`;

// `lr<0.1`: an option or result by its name or by the last part of it, and what it is compared with; else text to find
const FORM = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/;
const ORDERS = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };

function condition(word) {
  const [, key, operator, wanted] = FORM.exec(word) ?? [];
  const names = [...story.metrics, ...story.options, ...story.others];
  const known = names.find((one) => one === key) ?? names.find((one) => one.split(/[./]/).at(-1) === key);
  if (known === undefined) return (group) => searchable(group).includes(word.toLowerCase());
  const valueOf = (group) => (story.metrics.includes(known) ? meanOf(group, known) : group.options[known]);
  if (ORDERS[operator])
    return (group) => typeof valueOf(group) === "number" && wanted !== "" && ORDERS[operator](valueOf(group), Number(wanted));
  const same = (value) => (typeof value === "number" ? wanted !== "" && value === Number(wanted) : text(value) === wanted);
  return (group) => same(valueOf(group)) === (operator === "=");
}

const searchable = (group) =>
  [...Object.entries(group.options).map(([key, value]) => `${key}=${text(value)}`), ...group.runs].join(" ").toLowerCase();

function showTip(x, y, title, lines) {
  const tip = byId("tip");
  tip.replaceChildren(make("b", {}, name(title)), ...lines.map((line) => make("div", {}, line)));
  tip.hidden = false;
  const left = Math.min(Math.max(8, x + 14), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = y + tip.offsetHeight + 24 < window.innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? y + 14 : y - tip.offsetHeight - 10}px`;
}
const hideTip = () => (byId("tip").hidden = true);

// Shown in every picture while the pointer or the focus is on one of them.
function point(group) {
  for (const element of document.querySelectorAll(".pointed")) element.classList.remove("pointed");
  if (group) for (const element of document.querySelectorAll(`[data-group="${group.index}"]`)) element.classList.add("pointed");
}

// Round numbers from at most `low` to at least `high`
function ticks(low, high, most = 5) {
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
