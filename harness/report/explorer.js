"use strict";
// The part of report.html that answers: heatmaps of all sides on one scale, the cell under the pointer, one
// cell in full, a table of all. Values come from #explorer-data; texts from outside reach the page as text
// nodes only. Vega-Lite draws the learning curves, and is loaded when the page is there.
(() => {
  const { SVG, LINES, h, s, dataTable, minus, shortened, css, onTop, cellUnder, cellMoved, cellBox, cellPath, wayBack, vast, score, exact, seconds, library, later } = Page;
  const D = JSON.parse(document.getElementById("explorer-data").textContent);
  for (const p of D.pairs) p.apart = new Set(p.apart);
  const ROOT = document.getElementById("explorer");
  const ROWS = D.eta.length, COLUMNS = D.lmbd.length, CELLS = ROWS * COLUMNS;
  const VALIDATED = D.runs.some((run) => run.validated); // else the test part stands in for validation
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const SAMPLES = ROOT.clientWidth < 560 ? 12 : 48; // that are shown before more are asked for
  const NUMBERED = 12; // the longest side of a grid whose cells carry their numbers
  const MARKS = {
    diverged: "×", unsupported: "–", unavailable: "∅", failed: "!", timeout: "…", absent: "",
  };
  const KINDS = {
    alike: ["", "#dbe9f6", "all label alike"],
    chaotic: ["~", "#b9a7dd", "chaotic: round-off alone carries training elsewhere"],
    sensitive: ["s", "#f3d9a4", "sensitive: round-off grows"],
    diverged: ["×", "#c8cdd3", "on the edge of divergence"],
    unexplained: ["?", "#f2a59b", "not explained by round-off"],
    stable: ["?", "#f2a59b", "stable, and yet labelled differently"],
    "trained differently": ["≠", "#f7dcc4", "trained differently: unlike on purpose"],
    "not looked at": ["·", "#ffffff", "not looked at again"],
    untrained: ["", "#eceff2", "fewer than two trained"],
  };
  const state = {
    part: "test", quantity: D.quantities[0].key, show: "value", reference: 0, sides: D.sides.map(() => true),
    at: -1, open: -1, sort: ["", 1], filter: "", differing: false, all: false, hidden: {},
    between: "", // the two sides whose differing samples are shown; of any, if empty
    from: 0, // the map that the open cell was opened from
  };

  // --- numbers --------------------------------------------------------------------------------------------
  const quantity = () => D.quantities.find((q) => q.key === state.quantity);
  function inCell(value, q) { // of a vast score the power of ten
    if (q.percent || q.positive || Math.abs(value) < 100) return score(value, q, 1).replace(" %", "");
    return `${value < 0 ? "−" : ""}10${[...String(Math.floor(Math.log10(Math.abs(value))))].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
  }
  function difference(value, q, digits = 2) { // 0 is none at all; 0.00 one that rounds to it, without a sign
    if (value == null) return "–";
    if (Math.abs(value) < 1e-12) return "0";
    const size = Math.abs(q.percent ? 100 * value : value);
    const text = q.percent ? size.toFixed(digits) : size < 1e-3 || vast(size) ? minus(size.toExponential(1)) : size.toFixed(3);
    return (+text ? (value > 0 ? "+" : "−") : "") + text + (q.percent ? " points" : "");
  }
  const named = (cell) => `eta ${exact(D.eta[Math.floor(cell / COLUMNS)])}, lmbd ${exact(D.lmbd[cell % COLUMNS])}`;

  // --- what the maps show -----------------------------------------------------------------------------------
  function pair(a, b) {
    return D.pairs.find((p) => (p.sides[0] === a && p.sides[1] === b) || (p.sides[0] === b && p.sides[1] === a));
  }
  function column(side, key) { return side.columns[key]; }
  function statusOf(side, cell) { return side.status[cell] || "absent"; }
  const shownSides = () => D.sides.map((side, k) => k).filter((k) => state.sides[k]);

  function kindOf(run, cell) {
    const seen = D.kinds[run].cells[cell];
    if (seen) return seen.kind;
    const own = D.sides.filter((side) => side.run === run && side.status[cell] === "ok");
    if (own.length < 2) return "untrained";
    const apart = D.pairs.filter((p) => within(p, run) && p.apart.has(cell));
    if (!apart.length) return "alike"; // who trains differently on purpose is not looked at again
    return apart.some(({ sides: [a, b] }) => D.sides[a].recipe !== D.sides[b].recipe) ? "trained differently" : "not looked at";
  }
  const within = (p, run) => p.sides.every((k) => D.sides[k].run === run);

  const VIEWS = {
    value: {
      label: "value", ramp: "viridis", possible: () => true,
      of(k) { const c = column(D.sides[k], key()); return c && c.mean; },
      cell: (v, q) => inCell(v, q), text: (v, q) => score(v, q, 2),
    },
    difference: {
      label: "difference to", ramp: "vlag", reference: true, diverging: true, possible: () => D.sides.length > 1,
      of(k) {
        if (k === state.reference || !pair(k, state.reference)) return null;
        const a = column(D.sides[k], key()), b = column(D.sides[state.reference], key());
        return a && b && a.mean.map((v, i) => (v == null || b.mean[i] == null ? null : v - b.mean[i]));
      },
      cell: (v, q) => (q.percent || q.positive || Math.abs(v) < 100 ? difference(v, q, 1).replace(" points", "") : inCell(v, q)),
      text: difference,
    },
    alike: {
      label: "labelled alike with", ramp: "cividis", reference: true, fixed: true, possible: () => D.pairs.length > 0,
      of(k) { const p = k !== state.reference && pair(k, state.reference); return p ? p.alike : null; },
      cell: (v) => alike(v, 1), text: (v) => (classes(0) ? `${alike(v, 2)} %` : String(v)),
    },
    kind: { label: "training: chaotic or stable", categories: true, possible: () => D.pairs.length > 0 },
    sd: {
      label: "sd over repeats", ramp: "rocket_r", possible: () => D.sides.some((side) => side.repeats > 1),
      of(k) { const c = column(D.sides[k], key()); return c && c.sd; },
      cell: (v, q) => (q.percent ? (100 * v).toFixed(1) : String(+v.toPrecision(2))),
      text: (v, q) => (q.percent ? `${(100 * v).toFixed(2)} points` : String(+v.toPrecision(3))),
    },
    seconds: {
      label: "training time", ramp: "rocket_r", possible: () => true,
      of(k) { return D.sides[k].columns.seconds.mean; }, cell: (v) => (1000 * v).toFixed(0), text: seconds,
    },
  };
  const classes = (run) => D.runs[run].classes.length;
  const key = () => `${state.part}_${state.quantity}`;
  function alike(v, digits) {
    if (!classes(0)) return v.toFixed(3);
    return v === 1 ? "100" : Math.min(100 * v, 100 - 10 ** -digits).toFixed(digits);
  }

  // The maps of this view: title, values, sides that it stands for. Maps of equal values and chosen cells are one.
  function maps() {
    const view = VIEWS[state.show];
    if (view.categories) {
      return D.runs.map((run, r) => ({
        title: D.runs.length > 1 ? `Training, ${run.name}` : "Training of all backends",
        kinds: Array.from({ length: CELLS }, (_, cell) => kindOf(r, cell)), side: -1, run: r, also: [],
      }));
    }
    const made = [], seen = new Map();
    for (const k of shownSides()) {
      const values = view.of(k);
      if (!values) continue;
      const same = JSON.stringify([D.sides[k].chosen, values.map((v, i) => (D.sides[k].status[i] === "ok" && v != null ? v : D.sides[k].status[i]))]);
      const before = state.show === "seconds" ? null : seen.get(same);
      if (before) { before.also.push(D.sides[k].label); continue; }
      const one = { title: D.sides[k].label, values, side: k, also: [] };
      seen.set(same, one);
      made.push(one);
    }
    return made;
  }

  function scale(drawn) {
    const view = VIEWS[state.show], q = quantity();
    const values = drawn.flatMap((m) => m.values.filter((v, i) => v != null && D.sides[m.side].status[i] === "ok"));
    let low = Infinity, high = -Infinity;
    for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
    if (!values.length) return { at: () => 0, low: 0, high: 1, empty: true };
    if (view.diverging) {
      const reach = Math.max(Math.abs(low), Math.abs(high)) || 1e-9;
      return { low: -reach, high: reach, at: (v) => (v + reach) / (2 * reach), none: low === 0 && high === 0 };
    }
    if (view.fixed) {
      low = Math.min(low, 0.9); high = 1;
    } else if (state.show === "value" && !q.positive) {
      low = Math.max(Math.floor(low * 20) / 20, -1); high = Math.min(Math.ceil(high * 20) / 20, 1);
      if (high <= low) { low -= 0.05; high += 0.05; }
    } else if (low > 0 && high / low > 30) {
      const [a, b] = [Math.log(low), Math.log(high)];
      return { low, high, log: true, at: (v) => (v > 0 ? (Math.log(v) - a) / (b - a) : 0) };
    } else if (high <= low) { high = low + (Math.abs(low) || 1e-9); }
    return { low, high, at: (v) => Math.min(1, Math.max(0, (v - low) / (high - low))) };
  }

  const colour = (ramp, t) => Page.colour(D.colours[ramp], t);

  // --- one heatmap ------------------------------------------------------------------------------------------
  let drawn = [], frame = null, theme = {};
  function geometry(count) {
    const room = ROOT.clientWidth || 1000, gap = 12;
    const across = Math.max(1, Math.min(count, Math.floor((room + gap) / (room < 560 ? 300 : 235))));
    const width = Math.min((room - gap * (across - 1)) / across, 430);
    const left = 46, right = 6, top = 22, bottom = 34;
    const cw = (width - left - right) / COLUMNS;
    const ch = Math.min(ROWS > NUMBERED ? 300 / ROWS : 30, Math.max(cw * 0.66, ROWS > NUMBERED ? 4 : 20));
    return { width, left, top, cw, ch, rows: ROWS, columns: COLUMNS, height: top + ch * ROWS + bottom, numbered: Math.max(ROWS, COLUMNS) <= NUMBERED && cw >= 25 };
  }
  function ticks(names, step) {
    const every = Math.max(1, Math.ceil(names.length / Math.max(1, step)));
    return names.map((text, k) => [text, k]).filter(([, k]) => k % every === 0);
  }
  function drawMap(one, colours) {
    const g = frame, view = VIEWS[state.show], q = quantity(), { ink, faint, ground } = theme;
    const svg = s("svg", { viewBox: `0 0 ${g.width} ${g.height}`, width: g.width, height: g.height, "font-family": "system-ui, sans-serif", "font-size": 11 });
    const title = one.also.length ? `${one.title} = ${one.also.join(" = ")}` : one.title;
    const heading = s("text", { x: g.left, y: 14, fill: ink, class: "ink", "font-weight": 600, "font-size": 12.5 }, shortened(title, (g.width - g.left) / 7));
    heading.append(s("title", {}, title));
    svg.append(heading);
    const squares = new Map(), texts = [], marked = [];
    for (let cell = 0; cell < CELLS; cell++) {
      const x = g.left + (cell % COLUMNS) * g.cw, y = g.top + Math.floor(cell / COLUMNS) * g.ch;
      let fill, text = "", over = "#000";
      if (one.kinds) {
        [text, fill] = KINDS[one.kinds[cell]];
      } else {
        const status = statusOf(D.sides[one.side], cell), value = one.values[cell];
        if (status !== "ok" || value == null) {
          fill = status === "absent" ? "none" : "#dfe3e8";
          text = status === "ok" ? "" : MARKS[status] ?? "?";
        } else {
          const rgb = colour(view.ramp, Math.round(colours.at(value) * 128) / 128);
          fill = `rgb(${rgb})`;
          text = view.cell(value, q);
          over = onTop(rgb);
        }
      }
      squares.set(fill, (squares.get(fill) || "") + cellPath(g, Math.floor(cell / COLUMNS), cell % COLUMNS));
      if (text && g.numbered) texts.push([x + g.cw / 2, y + g.ch / 2 + 3.6, text, over]);
      if (!one.kinds && g.numbered && one.side >= 0 && kindOf(D.sides[one.side].run, cell) === "chaotic") marked.push([x + g.cw - 3, y + 8.5, over]);
    }
    for (const [fill, d] of squares) if (fill !== "none") svg.append(s("path", { d, fill, "shape-rendering": "crispEdges" }));
    if (g.numbered) {
      let lines = "";
      for (let k = 0; k <= COLUMNS; k++) lines += `M${g.left + k * g.cw} ${g.top}v${g.ch * ROWS}`;
      for (let k = 0; k <= ROWS; k++) lines += `M${g.left} ${g.top + k * g.ch}h${g.cw * COLUMNS}`;
      svg.append(s("path", { d: lines, stroke: ground, class: "ground", "stroke-width": 1, fill: "none" }));
    }
    const size = Math.min(11, g.cw / 3.0);
    for (const [x, y, text, fill] of texts) svg.append(s("text", { x, y, fill, "text-anchor": "middle", "font-size": size }, text));
    for (const [x, y, fill] of marked) svg.append(s("text", { x, y, fill, "text-anchor": "end", "font-size": g.cw < 36 ? 8 : 10, "font-weight": 700 }, "~"));
    for (const [text, k] of ticks(D.eta_names, (g.ch * ROWS) / 15)) svg.append(s("text", { x: g.left - 5, y: g.top + (k + 0.5) * g.ch + 3.6, fill: ink, class: "ink", "text-anchor": "end", "font-size": 10.5 }, text));
    for (const [text, k] of ticks(D.lmbd_names, (g.cw * COLUMNS) / 30)) svg.append(s("text", { x: g.left + (k + 0.5) * g.cw, y: g.top + g.ch * ROWS + 13, fill: ink, class: "ink", "text-anchor": "middle", "font-size": 10.5 }, text));
    svg.append(s("text", { x: g.left + (g.cw * COLUMNS) / 2, y: g.height - 6, fill: faint, class: "ink", "text-anchor": "middle", "font-size": 10.5 }, "lmbd"));
    svg.append(s("text", { x: 12, y: g.top + (g.ch * ROWS) / 2, fill: faint, class: "ink", "text-anchor": "middle", "font-size": 10.5, transform: `rotate(-90 12 ${g.top + (g.ch * ROWS) / 2})` }, "eta"));
    one.frames = s("g", { fill: "none" });
    svg.append(one.frames);
    return svg;
  }

  function outline() { // the frames of the chosen, the open and the current cell, each exactly as large as a cell
    const g = frame;
    for (const one of drawn) {
      one.frames.replaceChildren();
      const box = (cell, stroke, width, dash) => {
        if (cell < 0) return;
        const at = cellBox(g, Math.floor(cell / COLUMNS), cell % COLUMNS);
        if (!dash) one.frames.append(s("rect", { ...at, stroke: "#fff", "stroke-width": width + 1.5 }));
        one.frames.append(s("rect", { ...at, stroke, "stroke-width": width, ...(dash ? { "stroke-dasharray": dash } : {}) }));
      };
      box(state.open, "#0b5cad", g.numbered ? 2 : 1.2);
      if (one.side >= 0) box(D.sides[one.side].chosen, "#e8590c", g.numbered ? 2 : 1.2, D.sides[one.side].chosen === state.open && "4 3");
      box(state.at, "#000", g.numbered ? 2 : 1.2);
      const words = state.at < 0 ? "" : `; at ${told(state.at)}`;
      one.svg.setAttribute("aria-label", `Heatmap of ${one.title}, ${described()}, eta down, lmbd across${words}. Arrow keys move, Enter opens the cell.`);
    }
    readout.replaceChildren(...(state.at < 0
      ? ["Point at a cell, or move with the arrow keys: its numbers in all backends. Click or Enter opens it."]
      : [h("b", {}, named(state.at)), " ", told(state.at, true)]));
  }

  function described() {
    const view = VIEWS[state.show], q = quantity();
    const what = `${state.part} ${q.name}`;
    if (state.show === "kind") return view.label;
    if (state.show === "alike") return `${classes(0) ? "test samples labelled alike with" : "correlation of predictions with"} ${D.sides[state.reference].label}`;
    if (state.show === "seconds") return "training time of a network in ms";
    if (state.show === "difference") return `difference in ${what} to ${D.sides[state.reference].label}`;
    return state.show === "sd" ? `sd of ${what} over repeats` : D.sides.some((side) => side.repeats > 1) ? `${what}, mean over repeats` : what;
  }
  function told(cell, bare) {
    const view = VIEWS[state.show], q = quantity(), groups = new Map();
    for (const k of shownSides()) {
      const side = D.sides[k], status = statusOf(side, cell);
      let text;
      if (view.categories) text = status === "ok" ? VIEWS.value.text(column(side, key())?.mean[cell] ?? null, q) : status;
      else {
        const values = view.of(k);
        if (!values) continue;
        text = status !== "ok" ? status : values[cell] == null ? "–" : view.text(values[cell], q);
      }
      groups.set(text, [...(groups.get(text) || []), side.label]);
    }
    const numbers = [...groups].map(([text, labels]) => `${labels.length > 3 && labels.length === shownSides().length ? `all ${labels.length}` : labels.join(", ")} ${text}`).join(" · ");
    const kind = D.pairs.length ? [...new Set(D.runs.map((_, r) => KINDS[kindOf(r, cell)][2]))].join("; ") : "";
    return `${bare ? "" : `${named(cell)}: `}${numbers}${kind ? ` — ${kind}` : ""}`;
  }

  // --- the controls -----------------------------------------------------------------------------------------
  function select(label, name, options, change) {
    const box = h("select", { id: `x-${name}`, onchange: (e) => { change(e.target.value); draw(); } },
      options.map(([value, text]) => h("option", { value }, text)));
    return [h("label", { for: `x-${name}` }, label), box];
  }
  const button = (text, act, more) => h("button", { type: "button", onclick: act, ...more }, text);
  const controls = h("div", { class: "controls" });
  const legend = h("div", { class: "legend" });
  const grid = h("div", { class: "maps" });
  const readout = h("p", { class: "readout", "aria-live": "polite" });
  const panel = h("article", { class: "cell", "aria-labelledby": "cell-title" });
  const table = h("div", { class: "all-cells" });

  function buildControls() {
    const sides = D.sides.map((side, k) => [k, side.label]);
    const picks = D.sides.length > 1
      ? h("fieldset", {}, h("legend", {}, "Backends"), D.sides.map((side, k) => h("label", {},
        h("input", { type: "checkbox", checked: true, "data-side": k, onchange: (e) => { state.sides[k] = e.target.checked; draw(); } }), side.label)))
      : null;
    controls.append(
      h("span", {}, select("Show", "show", Object.entries(VIEWS).filter(([, v]) => v.possible()).map(([n, v]) => [n, v.label]), (v) => { state.show = v; })),
      h("span", { id: "x-reference-box" }, select("backend", "reference", sides, (v) => { state.reference = +v; })),
      h("span", { id: "x-what-box" }, select("of", "part", [["test", "test"], ...(VALIDATED ? [["validation", "validation"]] : []), ["train", "train"]], (v) => { state.part = v; }),
        select("score", "quantity", D.quantities.map((q) => [q.key, q.name]), (v) => { state.quantity = v; })),
      picks || "",
      h("span", { class: "save" }, button("Save SVG", () => save("svg")), button("Save PNG", () => save("png"))),
    );
  }
  function updateControls() {
    const view = VIEWS[state.show];
    controls.querySelector("#x-reference-box").hidden = !view.reference;
    controls.querySelector("#x-what-box").hidden = view.fixed || view.categories || state.show === "seconds";
  }

  // --- drawing ----------------------------------------------------------------------------------------------
  function draw() {
    const before = drawn.findIndex((one) => one.svg === document.activeElement);
    updateControls();
    drawn = maps();
    frame = geometry(drawn.length);
    theme = { ink: css("--ink"), faint: css("--faint"), ground: css("--ground") };
    const colours = VIEWS[state.show].categories ? null : scale(drawn);
    grid.replaceChildren(...drawn.map((one, index) => {
      one.svg = drawMap(one, colours);
      one.svg.setAttribute("tabindex", "0");
      one.svg.setAttribute("role", "application");
      one.svg.setAttribute("aria-roledescription", "heatmap");
      one.svg.addEventListener("pointermove", (e) => point(under(one, e)));
      one.svg.addEventListener("pointerleave", () => { if (document.activeElement !== one.svg) point(-1); });
      one.svg.addEventListener("click", (e) => { state.from = index; open(under(one, e)); });
      one.svg.addEventListener("keydown", (e) => keyed(e, index));
      return one.svg;
    }));
    if (!drawn.length) grid.append(h("p", {}, "Nothing to show: no other backend was tested on the same samples, or none is picked."));
    drawLegend(colours);
    outline();
    drawTable();
    if (before >= 0) drawn[Math.min(before, drawn.length - 1)]?.svg.focus();
  }
  function bar(colours) {
    const view = VIEWS[state.show], q = quantity(), width = 150;
    const form = (v) => (view.fixed ? `${+(100 * v).toFixed(1)} %` : state.show === "seconds" ? seconds(v) : state.show === "value" ? score(v, q, 0) : view.text(v, q));
    const canvas = s("svg", { width, height: 12, viewBox: `0 0 ${width} 12`, "aria-hidden": "true" });
    for (let k = 0; k < 50; k++) canvas.append(s("rect", { x: (k * width) / 50, y: 0, width: width / 50 + 0.5, height: 12, fill: `rgb(${colour(view.ramp, k / 49)})` }));
    return h("span", { class: "bar" }, form(colours.low), canvas, form(colours.high), colours.log ? " (log)" : "");
  }
  function judge(sides) { // what chose the cells of these sides
    const how = new Set(sides.map((side) => (D.runs[side.run].validated ? "validation" : "the test set itself")));
    return [...how].join(" or ");
  }
  function drawLegend(colours) {
    const items = [h("b", {}, described()[0].toUpperCase() + described().slice(1))];
    if (colours && !colours.empty) items.push(colours.none ? h("span", {}, "no difference anywhere") : bar(colours));
    if (VIEWS[state.show].categories) {
      const there = new Set(drawn.flatMap((one) => one.kinds));
      for (const kind of Object.keys(KINDS)) if (there.has(kind)) {
        const square = h("i", { class: "key" }, KINDS[kind][0]);
        square.style.background = KINDS[kind][1];
        const count = drawn.reduce((n, one) => n + one.kinds.filter((k) => k === kind).length, 0);
        items.push(h("span", {}, square, ` ${KINDS[kind][2]} (${count})`));
      }
    } else {
      const there = new Set(drawn.flatMap((one) => D.sides[one.side].status.map((v) => v || "absent")));
      there.delete("ok");
      for (const status of there) items.push(h("span", {}, h("i", { class: "key grey" }, MARKS[status] ?? "?"), ` ${status === "absent" ? "not in this run" : status}`));
      if (D.kinds.some((run) => Object.values(run.cells).some((c) => c.kind === "chaotic"))) items.push(h("span", {}, h("i", { class: "key" }, "~"), " chaotic"));
      const marked = drawn.map((one) => D.sides[one.side]).filter((side) => side.chosen >= 0);
      if (marked.length) items.push(h("span", {}, h("i", { class: "key chosen" }), ` chosen by ${judge(marked)}`), h("span", {}, h("i", { class: "key open" }), " open below"));
    }
    legend.replaceChildren(...items);
  }
  function under(one, event) {
    const at = cellUnder(one.svg, frame, event);
    return at ? at[0] * COLUMNS + at[1] : -1;
  }
  function point(cell) { if (cell !== state.at) { state.at = cell; outline(); } }
  function keyed(event, index) {
    const side = drawn[index].side;
    const from = state.at >= 0 ? state.at : state.open >= 0 ? state.open : side >= 0 ? Math.max(0, D.sides[side].chosen) : 0;
    const to = cellMoved(event.key, [Math.floor(from / COLUMNS), from % COLUMNS], frame);
    if (to) point(to[0] * COLUMNS + to[1]);
    else if (event.key === "Enter" || event.key === " ") { state.from = index; open(from); document.getElementById("cell-title")?.focus(); }
    else if (event.key === "Escape") point(-1);
    else return;
    event.preventDefault();
  }

  // --- saving -----------------------------------------------------------------------------------------------
  function picture() {
    const gap = 14, width = drawn.length * (frame.width + gap), height = frame.height + 30;
    const whole = s("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "system-ui, sans-serif" });
    whole.append(s("rect", { width, height, fill: css("--ground") }));
    whole.append(s("text", { x: 8, y: 18, fill: css("--ink"), "font-size": 13, "font-weight": 600 }, legend.innerText.replace(/\s+/g, " ")));
    drawn.forEach((one, k) => {
      const copy = one.svg.cloneNode(true);
      for (const name of ["role", "tabindex", "aria-roledescription"]) copy.removeAttribute(name);
      copy.setAttribute("x", k * (frame.width + gap));
      copy.setAttribute("y", 28);
      whole.append(copy);
    });
    return { text: new XMLSerializer().serializeToString(whole), width, height };
  }
  function hand(content, kind, name) {
    const link = h("a", { download: name, href: URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  function save(kind) {
    const { text, width, height } = picture(), name = `${state.show}-${key()}`.replace(/[^a-z0-9_-]/g, "");
    if (kind === "svg") return hand(text, "image/svg+xml", `${name}.svg`);
    const image = new Image();
    image.onload = () => {
      const canvas = h("canvas", { width: 2 * width, height: 2 * height });
      canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
      canvas.toBlob((blob) => hand(blob, "image/png", `${name}.png`));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  // --- one cell ---------------------------------------------------------------------------------------------
  function open(cell, quiet) {
    if (cell < 0 || cell >= CELLS) return;
    state.open = cell;
    if (!quiet) remember(addressOf(cell));
    drawCell();
    outline();
    if (!quiet) panel.scrollIntoView({ block: "nearest" });
  }
  const addressOf = (cell) => `#cell=${D.eta[Math.floor(cell / COLUMNS)]},${D.lmbd[cell % COLUMNS]}`;
  function remember(hash) { // in the browser's history: from whatever cell is open, Back leads to the map
    if (location.hash === hash) return;
    if (fromAddress() >= 0) { history.replaceState(history.state, "", hash); return; }
    history.replaceState({ map: true }, "");
    history.pushState({ opened: true }, "", hash);
  }
  function back() { // to the map, as the browser's Back does, if one came from there
    if (history.state?.opened) { history.back(); return; }
    if (fromAddress() >= 0) history.pushState({ map: true }, "", location.href.split("#")[0]);
    focusMap();
  }
  function focusMap() { // at the open cell, in the map that it was opened from
    point(state.open);
    (drawn[Math.min(state.from, drawn.length - 1)]?.svg || controls.querySelector("select")).focus();
  }
  function fromAddress() {
    let hash;
    try { hash = decodeURIComponent(location.hash); } catch { return -1; } // a % that stands for no character
    const match = /^#cell=([^,&]+),([^,&]+)/.exec(hash);
    if (!match) return -1;
    const near = (axis, v) => axis.findIndex((one) => one === +v || Math.abs(one - +v) <= 1e-9 * Math.abs(one));
    const [row, column] = [near(D.eta, match[1]), near(D.lmbd, match[2])];
    return row < 0 || column < 0 ? -1 : row * COLUMNS + column;
  }
  function drawCell() {
    const cell = state.open, run = D.runs.map((_, r) => r);
    const title = h("h3", { id: "cell-title", tabindex: -1 }, `Cell ${named(cell)}`);
    const chosen = D.sides.filter((side) => side.chosen === cell);
    panel.replaceChildren(
      title, wayBack(panel, back),
      ...(chosen.length ? [h("p", { class: "note" }, `Chosen by ${judge(chosen)} in ${chosen.map((side) => side.label).join(", ")}.`)] : []),
      ...run.map((r) => sentence(r, cell)).filter(Boolean).map((text) => h("p", {}, text)),
      h("div", { class: "parts" },
        h("div", {}, scores(cell), repeats(cell) || "", commands(cell)),
        h("div", { class: "curves" }, curveBox)),
      regions(cell) || "",
      samples(cell) || "",
      confusions(cell) || "",
    );
    drawCurves();
  }
  function sentence(r, cell) {
    if (!D.pairs.some((p) => within(p, r))) return "";
    const kind = kindOf(r, cell), seen = D.kinds[r].cells[cell], q = D.quantities.find((one) => one.key === D.runs[r].metric);
    const name = D.runs.length > 1 ? `${D.runs[r].name}: ` : "";
    if (kind === "untrained") return "";
    if (kind === "alike") return `${name}All backends that trained here ${classes(r) ? "label every test sample alike" : "predict alike"}.`;
    if (kind === "trained differently") return `${name}Trained differently: backends with settings of their own ${classes(r) ? "label some test samples otherwise" : "predict otherwise"} here, as is to be expected.`;
    if (kind === "not looked at") return `${name}Whether differences here are round-off was not looked at.`;
    const far = seen.difference == null ? "" : ` A twin of this training whose sums were rounded otherwise ended ${(100 * seen.difference).toPrecision(3)} % away in its weights (relative distance)${seen.swing ? `, and its test ${q.name} moved by ${difference(seen.swing, q).replace("+", "")}` : `, and scored the same`}.`;
    const words = {
      chaotic: "Chaotic: round-off alone carries training elsewhere here, so which labels differ says nothing about which program is right.",
      sensitive: "Sensitive: round-off grows here, so that backends may differ in a few labels.",
      diverged: "On the edge of divergence: round-off decides whether weights overflow.",
      unexplained: "Not explained by round-off: the twins stayed near, and yet backends label samples differently.",
      stable: "Stable, and yet backends label samples differently: a sample on a boundary, or a fault.",
    };
    return `${name}${words[kind] || ""}${far}${seen.alone ? ` ${seen.alone} stands apart from the others, which are alike.` : ""}${seen.followed ? ` ${seen.followed}` : ""}`;
  }
  function scores(cell) {
    const metric = D.quantities[0], several = D.sides.some((side) => side.repeats > 1);
    const stops = D.sides.some((side) => column(side, "epochs")); // some may stop early
    const rows = D.sides.map((side) => {
      if (side.status[cell] !== "ok") return [side.label, h("span", {}, `${statusOf(side, cell)}${side.reason[cell] != null && side.reasons[side.reason[cell]] ? `: ${side.reasons[side.reason[cell]]}` : ""}`)];
      const of = (name) => column(side, name)?.mean[cell] ?? null;
      const q = D.quantities.find((one) => one.key === side.metric) || metric, loss = { positive: true };
      const sd = column(side, `test_${side.metric}`)?.sd?.[cell];
      return [side.label, ...["train", "validation", "test"].map((part) => score(of(`${part}_${side.metric}`), q, 2)),
        ...(several ? [sd == null ? "–" : VIEWS.sd.text(sd, q)] : []), score(of("train_loss"), loss), score(of("test_loss"), loss), ...(stops ? [of("epochs") ?? "–"] : []), seconds(of("seconds"))];
    });
    const only = rows.length > 1 && rows.every((row) => row.length > 3 && row.slice(1, 4).join() === rows[0].slice(1, 4).join());
    return dataTable(`${metric.name[0].toUpperCase()}${metric.name.slice(1)} and loss${only ? ": the same in all backends" : ""}`,
      ["backend", "train", VALIDATED ? "validation" : "validation (is test)", "test", ...(several ? ["sd, test"] : []), "train loss", "test loss", ...(stops ? ["epochs"] : []), "time"], rows);
  }
  function repeats(cell) { // every repeat's test score as a dot, the mean and its 95 % interval as a bar
    const lines = D.sides.map((side) => ({ side, own: column(side, `test_${side.metric}`), metric: side.metric }))
      .filter(({ side, own, metric }) => side.status[cell] === "ok" && own?.all?.[cell] && own.mean[cell] != null && metric === D.quantities[0].key);
    if (!lines.length) return null;
    const q = D.quantities[0], left = 96, width = 420, step = 18, foot = lines.length * step, ends = [Infinity, -Infinity];
    for (const line of lines) {
      [line.mean, line.low, line.high] = ["mean", "low", "high"].map((name) => line.own[name][cell]);
      for (const v of [...line.own.all[cell], line.low, line.high]) {
        if (v != null) { ends[0] = Math.min(ends[0], v); ends[1] = Math.max(ends[1], v); }
      }
    }
    const span = ends[1] - ends[0] || 1e-6, x = (v) => left + 8 + ((v - ends[0]) / span) * (width - left - 16);
    const words = lines.map(({ side, mean, low, high }) => `${side.label} ${score(mean, q, 2)}, 95 % interval of the mean ${score(low, q, 2)} to ${score(high, q, 2)}`);
    const svg = s("svg", { viewBox: `0 0 ${width} ${foot + 18}`, width, height: foot + 18, role: "img", "aria-label": `Test ${q.name} of each repeat. ${words.join("; ")}`, "font-size": 11 });
    lines.forEach(({ side, own, mean, low, high }, row) => {
      const y = row * step + step / 2, colour = LINES[D.sides.indexOf(side) % LINES.length], g = s("g", {});
      g.append(s("title", {}, words[row]), s("text", { x: left - 4, y: y + 4, "text-anchor": "end", class: "ink" }, shortened(side.label, 15)));
      g.append(s("path", { d: `M${x(low)} ${y}H${x(high)}M${x(mean)} ${y - 6}v12`, stroke: colour, "stroke-width": 2.5 }));
      for (const v of own.all[cell]) if (v != null) g.append(s("circle", { cx: x(v), cy: y, r: 3.2, fill: colour, "fill-opacity": 0.45, stroke: colour, "stroke-width": 0.5 }));
      svg.append(g);
    });
    svg.append(s("text", { x: left + 8, y: foot + 14, class: "ink" }, score(ends[0], q, 2)), s("text", { x: width - 8, y: foot + 14, "text-anchor": "end", class: "ink" }, score(ends[1], q, 2)));
    return h("figure", { class: "repeats" }, svg, h("figcaption", {}, `Test ${q.name} of each repeat; the bar is the 95 % interval of the mean (t)`));
  }
  function commands(cell) {
    const fill = (text) => text.replaceAll("{eta}", D.eta[Math.floor(cell / COLUMNS)]).replaceAll("{lmbd}", D.lmbd[cell % COLUMNS]);
    return h("div", { class: "commands" }, D.runs.map((run) => Object.entries(run.commands).map(([name, text]) =>
      h("div", {}, h("span", {}, `${D.runs.length > 1 ? `${run.name}: ` : ""}${name}`), h("pre", { tabindex: 0 }, h("code", {}, ...fill(text).split(/( )/).map((word) => h("span", {}, word)))),
        button("Copy", (e) => copy(fill(text), e.target), { "aria-label": `Copy: ${name}` })))));
  }
  function copy(text, element) {
    const done = () => { element.textContent = "Copied"; setTimeout(() => { element.textContent = "Copy"; }, 1500); };
    const byHand = () => {
      const area = h("textarea", {}, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      element.focus();
      done();
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  }

  // labels of a side in a cell: an array of texts, one a repeat, or null
  function labelsOf(k, cell) {
    const own = D.sides[k].labels?.[cell];
    return own && own.every((t) => D.labels.texts[t]) ? own.map((t) => D.labels.texts[t]) : null;
  }
  function grouped(cell) { // sides by equal labels: [{labels, sides, run}]
    const groups = [];
    D.sides.forEach((side, k) => {
      const labels = labelsOf(k, cell);
      if (!labels) return;
      const same = groups.find((g) => g.run === side.run && g.labels.join() === labels.join());
      if (same) same.sides.push(side.label);
      else groups.push({ labels, sides: [side.label], run: side.run });
    });
    return groups;
  }
  function confusion(a, b, down, across, run) {
    const names = D.runs[run].classes, n = names.length, counts = Array.from({ length: n }, () => new Array(n).fill(0));
    a.forEach((text, r) => { for (let i = 0; i < text.length; i++) if (b[r]?.[i] != null) counts[ALPHABET.indexOf(text[i])][ALPHABET.indexOf(b[r][i])]++; });
    const off = counts.reduce((sum, row, i) => sum + row.reduce((t, v, j) => t + (i === j ? 0 : v), 0), 0);
    const cells = (i) => counts[i].map((v, j) => {
      const td = h("td", { title: `${names[i]} ${down}, ${names[j]} ${across}: ${v}` }, v ? String(v) : "");
      if (v) td.className = i === j ? "hit" : "miss";
      return td;
    });
    const caption = `${down} (down) and ${across} (across): ${off} of ${counts.flat().reduce((t, v) => t + v, 0)} differ`;
    return h("div", { class: "confusion scroll", tabindex: 0, role: "region", "aria-label": caption }, h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, h("td", {}), names.map((name) => h("th", { scope: "col", title: name }, shortened(name, 5))))),
      h("tbody", {}, names.map((name, i) => h("tr", {}, h("th", { scope: "row", title: name }, shortened(name, 9)), cells(i))))));
  }
  function confusions(cell) {
    const groups = grouped(cell).filter((g) => D.labels.true[g.run]);
    const there = D.sides.filter((side) => side.labels && side.status[cell] === "ok");
    if (!groups.length) return there.length ? h("p", { class: "note" }, "The predictions of this cell are left out, see below the table; predictions.parquet has them.") : null;
    if (D.runs[groups[0].run].classes.length > D.confused) return null;
    const made = groups.slice(0, 8).map((g) => confusion(D.labels.true[g.run], g.labels, "true", g.sides.join(", "), g.run));
    for (let i = 0; i < groups.length && made.length < 11; i++) for (let j = i + 1; j < groups.length && made.length < 11; j++) {
      if (groups[i].run === groups[j].run) made.push(confusion(groups[i].labels, groups[j].labels, groups[i].sides.join(", "), groups[j].sides.join(", "), groups[i].run));
    }
    return foldable("Confusion matrices", `Confusion matrices (test samples): ${groups.length === 1 ? (groups[0].sides.length > 1 && groups[0].sides.length === there.length ? "one, all label alike" : `one, of ${groups[0].sides.join(", ")}`) : `${made.length}, of each and of one against another`}`, () => h("div", { class: "confusions" }, made), false);
  }
  const folds = {};
  function foldable(name, summary, content, opened) {
    const box = h("details", { class: "part", ontoggle: () => { folds[name] = box.open; } }, h("summary", {}, summary), content());
    box.open = folds[name] ?? opened;
    return box;
  }
  function samples(cell) { // those that sides label differently, or two of them that are picked
    const found = [], sides = new Set();
    D.runs.forEach((run, r) => {
      const own = D.sides.map((side, k) => [k, labelsOf(k, cell)]).filter(([k, labels]) => D.sides[k].run === r && labels);
      if (own.length < 2 || !D.labels.true[r]) return;
      const rows = D.labels.rows[r];
      for (const [k] of own) sides.add(k);
      for (let repeat = 0; repeat < own[0][1].length; repeat++) for (let i = 0; i < own[0][1][repeat].length; i++) {
        const given = own.map(([k, labels]) => [D.sides[k].label, labels[repeat]?.[i], sureness(D.sides[k], cell, repeat, i), k]);
        if (new Set(given.map(([, sign]) => sign)).size < 2) continue;
        found.push({ r, repeat, row: rows[Math.min(repeat, rows.length - 1)][i], true: D.labels.true[r][repeat][i], given });
      }
    });
    if (!found.length) return null;
    const pairs = [...sides].flatMap((a) => [...sides].filter((b) => b > a && D.sides[a].run === D.sides[b].run).map((b) => [a, b]));
    const between = (two) => found.map((one) => ({ ...one, given: one.given.filter(([, , , k]) => two.includes(k)) }))
      .filter(({ given }) => given.length === 2 && given[0][1] !== given[1][1]);
    const both = (two) => two.map((k) => D.sides[k].label).join(" and ");
    const some = (n) => `${n} test ${n === 1 ? "sample" : "samples"}`, counted = D.runs.some((run) => run.repeats > 1) ? ", counted in each repeat" : "";
    const heading = h("h4", {}), about = h("p", { class: "note" }), box = h("div", { class: "samples" }), rest = h("p", {});
    const show = () => {
      const two = pairs.length > 1 && pairs.find((one) => one.join() === state.between), made = two ? between(two) : found;
      heading.textContent = two ? `${both(two)} label ${some(made.length)} differently, of ${found.length} in all${counted}`
        : `${some(made.length)} ${made.length === 1 ? "is" : "are"} labelled differently${counted}`;
      const known = made.some((one) => one.given.some(([, , numbers]) => numbers));
      about.textContent = known ? `Behind a backend is the probability that it gives its label, and in brackets by how many points that leads the second most probable class.${nearest(made)}` : "";
      box.replaceChildren(...made.slice(0, SAMPLES).map(sample));
      rest.replaceChildren(...(made.length > SAMPLES ? [button(`Show all ${made.length}`, () => { box.append(...made.slice(SAMPLES).map(sample)); rest.replaceChildren(); })] : []));
    };
    const pick = pairs.length > 1 ? h("p", { class: "controls" }, h("label", { for: "x-between" }, "labelled differently by"),
      h("select", { id: "x-between", onchange: (e) => { state.between = e.target.value; show(); } },
        h("option", { value: "" }, `any two (${found.length})`),
        pairs.map((two) => h("option", { value: two.join(), selected: two.join() === state.between }, `${both(two)} (${between(two).length})`)))) : "";
    show();
    return h("section", { class: "part", "aria-label": "Samples labelled differently" }, heading, pick, about, box, rest);
  }
  function nearest(made) { // the sample that the least would turn
    let best = null;
    for (const one of made) for (const [label, , numbers] of one.given) if (numbers && (!best || numbers[1] < best[2])) best = [one.row, label, numbers[1], sure(numbers)];
    return best ? ` The closest call is row ${best[0]}: ${best[1]}${best[3]}.` : "";
  }
  function sureness(side, cell, repeat, sample) { // [probability of the label, lead over the next class], or null
    const [at, probability, lead] = side.sure?.[cell]?.[repeat] || [[]];
    const k = at.indexOf(sample);
    return k < 0 ? null : [probability[k], lead[k]];
  }
  function sure(numbers) { // the smaller the lead, the more digits it has
    if (!numbers || numbers[0] == null) return "";
    const lead = 100 * numbers[1], shown = lead >= 0.1 || lead === 0 ? lead.toFixed(1) : minus(lead.toExponential(0));
    return ` ${(100 * numbers[0]).toFixed(1)} % (+${shown})`;
  }
  function sample(one) {
    const names = D.runs[one.r].classes, name = (sign) => names[ALPHABET.indexOf(sign)], groups = new Map();
    for (const [label, sign, numbers] of one.given) groups.set(sign, [...(groups.get(sign) || []), `${label}${sure(numbers)}`]);
    return h("figure", {}, drawing(one),
      h("figcaption", {}, h("b", {}, `row ${one.row}`), ` true ${name(one.true)}${D.runs[one.r].repeats > 1 ? `, repeat ${one.repeat + 1}` : ""}`,
        [...groups].map(([sign, labels]) => h("div", {}, h("span", { class: sign === one.true ? "right" : "wrong" }, `${name(sign)} ${sign === one.true ? "✓" : "✗"}`), ` ${labels.join(", ")}`))));
  }
  function drawing(one) {
    const pictures = D.pictures[one.r], pixels = pictures?.pixels[one.row];
    if (!pixels) return null;
    const canvas = h("canvas", { width: pictures.width, height: pictures.width, role: "img", "aria-label": `picture of row ${one.row}` });
    const context = canvas.getContext("2d"), image = context.createImageData(pictures.width, pictures.width);
    for (let k = 0; k < pixels.length; k++) {
      const grey = 255 - Math.round((ALPHABET.indexOf(pixels[k]) / 35) * 255);
      image.data.set([grey, grey, grey, 255], 4 * k);
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  // --- over one or two features: regions of classes, or the fitted curve --------------------------------------
  function regions(cell) {
    const made = [];
    D.regions.runs.forEach((run, r) => {
      const groups = new Map(); // sides of equal pictures
      for (const side of D.sides) if (run && side.run === r && side.regions[cell] != null) {
        groups.set(side.regions[cell], [...(groups.get(side.regions[cell]) || []), side.label]);
      }
      for (const [number, sides] of groups) made.push(region(run, D.runs[r].classes, D.regions.pictures[number], sides));
    });
    if (!made.length) return null;
    const title = D.regions.runs.some((run, r) => run && !D.runs[r].classes.length) ? "What was fitted" : "Where each class is predicted";
    const names = D.runs.find((run, r) => D.regions.runs[r] && run.classes.length)?.classes || [];
    const keys = names.slice(0, LINES.length).map((name, k) => {
      const square = h("i", { class: "key" });
      square.style.background = LINES[k];
      return h("span", {}, square, ` ${shortened(name, 24)}`);
    });
    return h("section", { class: "part", "aria-label": title }, h("h4", {}, title),
      h("div", { class: "legend" }, ...keys, h("span", {}, "Dots are samples; those with a dark rim are of the test part.")),
      h("div", { class: "regions" }, made));
  }
  function region(run, classes, picture, sides) {
    const wide = 300, tall = 220, left = 46, top = 6, flat = run.points.length > 1, real = !classes.length;
    const across = axis(run.ends[0], run.points[0]);
    let up = flat ? axis(run.ends[1], run.points[1]) : [-0.5, classes.length - 0.5]; // one feature: a line for each class
    if (real && !flat) { // of a network that has run away the curve leaves the picture
      const pad = 0.15 * (run.range[1] - run.range[0] || 1);
      up = [run.range[0] - pad, run.range[1] + pad];
    }
    const x = (v) => left + ((v - across[0]) / (across[1] - across[0])) * wide;
    const y = (v) => top + tall - ((v - up[0]) / (up[1] - up[0])) * tall;
    const shade = (level) => `rgb(${colour("viridis", Math.min(1, Math.max(0, level)))})`;
    const svg = s("svg", { viewBox: `0 0 ${wide + left + 8} ${tall + top + 32}`, width: wide + left + 8, height: tall + top + 32, role: "img", "font-size": 11,
      "aria-label": `${sides.join(", ")}: ${real ? "predicted value" : "predicted class"} over ${run.names.join(" and ")}` });
    if (real && !flat) {
      const held = (v) => Math.min(up[1], Math.max(up[0], v));
      const step = (run.ends[0][1] - run.ends[0][0]) / (picture.length - 1);
      samplesOn(svg, run, x, y, () => "#7f7f7f");
      svg.append(s("path", { d: picture.map((v, k) => `${k ? "L" : "M"}${x(run.ends[0][0] + k * step).toFixed(1)} ${y(held(v)).toFixed(1)}`).join(""), fill: "none", stroke: "#0b5cad", "stroke-width": 2 }));
    } else {
      const paths = new Map(), w = wide / run.points[0], rows = flat ? run.points[1] : 1, hh = tall / rows;
      for (let i = 0, at = 0; i < picture.length; at += picture[i + 1], i += 2) {
        const row = Math.floor(at / run.points[0]), column = at % run.points[0];
        paths.set(picture[i], `${paths.get(picture[i]) || ""}M${(left + column * w).toFixed(2)} ${(top + tall - (row + 1) * hh).toFixed(2)}h${(picture[i + 1] * w).toFixed(2)}v${hh.toFixed(2)}h-${(picture[i + 1] * w).toFixed(2)}z`);
      }
      for (const [level, d] of paths) svg.append(s("path", { d, fill: real ? shade(level / D.regions.levels) : LINES[level % LINES.length], "fill-opacity": real ? 1 : 0.3, "shape-rendering": "crispEdges" }));
      const span = run.range[1] - run.range[0] || 1;
      samplesOn(svg, run, x, y, (k) => (real ? shade((run.y[k] - run.range[0]) / span) : LINES[run.y[k] % LINES.length]));
    }
    svg.append(s("rect", { x: left, y: top, width: wide, height: tall, fill: "none", class: "frame", stroke: "#8a8f98" }));
    const word = (text, more) => svg.append(s("text", { class: "ink", ...more }, text));
    word(exact(run.ends[0][0]), { x: left, y: top + tall + 13 });
    word(exact(run.ends[0][1]), { x: left + wide, y: top + tall + 13, "text-anchor": "end" });
    word(shortened(run.names[0], 36), { x: left + wide / 2, y: top + tall + 26, "text-anchor": "middle" });
    if (flat || real) {
      word(exact(flat ? run.ends[1][1] : up[1]), { x: left - 4, y: top + 9, "text-anchor": "end" });
      word(exact(flat ? run.ends[1][0] : up[0]), { x: left - 4, y: top + tall, "text-anchor": "end" });
    }
    if (flat) word(shortened(run.names[1], 26), { x: 12, y: top + tall / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${top + tall / 2})` });
    return h("figure", {}, svg, h("figcaption", {}, sides.join(" = ")));
  }
  function axis([low, high], points) { // a point of the mesh stands for half a step to either side
    const half = (high - low) / (points - 1) / 2;
    return [low - half, high + half];
  }
  function samplesOn(svg, run, x, y, fill) {
    run.tested.forEach((test, k) => svg.append(s("circle", { cx: x(run.x[0][k]).toFixed(1), cy: y(run.x[1] ? run.x[1][k] : run.y[k]).toFixed(1), r: 2.6, fill: fill(k), stroke: test ? "#000" : "#fff", "stroke-width": test ? 1.1 : 0.6 })));
  }

  // --- learning curves: Vega-Lite -----------------------------------------------------------------------------
  const curveBox = h("div", { id: "x-curves", role: "img" });
  let charts = null;
  function curvesOf(cell) { // sides by curves: those that coincide in the drawing are one, [{label, first, curves}]
    const lines = [];
    D.sides.forEach((side, k) => {
      const own = state.sides[k] && side.curves[cell];
      if (!own) return;
      const factor = (D.quantities.find((q) => q.key === side.metric) || {}).percent ? 100 : 1;
      const curves = own.map((number) => {
        const [epochs, ...values] = unpack(D.curves.table[number]);
        return { epochs, losses: values.slice(0, 2).map((part) => part.map((v) => (v > 0 ? v : null))), scores: values.slice(2).map((part) => part.map((v) => (v == null ? null : factor * v))) };
      });
      const heights = [curves.flatMap((c) => c.losses.flat().map((v) => v && Math.log(v))), curves.flatMap((c) => c.scores.flat())];
      lines.push({ first: k, label: side.label, curves, across: curves.map((c) => c.epochs), heights });
    });
    return Page.coinciding(lines, D.curve_spec.hconcat[0].height).map((same) => ({ label: same.map((line) => line.label).join(", "), first: same[0].first, same: same.map((line) => line.curves) }));
  }
  function curveRows(lines) {
    const rows = [];
    const all = (same, of) => [...new Set(same.map(of).filter((v) => v != null).map((v) => +v.toPrecision(4)))].join(", "); // what is merged may differ a little
    for (const { label, same } of lines) same[0].forEach(({ epochs, losses, scores }, repeat) => epochs.forEach((epoch, i) => {
      ["train", "validation"].forEach((part, p) => {
        const loss = losses[p][i], score = scores[p][i];
        if (loss == null && score == null) return;
        rows.push({ backend: label, part, epoch, repeat, loss, score, losses: all(same, (own) => own[repeat].losses[p][i]), scores: all(same, (own) => own[repeat].scores[p][i]) });
      });
    }));
    return rows;
  }
  function unpack([number, ...values]) { // four quantities one after the other, as long as the epochs each
    const epochs = D.curves.epochs[number], n = epochs.length;
    return [epochs, ...[0, 1, 2, 3].map((k) => values.slice(k * n, (k + 1) * n))];
  }
  async function drawCurves() {
    if (!(await library())) { curveBox.replaceChildren(h("p", { class: "note" }, "Learning curves are in curves.parquet and figures/.")); return; }
    const cell = state.open;
    await new Promise((go) => requestAnimationFrame(() => setTimeout(go))); // the numbers are seen first
    if (cell !== state.open) return;
    const lines = curvesOf(cell), rows = curveRows(lines), q = D.quantities[0], names = lines.map((line) => line.label);
    const several = lines.some((line) => line.same.length > 1);
    curveBox.setAttribute("aria-label", rows.length ? `Learning curves of cell ${named(cell)}: loss and ${q.name} over epochs, ${names.map((name) => (several ? `a line for ${name}` : name)).join("; ")}` : "No learning curves");
    const room = Math.max(150, Math.min(300, ((curveBox.clientWidth || 620) - 110) / 2));
    const spec = JSON.parse(JSON.stringify(D.curve_spec));
    spec.data = { name: "curves", values: rows };
    const narrow = (curveBox.clientWidth || 620) < 470;
    if (narrow) { spec.vconcat = spec.hconcat; delete spec.hconcat; }
    for (const chart of spec.vconcat || spec.hconcat) {
      chart.width = narrow ? Math.max(150, curveBox.clientWidth - 70) : room;
      chart.encoding.color.scale = { domain: names, range: lines.map(({ first }) => LINES[first % LINES.length]) };
      chart.encoding.strokeWidth.scale = { type: "ordinal", domain: names, range: names.map((_, k) => 1.3 + 1.1 * Math.min(4, names.length - 1 - k)) };
    }
    (spec.vconcat || spec.hconcat)[1].title = q.percent ? `${q.name} (%)` : q.name;
    charts?.finalize();
    charts = await Page.chart(curveBox, spec, names);
  }

  // --- the table of all cells ---------------------------------------------------------------------------------
  function columnsOf() {
    const view = VIEWS[state.show], q = quantity();
    const shown = shownSides().filter((k) => view.categories || view.of(k));
    const value = (k) => (view.categories ? VIEWS.value.of(k) : view.of(k)) || [];
    const text = (v) => (view.categories ? VIEWS.value.text(v, q) : view.text(v, q));
    return [
      { name: "eta", of: (c) => D.eta[Math.floor(c / COLUMNS)], text: exact },
      { name: "lmbd", of: (c) => D.lmbd[c % COLUMNS], text: exact },
      ...shown.map((k) => {
        const values = value(k);
        return {
          name: D.sides[k].label, of: (c) => (D.sides[k].status[c] === "ok" ? values[c] ?? null : statusOf(D.sides[k], c)),
          text: (v) => (typeof v === "string" ? v : v == null ? "–" : text(v)),
        };
      }),
      ...(D.pairs.length ? [
        { name: classes(0) ? "least labelled alike" : "least correlated", of: (c) => least(c), text: (v) => (v == null ? "–" : VIEWS.alike.text(v)) },
        { name: "training", of: (c) => [...new Set(D.runs.map((_, r) => kindOf(r, c)))].join("; "), text: String },
      ] : []),
    ];
  }
  function least(cell) {
    let low = null;
    for (const p of D.pairs) if (p.alike[cell] != null && (low == null || p.alike[cell] < low)) low = p.alike[cell];
    return low;
  }
  const search = h("input", { type: "search", id: "x-search", oninput: (e) => { state.filter = e.target.value; fill(); } });
  const body = h("tbody", {}), head = h("tr", {}), count = h("span", { class: "note", role: "status" }), more = h("p", {});
  const choice = h("div", { class: "choice" });
  let rows = [];
  function buildTable() {
    table.append(h("h3", {}, "All cells"), h("div", { class: "controls" },
      h("label", { for: "x-search" }, "Search"), search,
      D.pairs.length ? h("label", {}, h("input", { type: "checkbox", id: "x-differing", onchange: (e) => { state.differing = e.target.checked; fill(); } }), "only cells that differ") : "",
      h("details", { class: "columns-choice" }, h("summary", {}, "Columns"), choice),
      button("Save CSV", saveTable), count),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All cells" }, h("table", {}, h("thead", {}, head), body)), more);
  }
  function drawTable() {
    const columns = columnsOf();
    choice.replaceChildren(...columns.slice(2).map((c) => h("label", {}, h("input", { type: "checkbox", checked: !state.hidden[c.name], onchange: (e) => { state.hidden[c.name] = !e.target.checked; drawTable(); } }), c.name)));
    const shown = columns.filter((c) => !state.hidden[c.name]);
    head.replaceChildren(...shown.map((c) => h("th", { scope: "col", "aria-sort": state.sort[0] === c.name ? (state.sort[1] > 0 ? "ascending" : "descending") : null },
      h("button", { type: "button", onclick: () => { state.sort = [c.name, state.sort[0] === c.name ? -state.sort[1] : 1]; drawTable(); head.querySelectorAll("button")[shown.indexOf(c)].focus(); } },
        c.name, state.sort[0] === c.name ? (state.sort[1] > 0 ? " ▲" : " ▼") : ""))));
    table.columns = shown;
    fill();
  }
  function fill() {
    const columns = table.columns, wanted = state.filter.trim().toLowerCase().split(/\s+/).filter(Boolean);
    rows = [];
    for (let cell = 0; cell < CELLS; cell++) {
      if (state.differing && !D.pairs.some((p) => p.apart.has(cell))) continue;
      const values = columns.map((c) => c.of(cell)), texts = values.map((v, k) => columns[k].text(v));
      const line = `${named(cell)} ${texts.join(" ")}`.toLowerCase();
      if (wanted.every((word) => line.includes(word))) rows.push({ cell, values, texts });
    }
    const by = columns.findIndex((c) => c.name === state.sort[0]);
    if (by >= 0) {
      const way = state.sort[1], number = (v) => (typeof v === "number" ? v : null);
      rows.sort((a, b) => {
        const [x, y] = [number(a.values[by]), number(b.values[by])];
        if (x != null && y != null) return way * (x - y);
        if (x != null || y != null) return x != null ? -1 : 1;
        return way * String(a.values[by]).localeCompare(String(b.values[by]));
      });
    }
    count.textContent = `${rows.length} of ${CELLS} cells`;
    const most = state.all ? rows.length : 60;
    body.replaceChildren(...rows.slice(0, most).map(({ cell, texts }) => h("tr", {}, texts.map((text, k) => (k
      ? h("td", {}, text)
      : h("th", { scope: "row" }, h("a", { href: addressOf(cell), "aria-label": `open cell ${named(cell)}`, onclick: (e) => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey) { e.preventDefault(); open(cell); document.getElementById("cell-title").focus(); } } }, text)))))));
    more.replaceChildren(...(rows.length > most ? [button(`Show all ${rows.length}`, () => { state.all = true; fill(); })] : []));
  }
  function saveTable() {
    const quoted = (v) => { // a text that a spreadsheet would take for a formula begins with a quote
      let text = v == null ? "" : String(v);
      if (typeof v !== "number" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
      return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = [table.columns.map((c) => quoted(c.name)), ...rows.map((row) => row.values.map(quoted))];
    hand(lines.map((line) => line.join(",")).join("\n") + "\n", "text/csv", "cells.csv");
  }

  // --- begin ------------------------------------------------------------------------------------------------
  buildControls();
  buildTable();
  ROOT.append(controls, legend, grid, readout, panel, table, ...D.notes.map((text) => h("p", { class: "note" }, text)));
  draw();
  const first = fromAddress();
  const start = first >= 0 ? first : Math.max(0, D.sides.map((side) => side.chosen).find((c) => c >= 0) ?? 0);
  if (first >= 0) { state.at = -1; open(start); }
  else later(() => { if (state.open < 0) open(start, true); });
  window.addEventListener("popstate", (e) => { if (e.state?.map) focusMap(); });
  window.addEventListener("hashchange", () => { const cell = fromAddress(); if (cell >= 0) { open(cell); document.getElementById("cell-title")?.focus(); } });
  let width = ROOT.clientWidth;
  window.addEventListener("resize", () => { if (ROOT.clientWidth !== width) { width = ROOT.clientWidth; draw(); if (state.open >= 0) drawCurves(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); if (state.open >= 0) drawCurves(); });
})();
