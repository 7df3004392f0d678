// The page from top to bottom.

const main = DATA.models[0];

function intervalOf(record) {
  return record.intervals.speakers ?? record.intervals.utterances;
}

function rateScale(rate, interval) {
  const high = Math.max(10, Math.ceil(Math.max(rate ?? 0, interval?.high ?? 0) / 10) * 10);
  const at = (v) => `${Math.min(100, (100 * v) / high)}%`;
  return h("div", { class: "rate-scale", "aria-hidden": "true" },
    interval ? h("i", { class: "range", style: { left: at(interval.low), width: `${(100 * (interval.high - interval.low)) / high}%` } }) : null,
    rate === null ? null : h("i", { class: "dot", style: { left: at(rate) } }),
    h("span", { class: "from" }, "0"), h("span", { class: "to" }, `${high} %`));
}

function definition(rows) {
  return h("dl", { class: "protocol" }, rows.filter(([, text]) => text !== null && text !== undefined).map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}

const ALIGNED = { jiwer: "fewest errors (jiwer)", sclite: "sclite's weights (4 sub, 3 ins, 3 del)" };

function summarySection(set) {
  const { protocol, policies } = set, counts = policies[protocol.headline], interval = intervalOf(set);
  const unit = set.intervals.speakers ? "speakers" : "utterances";
  const parts = [["hits", "right"], ["substitutions", "substituted"], ["deletions", "deleted"]];
  return section("summary", `Summary of ${set.name}`, null,
    protocol.tuned_on_itself ? h("p", { class: "warning" }, h("strong", {}, "Tuned on this set. "), "Its decoding settings were chosen by its own error rate: do not report it as a test result.") : null,
    h("div", { class: "hero" },
      h("div", { class: "hero-rate" },
        h("p", { class: "hero-label" }, "Phoneme error rate, ", h("em", {}, protocol.headline)),
        h("p", { class: "hero-number" }, fixed(counts.rate, 2), h("span", {}, " %")),
        interval ? h("p", { class: "hero-interval" }, `95 % interval ${fixed(interval.low, 2)} to ${fixed(interval.high, 2)}`,
          h("span", { class: "dim" }, ` bootstrap over ${whole(interval.groups)} ${unit}, ${whole(interval.replicates)} replicates`)) : null,
        rateScale(counts.rate, interval)),
      h("div", { class: "hero-side" },
        scrollBox("Silence policies", h("table", { class: "figures policies" },
          h("caption", {}, "Silence policies"),
          h("thead", {}, h("tr", {}, ["policy", "%PER", "sub", "del", "ins", "errors", "tokens"].map((t) => h("th", { scope: "col" }, t)))),
          h("tbody", {}, Object.entries(policies).map(([policy, c]) => h("tr", { class: policy === protocol.headline ? "chosen" : null },
            h("th", { scope: "row" }, policy), h("td", { class: "n strong" }, fixed(c.rate, 2)), KINDS.map(([kind]) => h("td", { class: "n" }, whole(c[kind]))),
            h("td", { class: "n" }, whole(c.errors)), h("td", { class: "n" }, whole(c.tokens))))))),
        h("div", { class: "fate" },
          h("p", {}, `What became of ${plural(counts.tokens, "reference phone")}`),
          h("div", { class: "fate-bar", "aria-hidden": "true" }, parts.map(([kind]) => h("i", { class: kind, style: { "flex-grow": counts[kind] } }))),
          h("ul", {}, parts.map(([kind, word]) => h("li", { class: kind }, h("i"), h("strong", {}, counts.tokens ? percent((100 * counts[kind]) / counts.tokens, 1) : "n/a"), ` ${word}`)),
            h("li", { class: "insertions" }, h("i"), h("strong", {}, whole(counts.insertions)), " inserted besides"))))),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "Protocol"), definition([
        ["intervals", [["speakers", set.intervals.speakers], ["utterances", set.intervals.utterances]].filter(([, found]) => found)
          .map(([unit, found]) => `${fixed(found.low, 2)} to ${fixed(found.high, 2)} over ${whole(found.groups)} ${unit}`).join("; ")],
        ["headline", `${protocol.headline}, for ${protocol.why}`],
        ["fold", protocol.fold],
        ["reference", `${plural(counts.tokens, "token")} in ${plural(set.utterances.length, "utterance")} of ${plural(Object.keys(set.speakers).length, "speaker")}`],
        ["alignment", ALIGNED[protocol.alignment] ?? protocol.alignment],
        ["decoding", protocol.decoding],
        ["from", h("code", {}, set.folder)],
      ])),
      h("div", {}, h("h3", {}, "Model"), definition([["folder", h("code", {}, main.path)], ...main.facts]))),
    set.notes.length || main.unscored.length ? h("div", { class: "notes" }, h("h3", {}, "Notes"), h("ul", {},
      set.notes.map((line) => h("li", {}, line)),
      main.unscored.length ? h("li", {}, `not scored, not shown: ${main.unscored.join(", ")} (keraldi score)`) : null)) : null);
}

