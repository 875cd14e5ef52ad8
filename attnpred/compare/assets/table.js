// The table: a row a group; heads sort, a box keeps what it says, boxes in rows give a group its colour.

const ROWS = 20; // more are made when asked for, ten times as many
const order = { by: "#", falls: false };
let rowsShown = ROWS;

const columns = () => [
  { key: "#", label: "#", of: (group) => group.at, numeric: true },
  ...[...story.options, ...(byId("others").checked ? story.others : [])].map((key) => ({
    key,
    label: key,
    of: (group) => group.options[key],
    cell: (group) => name(text(group.options[key])),
  })),
  { key: "seeds", label: story.repeats, of: (group) => group.runs.length, numeric: true },
  ...story.metrics.map((key) => ({ key, label: key, numeric: true, of: (group) => meanOf(group, key), cell: (group) => resultCell(group, key) })),
  ...(groups.some((group) => group.difference)
    ? [{ key: "difference", label: differenceHead(), cell: differenceCell }]
    : []),
];

const differenceHead = () => {
  const mixed = groups.some((group) => group.difference?.[0].startsWith("from #"));
  return mixed ? "difference" : `difference from #${story.against + 1}`;
};

const differenceCell = ({ difference }) =>
  difference ? make("span", {}, make("span", { class: "whole" }, difference[0]), make("small", {}, difference[1])) : "–";

function resultCell(group, key) {
  const result = group.results[key];
  if (!result) return "–";
  const [mean, deviation, low, high] = result;
  const bounds = low === null ? null : make("small", {}, `${fixed(low)} to ${fixed(high)}`);
  return make("span", {}, make("span", { class: "mean" }, withSpread(mean, deviation)), bounds);
}

// Numbers before texts, and what there is not last, whichever way
function compareBy(of, falls) {
  const rank = (value) => (value === undefined || value === null || Number.isNaN(value) ? 2 : typeof value === "number" ? 0 : 1);
  return (one, other) => {
    const [a, b] = [of(one), of(other)];
    if (rank(a) !== rank(b)) return rank(a) === 2 || rank(b) === 2 ? rank(a) - rank(b) : (rank(a) - rank(b)) * (falls ? -1 : 1);
    if (rank(a) === 2) return one.index - other.index;
    const difference = typeof a === "number" ? a - b : text(a).localeCompare(text(b), "en", { numeric: true });
    return (falls ? -difference : difference) || one.index - other.index;
  };
}

function choose() {
  const wanted = byId("filter").value.split(/\s+/).filter(Boolean).map(condition);
  const column = columns().find(({ key, of }) => key === order.by && of) ?? columns()[0];
  visible = groups
    .filter((group) => wanted.every((holds) => holds(group)) && withinBrushes(group))
    .sort(compareBy(column.of, order.falls));
  changed();
}

function sortBy(key, numeric) {
  if (order.by === key) order.falls = !order.falls;
  else Object.assign(order, { by: key, falls: numeric && key !== "#" && !(key === metric && story.lessIsBetter) });
  choose();
  document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

function head(column) {
  const sorted = order.by === column.key;
  const state = sorted ? (order.falls ? "descending" : "ascending") : null;
  const label = column.of
    ? make(
        "button",
        { type: "button", class: "sort", "data-key": column.key, on: { click: () => sortBy(column.key, column.numeric) } },
        breakable(column.label),
        make("span", { "aria-hidden": "true" }, sorted ? (order.falls ? " ↓" : " ↑") : ""),
      )
    : breakable(column.label);
  return make("th", { scope: "col", "aria-sort": state, class: column.numeric ? "numeric" : null }, label);
}

function row(group, shape) {
  const box = make("input", {
    type: "checkbox",
    checked: marked.has(group),
    "aria-label": `draw group ${group.at} in a colour: ${titleOf(group)}`,
    on: {
      change: () => {
        mark(group, box.checked);
        changed();
        document.querySelector(`tr[data-group="${group.index}"] input`)?.focus();
      },
      focus: () => point(group),
      blur: () => point(null),
    },
  });
  const swatch = make("span", { class: `swatch ${lookOf(group)}`, "aria-hidden": "true" });
  return make(
    "tr",
    { "data-group": group.index, on: { pointerenter: () => point(group), pointerleave: () => point(null) } },
    make("td", {}, make("label", { class: "marker" }, box, swatch)),
    ...shape.map((column) => make("td", { class: column.numeric ? "numeric" : null }, column.cell ? column.cell(group) : text(column.of(group)))),
    make("td", {}, directories(group)),
  );
}

function directories(group) {
  const list = make("ul", {}, ...group.runs.map((run, i) => make("li", {}, name(run), ` seed ${text(group.seeds[i])}`)));
  return make("details", {}, make("summary", {}, plural(group.runs.length, "run")), list);
}

function showTable() {
  const shape = columns();
  const caption = make("caption", { class: "hidden" }, "groups of runs that differ in nothing but seed and fold");
  const heads = make("tr", {}, make("th", { scope: "col" }, make("span", { class: "hidden" }, "colour")), ...shape.map(head), make("th", { scope: "col" }, "runs"));
  const rows = visible.slice(0, rowsShown).map((group) => row(group, shape));
  byId("groups").replaceChildren(make("table", {}, caption, make("thead", {}, heads), make("tbody", {}, ...rows)));
  const runs = visible.reduce((sum, group) => sum + group.runs.length, 0);
  const some = visible.length < groups.length ? `${visible.length.toLocaleString("en")} of ` : "";
  byId("count").textContent = visible.length ? `${some}${plural(groups.length, "group")}, ${plural(runs, "run")}` : "No group matches.";
  byId("more").hidden = visible.length <= rowsShown;
  byId("more").textContent = `Show ${Math.min(10 * ROWS, visible.length - rowsShown).toLocaleString("en")} more`;
  byId("clear").hidden = brushes.size === 0;
}
