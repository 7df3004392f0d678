// What all parts share: elements, numbers, the theme, the data.

const DATA = JSON.parse(document.getElementById("data").textContent);
const KINDS = [
  ["substitutions", "substituted", "S"],
  ["deletions", "deleted", "D"],
  ["insertions", "inserted", "I"],
];
const MODEL_COLOURS = 6;

// h("td", {class: "n"}, "12"): text is always text, never markup.
function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const grouped = new Intl.NumberFormat("en-GB");
const whole = (value) => grouped.format(value);
const fixed = (value, digits) => (value === null || value === undefined ? "n/a" : value.toFixed(digits));
const percent = (rate, digits = 2) => (rate === null || rate === undefined ? "n/a" : `${rate.toFixed(digits)} %`);
const signed = (value, digits = 2) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

function pValue(p) {
  if (p < 0.001) return "p < 0.001";
  return `p = ${p < 0.01 ? p.toFixed(4) : p.toFixed(3)}`;
}

// C locale, as everywhere in Keraldi.
const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function section(id, title, lead, ...children) {
  return h(
    "section",
    { id, class: "panel", "aria-labelledby": `${id}-title`, tabindex: -1 },
    h("h2", { id: `${id}-title` }, title),
    lead ? h("p", { class: "lead" }, lead) : null,
    children,
  );
}

// What may be wider than the page scrolls in a box of its own, by keyboard too.
function scrollBox(label, content, more = "") {
  return h("div", { class: `scroll ${more}`, role: "region", tabindex: 0, "aria-label": label }, content);
}

let fieldCount = 0;

function select(label, options, value, onchange) {
  const id = `field-${(fieldCount += 1)}`;
  const list = h(
    "select",
    { id, onchange: () => onchange(list.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
  );
  return h("span", { class: "field" }, h("label", { for: id }, label), list);
}

// One of several, as radio buttons that look like a switch.
function choice(label, options, value, onchange) {
  const name = `choice-${(fieldCount += 1)}`;
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "hidden" }, label),
    options.map(([key, text]) => {
      const input = h("input", { type: "radio", name, value: key, checked: key === value, onchange: () => onchange(key) });
      return h("label", {}, input, h("span", {}, text));
    }),
  );
}

// Elements that lay themselves out by the room they have.
const resized = new ResizeObserver((entries) => entries.forEach((entry) => entry.target.lay?.()));

const tip = document.getElementById("tip");

function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line) => h("div", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = Math.min(Math.max(8, x + 14), document.documentElement.clientWidth - box.width - 8);
  const above = y - box.height - 12;
  tip.style.left = `${left}px`;
  tip.style.top = `${above < 8 ? y + 18 : above}px`;
}

function hideTip() {
  tip.hidden = true;
}

// The theme: the system's, until the reader chooses.
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const themeListeners = [];
let printing = false; // paper is light

function storedTheme() {
  try {
    return localStorage.getItem("keraldi-theme");
  } catch {
    return null; // some browsers keep nothing for pages from disk
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return !printing && (chosen ? chosen === "dark" : systemDark.matches);
}

function showTheme() {
  const next = isDark() ? "light" : "dark";
  const button = document.getElementById("theme");
  button.textContent = isDark() ? "☀ Light" : "☾ Dark";
  button.setAttribute("aria-label", `Switch to ${next} colours`);
  themeListeners.forEach((listener) => listener());
}

function setUpTheme() {
  const stored = storedTheme();
  if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
  document.getElementById("theme").addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("keraldi-theme", next);
    } catch {
      // it lasts as long as the page then
    }
    showTheme();
  });
  systemDark.addEventListener("change", showTheme);
  showTheme();
}

// Colours of grey pictures, from least to most.
const RAMPS = {
  spectrogram: {
    light: ["#fdfcf9", "#dcdde0", "#9ea4b1", "#525a70", "#141a2e"],
    dark: ["#0d0f16", "#2b1b53", "#85216b", "#e35933", "#fcefa8"],
  },
  posteriors: {
    light: ["#fdfcf9", "#cfe1ee", "#7fb2d4", "#2b78ad", "#0b3c66"],
    dark: ["#0d0f16", "#0f3350", "#17709c", "#58b7d8", "#e9fbff"],
  },
};

function ramp(name) {
  const stops = RAMPS[name][isDark() ? "dark" : "light"].map((hex) =>
    [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)),
  );
  const table = [];
  for (let level = 0; level < 256; level += 1) {
    const place = (level / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    table.push(stops[low].map((v, i) => v + (stops[low + 1][i] - v) * (place - low)));
  }
  return table;
}

// Draws a grey picture in the theme's colours; later calls only change the colours, at once.
async function paint(canvas, source, rampName) {
  if (!canvas.grey) {
    const image = new Image();
    image.src = source;
    await image.decode();
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    canvas.grey = data.filter((_, i) => i % 4 === 0);
    canvas.ramp = rampName;
  }
  colour(canvas);
}

function colour(canvas) {
  if (!canvas.grey) return;
  const context = canvas.getContext("2d"), table = ramp(canvas.ramp);
  const pixels = context.createImageData(canvas.width, canvas.height);
  canvas.grey.forEach((level, i) => pixels.data.set([...table[level], 255], 4 * i));
  context.putImageData(pixels, 0, 0);
}

const colourAll = () => document.querySelectorAll("canvas").forEach(colour);
themeListeners.push(colourAll);
addEventListener("beforeprint", () => { printing = true; colourAll(); });
addEventListener("afterprint", () => { printing = false; colourAll(); });
