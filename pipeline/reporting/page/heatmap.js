// Which phone was taken for which: a grid to sort, walk through and click.

const GAP = -1;
const OTHER_CLASSES = ["vowel", "diphthong", "semivowel", "nasal", "fricative", "affricate", "stop", "silence"];
const HEAT_ORDERS = [
  ["class", "phone class"],
  ["errors", "most errors"],
  ["rate", "highest error rate"],
  ["tokens", "frequency"],
  ["name", "alphabet"],
];

// Every pair of a set and where it happens: "ref hyp" -> {count, utterances: Map(number -> times)}
function countPairs(set, level) {
  const classOf = set.classes.of;
  const name = (symbol) => {
    if (symbol === GAP) return null;
    const phone = set.symbols[symbol];
    return level === "classes" ? classOf[phone] ?? "other" : phone;
  };
  const table = new Map();
  set.utterances.forEach((utterance, number) => {
    for (let i = 0; i < utterance.pairs.length; i += 2) {
      const ref = name(utterance.pairs[i]), hyp = name(utterance.pairs[i + 1]);
      const key = JSON.stringify([ref, hyp]);
      if (!table.has(key)) table.set(key, { ref, hyp, count: 0, utterances: new Map() });
      const cell = table.get(key);
      cell.count += 1;
      cell.utterances.set(number, (cell.utterances.get(number) ?? 0) + 1);
    }
  });
  return table;
}

function sumUp(table) {
  const totals = new Map();
  const of = (phone) => {
    if (!totals.has(phone)) totals.set(phone, { tokens: 0, errors: 0 });
    return totals.get(phone);
  };
  let inserted = 0;
  for (const { ref, hyp, count } of table.values()) {
    if (ref === null) {
      inserted += count;
      of(hyp).errors += count;
    } else {
      of(ref).tokens += count;
      if (ref !== hyp) of(ref).errors += count;
      if (hyp !== null) of(hyp);
    }
  }
  return { totals, inserted };
}

function sortPhones(totals, order, classOf) {
  const place = (phone) => {
    const at = OTHER_CLASSES.indexOf(classOf[phone] ?? phone);
    return at < 0 ? OTHER_CLASSES.length : at;
  };
  const rate = (phone) => { const t = totals.get(phone); return t.tokens ? t.errors / t.tokens : -1; };
  const compare = {
    class: (a, b) => place(a) - place(b),
    errors: (a, b) => totals.get(b).errors - totals.get(a).errors,
    rate: (a, b) => rate(b) - rate(a),
    tokens: (a, b) => totals.get(b).tokens - totals.get(a).tokens,
    name: () => 0,
  }[order];
  return [...totals.keys()].sort((a, b) => compare(a, b) || byName(a, b));
}

const pairTitle = (ref, hyp) => (ref === null ? `${hyp} inserted` : hyp === null ? `${ref} deleted` : ref === hyp ? `${ref} right` : `${ref} → ${hyp}`);

