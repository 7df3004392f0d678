// Error rates as rows with bars that add up from substitutions, deletions and insertions.

function legend() {
  return h("p", { class: "legend", "aria-hidden": "true" }, KINDS.map(([kind, word]) => h("span", { class: kind }, h("i"), word)));
}

function kindsText(counts) {
  return KINDS.map(([kind, word]) => `${whole(counts[kind])} ${word}`).join(", ");
}

function bar(counts, scale) {
  const tokens = counts.tokens || counts.errors || 1;
  const part = ([kind]) => {
    const width = ((100 * counts[kind]) / tokens / scale) * 100;
    return counts[kind] ? h("i", { class: kind, style: { width: `${Math.min(width, 100)}%` } }) : null;
  };
  return h("span", { class: "bar-track", "aria-hidden": "true", title: kindsText(counts) }, KINDS.map(part));
}

const ORDERS = {
  errors: ["most errors", (a, b) => b[1].errors - a[1].errors],
  rate: ["highest rate", (a, b) => (b[1].rate ?? -1) - (a[1].rate ?? -1)],
  tokens: ["most frequent", (a, b) => b[1].tokens - a[1].tokens],
  name: ["name", (a, b) => byName(a[0], b[0])],
};
const FIRST_ROWS = 15;

// table: {key: COUNTS}; a table of rates, sorted as the reader asks.
function rateTable({ title, what, table, order = null, total }) {
  const entries = Object.entries(table);
  if (!entries.length) return null;
  let current = order, open = entries.length <= FIRST_ROWS + 3;
  const scale = Math.max(1, ...entries.map(([, c]) => (c.rate === null ? 0 : c.rate)));
  const body = h("tbody");
  const more = h("button", { type: "button", class: "quiet more", onclick: () => { open = !open; draw(); } });
  const fillRows = () => {
    const sorted = current ? [...entries].sort((a, b) => ORDERS[current][1](a, b) || byName(a[0], b[0])) : entries;
    body.replaceChildren(
      ...(open ? sorted : sorted.slice(0, FIRST_ROWS)).map(([key, c]) =>
        h("tr", {},
          h("th", { scope: "row", title: key }, key),
          h("td", { class: "bar-cell" }, bar(c, Math.min(scale, 120)), total && total.rate !== null
            ? h("span", { class: "mean", "aria-hidden": "true", style: { left: `${Math.min(100, (total.rate / Math.min(scale, 120)) * 100)}%` } }) : null),
          h("td", { class: "n strong" }, fixed(c.rate, 1)),
          h("td", { class: "n dim" }, `${whole(c.errors)} / ${whole(c.tokens)}`),
        ),
      ),
    );
  };
  const draw = () => {
    fillRows();
    more.textContent = open ? "Show fewer" : `Show all ${whole(entries.length)}`;
  };
  draw();
  const options = Object.entries(ORDERS).map(([key, [text]]) => [key, text]);
  return h("div", { class: "card rates" },
    h("div", { class: "card-head" }, h("h3", {}, title),
      order && entries.length > 2 ? select("sort by", options, order, (key) => { current = key; draw(); }) : null),
    h("table", { class: "rate-table" },
      h("caption", { class: "hidden" }, `${title}: error rate in percent, errors and reference phones`),
      h("thead", { class: "hidden" }, h("tr", {}, [what, "share of errors", "%PER", "errors / tokens"].map((text) => h("th", { scope: "col" }, text)))),
      body),
    entries.length > FIRST_ROWS + 3 ? more : null);
}

function timesCard(times) {
  return h("div", { class: "card" },
    h("h3", {}, "Times"),
    h("p", { class: "figure-line" }, h("strong", {}, percent(times.frame_accuracy)), ` of ${whole(times.frames)} frames of 10 ms are right`),
    scrollBox("Accuracy of times", h("table", { class: "figures" },
      h("thead", {}, h("tr", {}, ["boundary within", "precision", "recall", "F", "R-value"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, Object.entries(times.boundaries).map(([ms, c]) =>
        h("tr", {}, h("th", { scope: "row" }, `${ms} ms`), [c.precision, c.recall, c.f_score, c.r_value].map((v) => h("td", { class: "n" }, fixed(v, 3)))))))));
}

function calibrationCard(found) {
  return h("div", { class: "card" },
    h("h3", {}, "Confidence"),
    h("p", { class: "figure-line" }, h("strong", {}, `ECE ${fixed(found.ece, 3)}`), `, NCE ${fixed(found.nce, 3)}, ${plural(found.phones, "phone")}`),
    reliability(found));
}
