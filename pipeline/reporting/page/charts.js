// Curves and intervals, as SVG.

function niceTicks(low, high, count) {
  const raw = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((f) => f >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

function tickText(value, digits) {
  return digits > 4 ? value.toExponential(0) : value.toFixed(digits);
}

// series: [{name, colour (number), dashed, points: [[x, y | null], …]}]
function lineChart({ title, series, xName }) {
  const width = 380, height = 235;
  const edge = { left: 46, right: 12, top: 12, bottom: 34 };
  const points = series.flatMap((one) => one.points.filter((p) => p[1] !== null));
  if (!points.length) return null;
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const xLow = Math.min(...xs), xHigh = Math.max(...xs, xLow + 1);
  let yLow = Math.min(...ys), yHigh = Math.max(...ys);
  if (yLow >= 0 && yLow < 0.35 * yHigh) yLow = 0;
  if (yHigh === yLow) yHigh = yLow + 1;
  yHigh += 0.04 * (yHigh - yLow);
  const x = (v) => edge.left + ((v - xLow) / (xHigh - xLow)) * (width - edge.left - edge.right);
  const y = (v) => height - edge.bottom - ((v - yLow) / (yHigh - yLow)) * (height - edge.top - edge.bottom);
  const yTicks = niceTicks(yLow, yHigh, 4), xTicks = niceTicks(xLow, xHigh, 6);
  const chart = s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": chartLabel(title, series) },
    yTicks.ticks.map((v) => [
      s("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(v), y2: y(v) }),
      s("text", { class: "tick", x: edge.left - 7, y: y(v) + 4, "text-anchor": "end" }, tickText(v, yTicks.digits)),
    ]),
    xTicks.ticks.filter(Number.isInteger).map((v) =>
      s("text", { class: "tick", x: x(v), y: height - edge.bottom + 16, "text-anchor": "middle" }, String(v)),
    ),
    s("text", { class: "tick", x: width - edge.right, y: height - 3, "text-anchor": "end" }, xName),
    series.map((one) => curve(one, x, y)),
  );
  const cursor = s("line", { class: "cursor", y1: edge.top, y2: height - edge.bottom, visibility: "hidden" });
  chart.append(cursor);
  const leave = () => { cursor.setAttribute("visibility", "hidden"); hideTip(); };
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const near = xs.reduce((best, v) => (Math.abs(x(v) - at) < Math.abs(x(best) - at) ? v : best), xs[0]);
    cursor.setAttribute("x1", x(near));
    cursor.setAttribute("x2", x(near));
    cursor.setAttribute("visibility", "visible");
    const lines = series
      .map((one) => [one, one.points.find((p) => p[0] === near)])
      .filter(([, point]) => point && point[1] !== null)
      .map(([one, point]) => `${one.name}: ${point[1].toPrecision(4)}`);
    showTip([`${xName} ${near}`, ...lines], event.clientX, event.clientY);
  });
  chart.addEventListener("pointerleave", leave);
  return h("figure", { class: "chart-box" }, h("figcaption", {}, title), chart);
}

function chartLabel(title, series) {
  const ends = series.map((one) => {
    const known = one.points.filter((p) => p[1] !== null);
    if (!known.length) return `${one.name}: no values`;
    return `${one.name} from ${known[0][1].toPrecision(3)} to ${known[known.length - 1][1].toPrecision(3)}`;
  });
  return `${title}: ${ends.join("; ")}`;
}

function curve(one, x, y) {
  // A value that is missing (NaN in history.csv) breaks the line.
  let path = "", pen = "M";
  const dots = [];
  for (const [at, value] of one.points) {
    if (value === null) { pen = "M"; continue; }
    path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    if (!one.dashed) dots.push(s("circle", { cx: x(at), cy: y(value), r: one.points.length > 40 ? 0 : 2.4 }));
  }
  return s("g", { class: `curve c${one.colour}${one.dashed ? " dashed" : ""}` }, s("path", { d: path }), dots);
}