function confusionSection(set, jump) {
  const state = { order: "class", level: "phones", scale: "share" };
  const holder = h("div", { class: "heat-scroll", tabindex: -1 });
  const status = h("p", { class: "heat-status", role: "status", "aria-live": "polite" });
  const detail = h("div", { class: "heat-detail", tabindex: -1 });
  let table, sums, keys, focus = [0, 0], cells = [], selected = null;

  function describe(ref, hyp) {
    const cell = table.get(JSON.stringify([ref, hyp]));
    const count = cell ? cell.count : 0;
    const of = ref === null ? sums.inserted : sums.totals.get(ref).tokens;
    const share = of ? ` (${((100 * count) / of).toFixed(1)} % of ${ref === null ? "insertions" : ref})` : "";
    return `${pairTitle(ref, hyp)}: ${whole(count)}${share}`;
  }

  function level(ref, hyp, count, most) {
    if (!count) return 0;
    const of = ref === null ? sums.inserted : sums.totals.get(ref).tokens;
    // Square roots keep rare confusions visible beside frequent ones.
    return state.scale === "share" ? Math.sqrt(count / of) : Math.sqrt(count / most[ref === hyp ? 0 : 1]);
  }

  // Cells of broad classes have room for a number.
  function cellText(ref, count) {
    if (state.scale === "count") return whole(count);
    const share = (100 * count) / (ref === null ? sums.inserted : sums.totals.get(ref).tokens);
    return share < 0.95 ? "<1" : share.toFixed(0);
  }

  function drawGrid() {
    const phones = sortPhones(sums.totals, state.order, set.classes.of);
    keys = { rows: [...phones, null], columns: [...phones, null] };
    const most = [1, 1];
    for (const { ref, hyp, count } of table.values()) {
      const kind = ref === hyp ? 0 : 1;
      most[kind] = Math.max(most[kind], count);
    }
    const edge = (list, i) => state.order === "class" && state.level === "phones" && i > 0
      && (list[i] === null || set.classes.of[list[i]] !== set.classes.of[list[i - 1]]);
    const head = h("tr", { role: "row" }, h("td", { class: "corner" }),
      keys.columns.map((hyp, j) => h("th", { scope: "col", role: "columnheader", class: edge(keys.columns, j) ? "edge-left" : null },
        h("span", {}, hyp === null ? "deleted" : hyp))));
    cells = [];
    const rows = keys.rows.map((ref, i) => {
      cells.push([]);
      return h("tr", { role: "row", class: edge(keys.rows, i) ? "edge-top" : null },
        h("th", { scope: "row", role: "rowheader" }, ref === null ? "inserted" : ref),
        keys.columns.map((hyp, j) => {
          if (ref === null && hyp === null) return h("td", { class: "void" });
          const cell = table.get(JSON.stringify([ref, hyp]));
          const heat = level(ref, hyp, cell ? cell.count : 0, most);
          const box = h("td", {
            role: "gridcell", tabindex: -1, "data-row": i, "data-column": j,
            "aria-label": describe(ref, hyp),
            class: `${ref === hyp ? "hit" : "miss"}${heat ? " on" : ""}${edge(keys.columns, j) ? " edge-left" : ""}`,
            style: heat ? { "--heat": `${Math.round(7 + 93 * heat)}%` } : {},
          });
          if (heat && state.level === "classes") {
            box.append(cellText(ref, cell.count));
            box.classList.toggle("deep", heat > 0.72);
          }
          cells[i][j] = box;
          return box;
        }));
    });
    holder.replaceChildren(h("table", { class: `heat ${state.level}`, role: "grid", "aria-label": "Confusions: rows are references, columns hypotheses. Arrow keys move, Enter shows the utterances." },
      h("thead", {}, head), h("tbody", {}, rows)));
    focus = [0, 0];
    cells[0][0].tabIndex = 0;
    fit();
    choose(selected, false);
  }

  // Cells are as large as the room allows, and as a finger needs.
  function fit() {
    const names = holder.querySelector("tbody th").offsetWidth, edges = holder.querySelectorAll("thead .edge-left").length;
    const room = holder.clientWidth - names - 24, gaps = keys.columns.length + 4 * edges;
    const most = keys.columns.length < 16 ? 56 : 20;
    if (room > 0) holder.style.setProperty("--cell", `${Math.max(13, Math.min(most, Math.floor((2 * (room - gaps)) / keys.columns.length) / 2))}px`);
  }

  function move(i, j) {
    i = Math.max(0, Math.min(keys.rows.length - 1, i));
    j = Math.max(0, Math.min(keys.columns.length - 1, j));
    if (!cells[i][j]) return; // the corner of insertions and deletions
    cells[focus[0]][focus[1]].tabIndex = -1;
    focus = [i, j];
    cells[i][j].tabIndex = 0;
    cells[i][j].focus();
  }

  function point(box) {
    const i = Number(box.dataset.row), j = Number(box.dataset.column);
    holder.querySelectorAll("th.near").forEach((th) => th.classList.remove("near"));
    box.parentElement.firstElementChild.classList.add("near");
    holder.querySelector("thead tr").children[j + 1].classList.add("near");
    status.textContent = describe(keys.rows[i], keys.columns[j]);
  }

  function choose(pair, go) {
    selected = pair;
    holder.querySelectorAll("[aria-selected]").forEach((box) => box.removeAttribute("aria-selected"));
    if (pair === null) { showTop(); return; }
    const box = cells[keys.rows.indexOf(pair[0])]?.[keys.columns.indexOf(pair[1])];
    if (box) box.setAttribute("aria-selected", "true");
    showCell(pair);
    if (go) detail.focus({ preventScroll: false });
  }

  function showTop() {
    const misses = [...table.values()].filter((c) => c.ref !== c.hyp).sort((a, b) => b.count - a.count || byName(String(a.ref), String(b.ref)));
    detail.replaceChildren(
      h("h3", {}, "Most frequent errors"),
      misses.length ? h("ol", { class: "pair-list" }, misses.slice(0, 14).map((c) =>
        h("li", {}, h("button", { type: "button", onclick: () => choose([c.ref, c.hyp], true) },
          h("span", { class: "phone-pair" }, pairTitle(c.ref, c.hyp)), h("span", { class: "n" }, whole(c.count))))))
        : h("p", {}, "No errors at all."),
      h("p", { class: "hint" }, "Click a cell, or move with the arrow keys and press Enter, to see where it happens."));
  }

  function showCell([ref, hyp]) {
    const cell = table.get(JSON.stringify([ref, hyp]));
    const sound = (number) => Boolean(exampleOf(set, set.utterances[number].id).audio);
    const places = cell ? [...cell.utterances].sort((a, b) => sound(b[0]) - sound(a[0]) || b[1] - a[1] || a[0] - b[0]) : [];
    detail.replaceChildren(
      h("button", { type: "button", class: "quiet back", onclick: () => { choose(null, false); detail.focus(); } }, "← most frequent errors"),
      h("h3", {}, pairTitle(ref, hyp)),
      h("p", { class: "figure-line" }, describe(ref, hyp).replace(/^.*: /, ""), places.length ? `, in ${plural(places.length, "utterance")}` : ""),
      h("ul", { class: "utterance-list", "aria-label": "Utterances" }, places.map(([number, times]) =>
        h("li", {}, h("button", { type: "button", onclick: () => jump(number, [ref, hyp], state.level) },
          h("span", { class: "utt" }, set.utterances[number].id),
          h("span", { class: "n" }, times > 1 ? `×${times} ` : "", sound(number) ? h("span", { "aria-label": "with sound" }, "♪") : ""))))),
      places.some(([number]) => sound(number)) ? h("p", { class: "hint" }, "♪ has sound and pictures.") : "");
  }

  holder.addEventListener("click", (event) => {
    const box = event.target.closest("[role=gridcell]");
    if (!box) return;
    move(Number(box.dataset.row), Number(box.dataset.column));
    choose([keys.rows[focus[0]], keys.columns[focus[1]]], false);
  });
  holder.addEventListener("pointerover", (event) => {
    const box = event.target.closest("[role=gridcell]");
    if (!box) return;
    point(box);
    showTip([box.getAttribute("aria-label")], event.clientX, event.clientY);
  });
  holder.addEventListener("pointerleave", hideTip);
  holder.addEventListener("focusin", (event) => {
    const box = event.target.closest("[role=gridcell]");
    if (box) point(box);
  });
  holder.addEventListener("keydown", (event) => {
    const [i, j] = focus, last = [keys.rows.length - 1, keys.columns.length - 1];
    const steps = {
      ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1],
      Home: [event.ctrlKey ? 0 : i, 0], End: [event.ctrlKey ? last[0] - 1 : i, last[1]],
      PageUp: [i - 10, j], PageDown: [i + 10, j],
    };
    if (steps[event.key]) {
      event.preventDefault();
      move(...steps[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose([keys.rows[i], keys.columns[j]], true);
    }
  });

  function recount() {
    table = countPairs(set, state.level);
    sums = sumUp(table);
    selected = null;
    drawGrid();
  }
  recount();
  holder.lay = fit;
  resized.observe(holder);
  const change = (name) => (value) => { state[name] = value; name === "level" ? recount() : drawGrid(); };
  return section("confusion", "Confusions",
    "Rows are what was said, columns what was heard. Blue is right, orange is wrong; the stronger the colour, the more often.",
    h("div", { class: "controls" },
      choice("What is confused", [["phones", "phones"], ["classes", "broad classes"]], state.level, change("level")),
      select("order by", HEAT_ORDERS, state.order, change("order")),
      select("shade by", [["share", "share of the reference phone"], ["count", "count"]], state.scale, change("scale"))),
    h("div", { class: "heat-layout" }, h("div", { class: "heat-main" }, holder, status), detail));
}
