"use strict";
// Every text goes into the page as a text node; nothing here makes elements out of text.

const story = JSON.parse(document.getElementById("story").textContent);
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// An element with attributes and children; `on` holds handlers, children may be strings, elements or null.
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const [name, handler] of Object.entries(on)) element.addEventListener(name, handler);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A name from the story, whose writing direction must not leak into what stands around it.
const name = (text) => make("bdi", {}, text);

// The same, which may break after an underscore
const breakable = (text) =>
  make("bdi", {}, ...text.split(/(?<=_)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part])));

const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const number = (value) => (value === null || value === undefined ? "–" : threeDigits.format(value).replace("-", "−"));
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function keepTheme() {
  const theme = byId("theme");
  try {
    theme.value = localStorage.getItem("attnpred-theme") ?? "auto";
  } catch {} // a page opened from a mail may have no storage
  const apply = () => (document.documentElement.dataset.theme = theme.value);
  theme.addEventListener("change", () => {
    apply();
    try {
      localStorage.setItem("attnpred-theme", theme.value);
    } catch {}
  });
  apply();
}
