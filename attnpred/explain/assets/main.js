// The page as a whole: its head, the legend, the keys and the colours.

function showHead() {
  byId("title").append(story.title);
  const labelled = story.examples.filter((example) => example.label !== null);
  const right = labelled.length - labelled.filter(isMistake).length;
  const facts = [
    ["run", story.run],
    ["model", story.model],
    ["data", story.data],
    ["inputs", story.split ? `${story.split} split` : "given by hand"],
    ["examples", story.examples.length.toLocaleString("en")],
  ];
  if (story.listed && labelled.length)
    facts.push(["correct here", `${right.toLocaleString("en")} of ${labelled.length.toLocaleString("en")}`]);
  byId("facts").append(
    ...facts.map(([key, value]) => make("div", {}, make("dt", {}, key), make("dd", {}, name(value)))),
  );
  const about = make("dl", { class: "explanation" });
  for (const { name: who, about: text } of story.explainers)
    about.append(make("div", {}, make("dt", {}, name(who)), make("dd", {}, text)));
  const legend = make("div", { id: "legend", class: "legend" });
  byId("tools").after(legend);
  legend.after(make("details", { class: "about" }, make("summary", {}, "What each explainer does"), about));
  if (story.headsKept < story.headsGiven) {
    byId("count").before(
      make(
        "p",
        { class: "note" },
        `To keep this file small, views of layers and heads are here for the first ` +
          `${story.headsKept.toLocaleString("en")} of ${plural(story.headsGiven, "example")} that have them, in the order of this page.`,
      ),
    );
  }
  byId("footer").append("Made by attnpred. Nothing on this page asks the network for anything.");
}

function showLegend() {
  const signs = [...chosen].map((explainer) => explainers.get(explainer).signed);
  const swatches = (hue) =>
    make(
      "span",
      { class: "swatches", "aria-hidden": "true" },
      ...[1, 3, 5, 7, 8].map((level) => make("span", { class: `word ${hue}-${level}` }, "\u00a0\u00a0")),
    );
  const entry = (hue, text) => make("span", { class: "entry" }, swatches(hue), ` ${text}`);
  const entries = [];
  if (signs.includes(false)) entries.push(entry("importance", "less to more important"));
  if (signs.includes(true))
    entries.push(entry("for", "speaks for the answer"), entry("against", "speaks against it"));
  if (story.examples.some((example) => example.evidence)) {
    const mark = make(
      "span",
      { class: pictured ? "evidence-box" : "evidence" },
      pictured ? "outlined" : "underlined",
    );
    entries.push(make("span", { class: "entry" }, mark, ": known to decide the answer"));
  }
  entries.push(make("span", { class: "entry" }, "Each map is scaled to its own strongest part."));
  byId("legend").replaceChildren(...entries);
}

function showHelp() {
  const keys = [
    ["j or →", "next example"],
    ["k or ←", "previous example"],
    ["/", "search"],
    ["?", "this help"],
    ["arrow keys on a map", "step through its words or regions and read their numbers"],
    ["Esc", "close, or leave a map"],
  ];
  const box = make("input", { type: "checkbox", id: "keys", checked: true });
  byId("help").append(
    make("h2", { id: "help-title" }, "Keys"),
    make(
      "dl",
      { class: "keys" },
      ...keys.map(([key, text]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, text))),
    ),
    make("label", { class: "check" }, box, " single keys work"),
    make("form", { method: "dialog" }, make("button", {}, "Close")),
  );
  byId("help-open").addEventListener("click", () => byId("help").showModal());
}

// Cards beyond those on the page are made as they are needed.
function goto(step) {
  const cards = [...shown.keys()];
  const at = cards.indexOf(document.activeElement?.closest("article"));
  if (at + step >= cards.length) showMore();
  const to = [...shown.keys()][at < 0 && step < 0 ? 0 : at + step];
  if (!to) return;
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: "start" });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const target = event.target;
  const map = target.closest?.(".maps .map");
  if (event.key === "Escape" && map) return void hidePart();
  const part = map ? stepFrom(map, event.key) : null;
  if (part !== null) {
    event.preventDefault();
    map.dataset.at = part;
    return void showPart(map, part, true);
  }
  if (target.matches?.("input:not([type=checkbox]), select, textarea")) return;
  const single = {
    j: () => goto(1),
    k: () => goto(-1),
    "/": () => byId("search").focus(),
    "?": () => byId("help").showModal(),
  };
  const arrows = target.closest?.(".scroll") ? {} : { ArrowRight: () => goto(1), ArrowLeft: () => goto(-1) };
  const act = (byId("keys").checked ? single[event.key] : null) ?? arrows[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

keepTheme();
showTools();
showHead();
showLegend();
showHelp();
showFaithfulness();
showOverview();
filter();
document.addEventListener("keydown", onKey);
byId("more").addEventListener("click", () => {
  const before = shown.size;
  showMore();
  [...shown.keys()][before]?.focus();
});
const watcher = new IntersectionObserver(
  (seen) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    showMore();
    watcher.unobserve(byId("more")); // it is asked anew, since a button that stays near the screen tells nothing
    watcher.observe(byId("more"));
  },
  { rootMargin: "1200px" },
);
watcher.observe(byId("more"));
window.addEventListener("beforeprint", () => {
  while (shown.size < Math.min(PRINTED, matching.length)) showMore();
});
