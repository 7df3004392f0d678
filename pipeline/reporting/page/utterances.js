// Utterances in time: spectrogram, posteriors, reference and hypothesis, and their sound.

const ROW_HEIGHT = 11; // of a posteriorgram
const LEAST_SCALE = 230; // pixels a second: 60 ms are wide enough for a letter
const MOST_SCALE = 1600; // of an utterance of a word

function utteranceCounts(utterance) {
  const counts = { hits: 0, substitutions: 0, deletions: 0, insertions: 0 };
  for (let i = 0; i < utterance.pairs.length; i += 2) counts[kindOf(utterance.pairs[i], utterance.pairs[i + 1])] += 1;
  counts.tokens = counts.hits + counts.substitutions + counts.deletions;
  counts.errors = counts.substitutions + counts.deletions + counts.insertions;
  counts.rate = counts.tokens ? (100 * counts.errors) / counts.tokens : null;
  return counts;
}

function kindOf(ref, hyp) {
  if (ref === GAP) return "insertions";
  if (hyp === GAP) return "deletions";
  return ref === hyp ? "hits" : "substitutions";
}

// Sound and spectrogram are shared by all sets of the same data; posteriors are of the set.
const exampleOf = (set, id) => ({ ...DATA.media[set.media]?.[id], posteriors: set.posteriors[id] });

// [phone, pause before it, duration, confidence, pairs further, …] -> objects, times in seconds
function unpack(row, set, utterance) {
  if (!row) return null;
  const marks = [];
  let clock = 0, last = -1;
  for (let i = 0; i < row.length; i += 5) {
    const [phone, pause, duration, sure, step] = row.slice(i, i + 5);
    const start = clock + pause, pair = step ? last + step : -1;
    clock = start + duration;
    last += step;
    marks.push({
      phone: set.symbols[phone], start: start / 1000, end: clock / 1000,
      sure: sure < 0 ? null : sure, pair,
      kind: pair < 0 ? "unscored" : kindOf(utterance.pairs[2 * pair], utterance.pairs[2 * pair + 1]),
    });
  }
  return marks;
}

// References without times: each stands under its partner, deleted ones share a neighbour's place.
function placeReferences(set, utterance, heard) {
  if (!heard || !heard.some((mark) => mark.pair >= 0)) return null;
  const at = new Map(heard.filter((mark) => mark.pair >= 0).map((mark) => [mark.pair, mark]));
  const groups = [];
  let waiting = [];
  const count = utterance.pairs.length / 2;
  for (let pair = 0; pair < count; pair += 1) {
    const ref = utterance.pairs[2 * pair];
    if (ref === GAP) continue;
    waiting.push(pair);
    if (at.has(pair)) { groups.push([at.get(pair), waiting]); waiting = []; }
  }
  if (waiting.length && groups.length) groups[groups.length - 1][1].push(...waiting);
  return groups.flatMap(([mark, pairs]) => pairs.map((pair, k) => {
    const step = (mark.end - mark.start) / pairs.length;
    return {
      phone: set.symbols[utterance.pairs[2 * pair]], start: mark.start + k * step, end: mark.start + (k + 1) * step,
      sure: null, pair, kind: kindOf(utterance.pairs[2 * pair], utterance.pairs[2 * pair + 1]), guessed: true,
    };
  }));
}

const KIND_WORDS = { hits: "right", substitutions: "substituted", deletions: "deleted", insertions: "inserted", unscored: "not scored" };

function pairStrip(set, utterance, wanted) {
  const name = (symbol) => (symbol === GAP ? "–" : set.symbols[symbol]);
  const items = [];
  for (let i = 0; i < utterance.pairs.length; i += 2) {
    const [ref, hyp] = [utterance.pairs[i], utterance.pairs[i + 1]], kind = kindOf(ref, hyp);
    items.push(h("li", { class: `pair ${kind}${wanted && wanted(ref, hyp) ? " wanted" : ""}`, title: KIND_WORDS[kind] },
      h("span", { class: "ref" }, name(ref)), h("span", { class: "hyp" }, name(hyp)),
      h("span", { class: "op" }, kind === "hits" ? "" : kind[0].toUpperCase())));
  }
  return h("div", { class: "strip" },
    h("div", { class: "strip-names", "aria-hidden": "true" }, h("span", {}, "ref"), h("span", {}, "hyp")),
    h("ol", { "aria-label": "Aligned phones, reference above hypothesis" }, items));
}