function testText(test) {
  return test ? `${signed(test.difference)} (95 % ${signed(test.low)} to ${signed(test.high)}), ${pValue(test.p)}` : "n/a";
}

function comparisonSection(set) {
  if (DATA.models.length < 2) return null;
  const rows = DATA.models.map((model, i) => ({ model, i, found: model.sets[set.name] }));
  const known = rows.filter((row) => row.found);
  const dots = known.map(({ model, i, found }) => {
    const interval = intervalOf(found);
    return { label: model.name, rate: found.policies[found.protocol.headline].rate, low: interval?.low ?? null, high: interval?.high ?? null, colour: i % MODEL_COLOURS, main: i === 0 };
  });
  const absent = rows.filter((row) => !row.found).map((row) => row.model.name);
  return section("comparison", "Models side by side",
    `All on ${set.name}, with 95 % intervals by bootstrap. Differences (paired bootstrap, 95 % and p) are against ${main.name}: negative ones are better than it. Intervals of two systems may overlap where the paired difference is clear.`,
    scrollBox("Error rates with intervals", whiskers(dots, "Error rates")),
    scrollBox("Error rates and paired tests", h("table", { class: "figures compared" },
      h("thead", {}, h("tr", {}, ["model", "policy", "%PER", "95 %", "strict", "sil-forgiven", "sil-collapsed", "difference, over speakers", "difference, over utterances", "MAPSSWE"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, known.map(({ model, i, found }) => {
        const interval = intervalOf(found), tests = found.tests;
        return h("tr", {}, h("th", { scope: "row" }, h("i", { class: `swatch c${i % MODEL_COLOURS}` }), model.name, found.protocol.tuned_on_itself ? h("span", { class: "badge warn" }, "tuned on this set") : null),
          h("td", {}, found.protocol.headline),
          h("td", { class: "n strong" }, fixed(found.policies[found.protocol.headline].rate, 2)),
          h("td", { class: "n" }, interval ? `${fixed(interval.low, 2)}–${fixed(interval.high, 2)}` : "n/a"),
          ["strict", "sil-forgiven", "sil-collapsed"].map((p) => h("td", { class: "n" }, fixed(found.policies[p]?.rate, 2))),
          i === 0 ? h("td", { colspan: 3, class: "why-not" }, "the others are tested against this one")
            : tests.why_not ? h("td", { colspan: 3, class: "why-not" }, `no test: ${tests.why_not}`)
            : [h("td", { class: "n" }, testText(tests.speakers)), h("td", { class: "n" }, testText(tests.utterances)), h("td", { class: "n" }, pValue(tests.mapsswe.p))]);
      })))),
    absent.length ? h("p", { class: "hint" }, `Without a scored ${set.name}: ${absent.join(", ")}.`) : null);
}

const CURVE_NAMES = { loss: "Loss", accuracy: "Frame accuracy", per: "PER of dev, %", learning_rate: "Learning rate" };

function learningSection() {
  const histories = DATA.models.map((model, i) => ({ model, i, history: model.history })).filter((row) => row.history && row.history.epoch);
  if (!histories.length) return section("learning", "Learning", null, h("p", { class: "hint" }, "No history.csv in the model dir."));
  const base = (column) => column.replace(/^val_|^dev_/, "");
  const skip = new Set(["epoch", "seconds"]);
  const kinds = [...new Set(histories.flatMap(({ history }) => Object.keys(history).filter((c) => !skip.has(c)).map(base)))];
  const several = histories.length > 1;
  kinds.sort((a, b) => (a === "learning_rate") - (b === "learning_rate") || (b === "loss") - (a === "loss"));
  const charts = kinds.map((kind) => lineChart({
    title: CURVE_NAMES[kind] ?? kind, xName: "epoch",
    series: histories.flatMap(({ model, i, history }) => Object.keys(history).filter((c) => base(c) === kind).map((column) => {
      const lone = kind === "learning_rate", dev = column !== kind;
      return {
        name: [several ? model.name : null, lone ? null : dev ? "dev" : "train"].filter(Boolean).join(", ") || kind,
        colour: i % MODEL_COLOURS, dashed: !dev && !lone,
        points: history.epoch.map((epoch, k) => [epoch, history[column][k]]).filter(([epoch]) => epoch !== null),
      };
    })),
  }));
  return section("learning", "Learning", null,
    h("p", { class: "legend" }, several ? histories.map(({ model, i }) => h("span", {}, h("i", { class: `swatch c${i % MODEL_COLOURS}` }), model.name)) : null,
      h("span", { class: "line-key" }, h("i", { class: "solid" }), "dev"), h("span", { class: "line-key" }, h("i", { class: "dashes" }), "train")),
    h("div", { class: "charts" }, charts));
}

function breakdownSection(set) {
  const total = set.policies[set.protocol.headline], cards = [];
  const add = (title, what, table, order) => cards.push(rateTable({ title, what, table, order, total }));
  add("By phone", "phone", set.phones, "errors");
  add("By broad class", "class", set.by_class, "errors");
  add("By length, reference phones", "length", set.by_length, null);
  for (const [trait, table] of Object.entries(set.groups)) add(`By ${trait}`, trait, table, null);
  if (Object.keys(set.speakers).length > 1) add("By speaker", "speaker", set.speakers, "rate");
  if (set.times?.frames) cards.push(timesCard(set.times));
  if (set.calibration) cards.push(calibrationCard(set.calibration));
  return section("breakdown", "Where the errors are",
    "Bars are percent of the reference phones; the thin line is the rate of the whole set. An insertion counts for the phone that was inserted.",
    legend(), h("div", { class: "cards" }, cards));
}

function showSet(name) {
  const set = DATA.sets.find((one) => one.name === name);
  hideTip();
  const utterances = utterancesSection(set);
  const parts = [summarySection(set), comparisonSection(set), learningSection(), confusionSection(set, utterances.jump), breakdownSection(set), utterances.element].filter(Boolean);
  const heading = h("div", { class: "title" },
    h("div", {}, h("p", { class: "kicker" }, "Keraldi report"), h("h1", {}, main.name)),
    DATA.sets.length > 1 ? choice("Set", DATA.sets.map((one) => [one.name, one.name]), name, showSet) : null);
  const within = document.activeElement?.closest?.(".title");
  document.getElementById("content").replaceChildren(heading, ...parts);
  document.getElementById("sections").replaceChildren(...parts.map((part) =>
    h("a", { href: `#${part.id}` }, { summary: "Summary", comparison: "Models", learning: "Learning", confusion: "Confusions", breakdown: "Errors", utterances: "Utterances" }[part.id])));
  if (within) heading.querySelector("input:checked").focus();
}

setUpTheme();
showSet(DATA.sets[0].name);
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
addEventListener("scroll", hideTip, { passive: true });
