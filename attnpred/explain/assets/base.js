"use strict";
// Every text goes into the page as a text node; nothing here makes elements out of text.

const story = JSON.parse(document.getElementById("story").textContent);
const SVG = "http://www.w3.org/2000/svg";
const LEVELS = 8; // shades of a hue in style.css
const byId = (id) => document.getElementById(id);
const explainers = new Map(story.explainers.map((explainer) => [explainer.name, explainer]));
const chosen = new Set(story.explainers.slice(0, 2).map((explainer) => explainer.name));

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
const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// [greatest magnitude, base64 of little-endian integers] to numbers
function unpack([top, text], Kind) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const limit = 2 ** (8 * Kind.BYTES_PER_ELEMENT - 1) - 1;
  return Array.from(new Kind(bytes.buffer), (whole) => (whole / limit) * top);
}

const unpacked = new WeakMap();
function mapOf(example, explainer) {
  if (!example.maps[explainer]) return null;
  if (!unpacked.has(example)) unpacked.set(example, {});
  const maps = unpacked.get(example);
  maps[explainer] ??= unpack(example.maps[explainer], Int16Array);
  return maps[explainer];
}

const magnitude = (values) => values.reduce((top, value) => Math.max(top, Math.abs(value)), 0);

// Positions by falling magnitude, at most `most`, none of them zero
function strongest(values, most) {
  const order = values.map((_, i) => i).filter((i) => values[i]);
  return order.sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, most);
}

const className = (index) => story.classes[index];
const isMistake = (example) => example.label !== null && example.label !== example.predicted;
const confidence = (example) => example.probabilities.find(([index]) => index === example.predicted)?.[1] ?? null;