function timeline(set, utterance, example, wanted) {
  const heard = unpack(utterance.hyp, set, utterance);
  const known = unpack(utterance.ref, set, utterance);
  const said = known ?? placeReferences(set, utterance, heard);
  const ends = [...(heard ?? []), ...(said ?? [])].map((mark) => mark.end);
  const seconds = example.seconds ?? Math.max(0, ...ends, example.posteriors?.end ?? 0);
  if (!seconds) return null;
  const playhead = h("div", { class: "playhead", hidden: true });
  const tracks = [];
  const track = (name, label, content, extra = {}) => {
    tracks.push(h("div", { class: `track ${name}` }, h("div", { class: "gutter" }, label), h("div", { class: "lane", ...extra }, content)));
  };
  const pictures = [];
  if (example.spectrogram) {
    const canvas = h("canvas", { role: "img", "aria-label": `Spectrogram of ${utterance.id}` });
    pictures.push([canvas, example.spectrogram, "spectrogram"]);
    const top = example.top_hz / 1000;
    track("spectrum", [h("span", {}, `${top % 1 ? top.toFixed(1) : top} kHz`), h("span", {}, "0")], canvas);
  }
  if (example.posteriors) {
    const { image, rows, start, end } = example.posteriors;
    const canvas = h("canvas", { role: "img", "aria-label": `Posteriors of ${rows.length} phones over time`,
      style: { left: `${(100 * start) / seconds}%`, width: `${(100 * (end - start)) / seconds}%` } });
    pictures.push([canvas, image, "posteriors"]);
    track("posteriors", rows.map((row) => h("span", {}, row)), canvas, { style: { height: `${rows.length * ROW_HEIGHT}px` } });
  }
  const lane = (marks, side) => marks.map((mark) => h("div", {
    class: `phone ${mark.kind}${mark.guessed ? " guessed" : ""}${wanted && mark.pair >= 0 && wanted(utterance.pairs[2 * mark.pair], utterance.pairs[2 * mark.pair + 1]) ? " wanted" : ""}`,
    "data-start": mark.start, "data-end": mark.end,
    title: `${side} ${mark.phone}, ${mark.start.toFixed(3)} to ${mark.end.toFixed(3)} s${mark.guessed ? " (placed by the alignment)" : ""}, ${KIND_WORDS[mark.kind]}${mark.sure === null ? "" : `, confidence ${(mark.sure / 100).toFixed(2)}`}`,
  }, h("span", {}, mark.phone)));
  if (said) track("labels ref", "ref", lane(said, "reference"));
  if (heard) track("labels hyp", "hyp", lane(heard, "hypothesis"));
  const axis = h("div", { class: "axis" });
  track("time", "s", axis);
  const stage = h("div", { class: "tracks" }, tracks, playhead);
  const scroll = h("div", {
    class: "timeline", role: "slider", tabindex: 0, "aria-label": `Time in ${utterance.id}: arrow keys step through the phones, space plays`,
    "aria-valuemin": 0, "aria-valuemax": seconds.toFixed(2), "aria-valuenow": 0, "aria-valuetext": "0 s",
  }, stage);
  const view = { scroll, stage, playhead, seconds, pictures, marks: heard ?? said ?? [], lay: null };
  view.lay = () => layOut(view, axis);
  return view;
}

function layOut(view, axis) {
  const gutter = 58, room = view.scroll.clientWidth - gutter - 2;
  if (room <= 0) return;
  const scale = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, room / view.seconds));
  view.scale = scale;
  view.gutter = gutter;
  view.stage.style.width = `${Math.ceil(gutter + view.seconds * scale)}px`;
  view.stage.querySelectorAll(".phone").forEach((box) => {
    const start = Number(box.dataset.start), width = (Number(box.dataset.end) - start) * scale;
    box.style.left = `${start * scale}px`;
    box.style.width = `${width}px`;
    const needed = 7.4 * box.textContent.length + 4;
    box.classList.toggle("narrow", width < needed);
  });
  const step = [0.1, 0.2, 0.5, 1].find((v) => v * scale > 55) ?? 2;
  const ticks = [];
  for (let k = 0; k * step <= view.seconds; k += 1) {
    ticks.push(h("span", { style: { left: `${k * step * scale}px` } }, (k * step).toFixed(step < 1 ? 1 : 0)));
  }
  axis.replaceChildren(...ticks);
}