// rows: [{label, rate, low, high, colour, main}] -> dots with whiskers on one axis
function whiskers(rows, name) {
  const known = rows.filter((row) => row.rate !== null);
  if (!known.length) return null;
  const width = 640, line = 34, left = 150, right = 24, top = 8, height = top + line * rows.length + 30;
  let low = Math.min(...known.map((r) => r.low ?? r.rate)), high = Math.max(...known.map((r) => r.high ?? r.rate));
  const room = (high - low || 1) * 0.08;
  low = Math.max(0, low - room);
  high += room;
  const x = (v) => left + ((v - low) / (high - low)) * (width - left - right);
  const ticks = niceTicks(low, high, 6);
  const said = rows.map((r) => `${r.label} ${percent(r.rate)}${r.low === null ? "" : `, ${fixed(r.low, 2)} to ${fixed(r.high, 2)}`}`);
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "chart wide", role: "img", "aria-label": `${name}: ${said.join("; ")}` },
    ticks.ticks.map((v) => [
      s("line", { class: "grid", x1: x(v), x2: x(v), y1: top, y2: height - 26 }),
      s("text", { class: "tick", x: x(v), y: height - 8, "text-anchor": "middle" }, `${tickText(v, ticks.digits)} %`),
    ]),
    rows.map((row, i) => {
      const y = top + line * (i + 0.5);
      const label = s("text", { class: row.main ? "row-name main" : "row-name", x: left - 14, y: y + 4, "text-anchor": "end" }, shorten(row.label, 20));
      if (row.rate === null) return label;
      return s(
        "g",
        { class: `whisker c${row.colour}` },
        label,
        row.low === null ? null : [
          s("line", { x1: x(row.low), x2: x(row.high), y1: y, y2: y }),
          s("line", { x1: x(row.low), x2: x(row.low), y1: y - 5, y2: y + 5 }),
          s("line", { x1: x(row.high), x2: x(row.high), y1: y - 5, y2: y + 5 }),
        ],
        s("circle", { cx: x(row.rate), cy: y, r: 5.5 }),
      );
    }),
  );
}

function shorten(text, length) {
  return text.length <= length ? text : `…${text.slice(1 - length)}`;
}

// How far confidences can be trusted: share right against confidence.
function reliability(found) {
  const size = 250, left = 44, bottom = 38, top = 10, right = 10;
  const x = (v) => left + v * (size - left - right), y = (v) => size - bottom - v * (size - top - bottom);
  const most = Math.max(...found.bins.map((bin) => bin[2]));
  const marks = [0, 0.5, 1];
  const said = found.bins.filter((b) => b[2]).map((b) => `confidence ${b[3].toFixed(2)}: ${(100 * b[4]).toFixed(0)} % right`);
  return s(
    "svg",
    { viewBox: `0 0 ${size} ${size}`, class: "chart square", role: "img", "aria-label": `Reliability: ${said.join("; ")}` },
    marks.map((v) => [
      s("line", { class: "grid", x1: x(0), x2: x(1), y1: y(v), y2: y(v) }),
      s("line", { class: "grid", x1: x(v), x2: x(v), y1: y(0), y2: y(1) }),
      s("text", { class: "tick", x: x(0) - 6, y: y(v) + 4, "text-anchor": "end" }, String(v)),
      s("text", { class: "tick", x: x(v), y: y(0) + 15, "text-anchor": "middle" }, String(v)),
    ]),
    s("text", { class: "tick", x: x(1), y: size - 4, "text-anchor": "end" }, "confidence → share right ↑"),
    s("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    found.bins.filter((bin) => bin[2]).map((bin) =>
      s("circle", { class: "point", cx: x(bin[3]), cy: y(bin[4]), r: 2.5 + 6 * Math.sqrt(bin[2] / most) },
        s("title", {}, `${plural(bin[2], "phone")}, confidence ${bin[3].toFixed(2)}, ${(100 * bin[4]).toFixed(1)} % right`)),
    ),
  );
}
