const LEVELS = 8; // shades of a hue in colours.css
const explainers = new Map(story.explainers.map((explainer) => [explainer.name, explainer]));
const chosen = new Set(story.explainers.slice(0, 2).map((explainer) => explainer.name));

const pictured = story.examples.some((example) => example.image || example.inputs?.some((input) => input.image)); // else words stand for the parts
const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
// [greatest magnitude, base64 of little-endian integers] to numbers
function unpack([top, text], Kind) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const limit = 2 ** (8 * Kind.BYTES_PER_ELEMENT - 1) - 1;
  return Array.from(new Kind(bytes.buffer), (whole) => (whole / limit) * top);
}

const unpacked = new WeakMap();
function mapOf(example, explainer) {
  const packed = mapsOf(example);
  if (!packed[explainer]) return null;
  if (!unpacked.has(packed)) unpacked.set(packed, {});
  const maps = unpacked.get(packed);
  maps[explainer] ??= unpack(packed[explainer], Int16Array);
  return maps[explainer];
}

const magnitude = (values) => values.reduce((top, value) => Math.max(top, Math.abs(value)), 0);

// Positions by falling magnitude, at most `most`, none of them zero
function strongest(values, most) {
  const order = values.map((_, i) => i).filter((i) => values[i]);
  return order.sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, most);
}

const className = (index) => story.classes[index];
const isMistake = (example) => example.wrong;
const confidence = (example) => example.confidence;