// Sound, and where it is.
class Player {
  constructor(audio) {
    this.audio = audio;
    this.view = null;
    this.until = null;
    if (audio) {
      audio.addEventListener("play", () => {
        document.querySelectorAll("audio").forEach((other) => { if (other !== audio) other.pause(); });
        this.follow();
      });
      audio.addEventListener("seeked", () => this.show());
      audio.addEventListener("pause", () => this.show());
    }
  }

  play(start, end) {
    if (!this.audio) return;
    this.until = end;
    this.audio.currentTime = start;
    this.audio.play().catch(() => {}); // the browser may want a click on the page first
  }

  toggle() {
    if (!this.audio) return;
    this.until = null;
    if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  get time() {
    return this.audio ? this.audio.currentTime : this.shown ?? 0;
  }

  seek(seconds) {
    this.shown = Math.max(0, Math.min(this.view.seconds, seconds));
    this.until = null;
    if (this.audio) this.audio.currentTime = this.shown;
    this.show(this.shown);
  }

  follow() {
    if (this.until !== null && this.audio.currentTime >= this.until) {
      this.audio.pause();
      this.until = null;
    }
    this.show();
    if (!this.audio.paused) requestAnimationFrame(() => this.follow());
  }

  show(seconds = this.time) {
    const { view } = this;
    if (!view || !view.scale) return;
    const x = view.gutter + Math.min(seconds, view.seconds) * view.scale;
    view.playhead.hidden = false;
    view.playhead.style.transform = `translateX(${x}px)`;
    const left = view.scroll.scrollLeft, width = view.scroll.clientWidth;
    if (x < left + view.gutter + 10 || x > left + width - 30) view.scroll.scrollLeft = x - width / 2;
    const now = view.marks.find((mark) => mark.start <= seconds + 1e-6 && seconds < mark.end - 1e-6);
    view.scroll.setAttribute("aria-valuenow", seconds.toFixed(2));
    view.scroll.setAttribute("aria-valuetext", `${seconds.toFixed(2)} s${now ? `, ${now.phone} ${KIND_WORDS[now.kind]}` : ""}`);
  }
}

function onTimelineKeys(event, player) {
  const { view } = player, time = player.time;
  const starts = view.marks.map((mark) => mark.start);
  const moves = {
    ArrowRight: () => starts.find((t) => t > time + 0.002) ?? view.seconds,
    ArrowLeft: () => [...starts].reverse().find((t) => t < time - 0.002) ?? 0,
    Home: () => 0,
    End: () => view.seconds,
  };
  if (moves[event.key]) {
    event.preventDefault();
    player.seek(moves[event.key]());
  } else if (event.key === " ") {
    event.preventDefault();
    player.toggle();
  }
}

// One utterance as a card. wanted(ref, hyp): pairs to point at.
function utteranceCard(set, number, { badge = null, wanted = null } = {}) {
  const utterance = set.utterances[number], example = exampleOf(set, utterance.id);
  const counts = utteranceCounts(utterance);
  const sound = example.audio
    ? h("audio", { controls: true, preload: "metadata", src: example.audio, "aria-label": `Sound of ${utterance.id}` }) : null;
  const player = new Player(sound);
  const view = timeline(set, utterance, example, wanted);
  const card = h("article", { class: "utterance", tabindex: -1, "data-utterance": utterance.id, "aria-label": `Utterance ${utterance.id}` },
    h("header", {},
      h("h3", { class: "utt" }, utterance.id), badge ? h("span", { class: "badge" }, badge) : null,
      h("span", { class: "dim" }, `speaker ${utterance.speaker}`),
      h("span", { class: "utterance-rate" }, h("strong", {}, percent(counts.rate, 1)), ` ${whole(counts.errors)} / ${whole(counts.tokens)}: ${kindsText(counts)}`)),
    view ? view.scroll : h("p", { class: "hint" }, "No times are known of this utterance."),
    sound, pairStrip(set, utterance, wanted));
  if (!view) return card;
  player.view = view;
  view.scroll.addEventListener("keydown", (event) => onTimelineKeys(event, player));
  view.scroll.addEventListener("click", (event) => {
    const box = event.target.closest(".phone");
    if (box) player.play(Number(box.dataset.start), Number(box.dataset.end));
    const lane = event.target.closest(".spectrum .lane, .posteriors .lane, .time .lane");
    if (lane) player.seek((event.clientX - lane.getBoundingClientRect().left) / view.scale);
  });
  view.pictures.forEach(([canvas, source, name]) => paint(canvas, source, name));
  view.scroll.lay = view.lay;
  resized.observe(view.scroll);
  return card;
}

function utterancesSection(set) {
  const number = new Map(set.utterances.map((utterance, i) => [utterance.id, i]));
  const looked = h("div", { class: "looked" });
  const body = h("div", { class: "utterance-cards" });

  function look(at, wanted = null) {
    const card = utteranceCard(set, at, { badge: "selected", wanted });
    looked.replaceChildren(
      h("div", { class: "card-head" }, h("h3", {}, "Selected"),
        h("button", { type: "button", class: "quiet", onclick: () => looked.replaceChildren() }, "close")), card);
    card.scrollIntoView({ block: "start" });
    card.focus({ preventScroll: true });
  }

  function cards(kind) {
    const ids = set.chosen[kind];
    return ids.length
      ? ids.map((id, i) => utteranceCard(set, number.get(id), { badge: kind === "asked" ? "asked for" : kind === "worst" ? `worst ${i + 1}` : "median" }))
      : [h("p", { class: "hint" }, "There are none: the set is too small.")];
  }

  function list() {
    const rows = set.utterances.map((utterance, i) => ({ i, utterance, counts: utteranceCounts(utterance) }));
    rows.sort((a, b) => (b.counts.rate ?? Infinity) - (a.counts.rate ?? Infinity) || byName(a.utterance.id, b.utterance.id));
    const tbody = h("tbody");
    const said = h("p", { class: "hint", role: "status" });
    const draw = (text) => {
      const found = rows.filter(({ utterance }) => `${utterance.id} ${utterance.speaker}`.toLowerCase().includes(text.toLowerCase()));
      tbody.replaceChildren(...found.map(({ i, utterance, counts }) => h("tr", {},
        h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => look(i) }, utterance.id)),
        h("td", {}, utterance.speaker), h("td", { class: "n strong" }, fixed(counts.rate, 1)),
        KINDS.map(([kind]) => h("td", { class: "n" }, whole(counts[kind]))), h("td", { class: "n dim" }, whole(counts.tokens)),
        h("td", { class: "dim" }, exampleOf(set, utterance.id).audio ? "♪" : ""))));
      said.textContent = `${plural(found.length, "utterance")}; ♪ marks those with sound.`;
    };
    const id = `field-${(fieldCount += 1)}`;
    const input = h("input", { id, type: "search", oninput: () => draw(input.value) });
    draw("");
    return [h("p", { class: "controls" }, h("span", { class: "field" }, h("label", { for: id }, "find utterance or speaker"), input)), said,
      scrollBox("All utterances", h("table", { class: "figures" },
        h("thead", {}, h("tr", {}, ["utterance", "speaker", "%PER", "sub", "del", "ins", "tokens", ""].map((t) => h("th", { scope: "col" }, t)))), tbody), "tall")];
  }

  const show = (kind) => body.replaceChildren(...(kind === "all" ? list() : cards(kind)));
  show("worst");
  const kinds = [["worst", "worst"], ["median", "median"], ...(set.chosen.asked.length ? [["asked", "asked for"]] : []), ["all", `all ${whole(set.utterances.length)}`]];
  const element = section("utterances", "Utterances",
    "Click a phone to hear it, a picture to go there. With the keyboard: arrow keys step through the phones, space plays.",
    h("div", { class: "controls" }, choice("Which utterances", kinds, "worst", show), legend()), looked, body);
  const jump = (at, pair, level) => {
    const name = (symbol) => (symbol === GAP ? null : level === "classes" ? set.classes.of[set.symbols[symbol]] ?? "other" : set.symbols[symbol]);
    look(at, (ref, hyp) => name(ref) === pair[0] && name(hyp) === pair[1]);
  };
  return { element, jump };
}
