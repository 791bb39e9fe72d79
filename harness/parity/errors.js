// The part of a parity's page that answers: for every backend and dtype, or every recording, a map of tensors
// (down) and steps (across) with what was used of the error that round-off allows; the curve of one tensor.
// Values come from #explorer-data; see errors_explorer and misfits_explorer for what they are.
(() => {
  const { LINES, h, s, dataTable, minus, shortened, css, colour, onTop, cellUnder, cellMoved, cellBox, cellPath, wayBack, library, chart, coinciding, later } = Page;
  const D = JSON.parse(document.getElementById("explorer-data").textContent);
  const ROOT = document.getElementById("explorer");
  const WHO = [...new Set(D.maps.map((one) => one.who))];
  const DECADES = 3; // of colours on either side of what is allowed
  const state = { at: null, map: -1, tensor: 0, column: 0, cell: null }; // at: the map, row and column that is pointed at

  // --- numbers --------------------------------------------------------------------------------------------
  function short(v) { // a share of what is allowed
    if (v == null) return "";
    if (v === 0) return "0";
    if (v > 1e300) return "∞";
    if (v < 0.01 || v >= 1000) return minus(v.toExponential(0));
    return v < 10 ? String(+v.toPrecision(2)) : v.toFixed(0);
  }
  const size = (v) => (v == null ? "–" : v === 0 ? "0" : minus(v.toExponential(1)));
  const at = (share) => Math.min(1, Math.max(0, 0.5 + Math.log10(Math.max(share, 1e-99)) / (2 * DECADES)));
  const steps = (one, k) => (one.ends && one.ends[k] !== one.steps[k] ? `steps ${one.steps[k]} to ${one.ends[k]}` : `step ${one.steps[k]}`);
  const title = (one) => `${one.who} ${one.dtype}`;

  // --- maps -----------------------------------------------------------------------------------------------
  const legend = h("div", { class: "legend" });
  const grids = [...new Set(D.maps.map((one) => one.dtype))].map((dtype) => [dtype, h("div", { class: "maps" })]); // a line each
  const readout = h("p", { class: "readout", "aria-live": "polite" });
  const panel = h("article", { class: "cell", "aria-labelledby": "tensor-title" });

  function geometry(one) {
    const rows = one.tensors.length, columns = one.steps.length, room = Math.min(ROOT.clientWidth || 1000, 640);
    const left = 12 + 6.4 * Math.max(...one.tensors.map((name) => name.length)), top = 24, bottom = 32;
    const cw = Math.min(columns > 12 ? 14 : 46, (room - left - 8) / columns), ch = rows > 14 ? 15 : 20;
    const least = 7.2 * Math.min(34, `${title(one)}: ${one.verdict}`.length);
    return { rows, columns, left, top, cw, ch, numbered: cw >= 27, width: Math.min(room, left + Math.max(cw * columns + 8, least)), height: top + ch * rows + bottom };
  }
  function drawMap(one) {
    const g = geometry(one), ink = css("--ink"), faint = css("--faint");
    const svg = s("svg", { viewBox: `0 0 ${g.width} ${g.height}`, width: g.width, height: g.height, "font-family": "system-ui, sans-serif", "font-size": 11 });
    const name = `${title(one)}: ${one.verdict}`;
    const heading = s("text", { x: 2, y: 14, fill: ink, class: "ink", "font-weight": 600, "font-size": 12 }, shortened(name, (g.width - 4) / 7));
    heading.append(s("title", {}, name));
    svg.append(heading);
    const squares = new Map(), texts = [];
    one.share.forEach((row, t) => row.forEach((share, k) => {
      const there = one.judged[t][k], rgb = share == null ? null : colour(D.colours, at(share));
      const fill = there == null ? "none" : there ? `rgb(${rgb})` : "#dfe3e8";
      squares.set(fill, (squares.get(fill) || "") + cellPath(g, t, k));
      if (there != null && g.numbered) texts.push([t, k, there ? short(share) : "·", there ? onTop(rgb) : "#000", share > 1]);
    }));
    for (const [fill, d] of squares) if (fill !== "none") svg.append(s("path", { d, fill, stroke: css("--ground"), class: "ground", "stroke-width": g.numbered ? 1 : 0, "shape-rendering": "crispEdges" }));
    for (const [t, k, text, fill, over] of texts) {
      const box = cellBox(g, t, k);
      svg.append(s("text", { x: box.x + g.cw / 2, y: box.y + g.ch / 2 + 4, fill, "text-anchor": "middle", "font-size": 10.5, ...(over ? { "font-weight": 700 } : {}) }, text));
    }
    one.tensors.forEach((tensor, t) => svg.append(s("text", { x: g.left - 5, y: g.top + (t + 0.5) * g.ch + 4, fill: ink, class: "ink", "text-anchor": "end", "font-size": 10.5 }, tensor)));
    const every = Math.ceil(34 / g.cw);
    one.steps.forEach((step, k) => { if (k % every === 0) svg.append(s("text", { x: g.left + (k + 0.5) * g.cw, y: g.top + g.ch * g.rows + 13, fill: ink, class: "ink", "text-anchor": "middle", "font-size": 10.5 }, String(step))); });
    svg.append(s("text", { x: g.left + (g.cw * g.columns) / 2, y: g.height - 6, fill: faint, class: "ink", "text-anchor": "middle", "font-size": 10.5 }, "step"));
    if (one.first) {
      const box = cellBox(g, ...one.first);
      svg.append(s("rect", { ...box, fill: "none", stroke: "#fff", "stroke-width": 4 }), s("rect", { ...box, fill: "none", stroke: "#000", "stroke-width": 2 }));
      svg.append(s("path", { d: `M${box.x + 1} ${box.y + 1}h7l-7 7z`, fill: "#000" }));
    }
    one.frames = s("g", { fill: "none" });
    svg.append(one.frames);
    for (const [key, value] of Object.entries({ tabindex: 0, role: "application", "aria-roledescription": "heatmap" })) svg.setAttribute(key, value);
    svg.addEventListener("pointermove", (e) => { const cell = cellUnder(svg, g, e); point(cell && [one, ...cell]); });
    svg.addEventListener("pointerleave", () => { if (document.activeElement !== svg) point(null); });
    svg.addEventListener("click", (e) => { const cell = cellUnder(svg, g, e); if (cell) open(one, ...cell); });
    svg.addEventListener("keydown", (e) => keyed(e, one));
    one.geometry = g;
    return svg;
  }
  function draw() {
    const before = D.maps.findIndex((one) => one.svg && one.svg === document.activeElement);
    for (const [dtype, grid] of grids) grid.replaceChildren(...D.maps.filter((one) => one.dtype === dtype).map((one) => (one.svg = drawMap(one))));
    drawLegend();
    outline();
    if (before >= 0) D.maps[before].svg.focus();
  }
  function drawLegend() {
    const width = 150, bar = s("svg", { width, height: 12, viewBox: `0 0 ${width} 12`, "aria-hidden": "true" });
    for (let k = 0; k < 50; k++) bar.append(s("rect", { x: (k * width) / 50, y: 0, width: width / 50 + 0.5, height: 12, fill: `rgb(${colour(D.colours, k / 49)})` }));
    const cells = D.maps.flatMap((one) => one.judged.flat());
    legend.replaceChildren(
      h("b", {}, D.what), h("span", { class: "bar" }, minus(`1e-${DECADES}`), bar, `1e+${DECADES}, white: 1, all that is allowed`),
      ...(cells.includes(0) ? [h("span", {}, h("i", { class: "key grey" }, "·"), " not judged: round-off alone is too large")] : []),
      ...(D.maps.some((one) => one.first) ? [h("span", {}, h("i", { class: "key first" }), " first departure")] : []),
    );
  }
  function told([one, t, k], bare) {
    const there = one.judged[t][k], name = `${one.tensors[t]} after ${steps(one, k)}`;
    if (there == null) return `${name}: not looked at`;
    const most = D.cells.length && one.worst[t][k] != null ? `, most in ${D.cells[one.worst[t][k]]}` : "";
    const sizes = one.relative ? ` (relative error ${size(one.relative[t][k])}, allowed ${size(one.allowed[t][k])}${most})` : "";
    const where = !bare && one.first && one.first[0] === t && one.first[1] === k ? "; the first departure" : "";
    if (!there) return `${name}: not judged, round-off alone is too large`;
    return `${name}: ${one.share[t][k] === 0 ? "the same bits" : `${short(one.share[t][k])} of what is allowed`}${sizes}${D.grid > 1 ? `; judged in ${there} of ${D.grid} cells` : ""}${where}`;
  }
  function outline() {
    D.maps.forEach((one, number) => {
      one.frames.replaceChildren();
      const g = one.geometry;
      if (state.map === number) one.frames.append(s("rect", { x: g.left, y: g.top + state.tensor * g.ch, width: g.cw * g.columns, height: g.ch, stroke: "#0b5cad", "stroke-width": 2 }));
      const here = state.at && state.at[0] === one ? state.at : null;
      if (here) one.frames.append(s("rect", { ...cellBox(g, here[1], here[2]), stroke: "#000", "stroke-width": 2 }));
      one.svg.setAttribute("aria-label", `Heatmap of ${title(one)}, ${one.verdict}: ${D.what}, tensors down, steps across${one.first ? `; first departure: ${told([one, ...one.first], true)}` : ""}${here ? `; at ${told(here)}` : ""}. Arrow keys move, Enter opens the tensor's curve.`);
    });
    readout.replaceChildren(...(state.at
      ? [h("b", {}, title(state.at[0])), " ", told(state.at)]
      : ["Point at a tensor and step, or move with the arrow keys: its error. Click or Enter opens the tensor's curve."]));
  }
  function point(where) { if (String(where) !== String(state.at) || (where && where[0] !== state.at[0])) { state.at = where; outline(); } }
  function keyed(event, one) {
    const from = state.at && state.at[0] === one ? state.at.slice(1) : one.first || [0, 0];
    const to = cellMoved(event.key, from, one.geometry);
    if (to) point([one, ...(state.at && state.at[0] === one ? to : event.key === "Home" || event.key === "End" ? to : from)]);
    else if (event.key === "Enter" || event.key === " ") { open(one, ...from); document.getElementById("tensor-title").focus(); }
    else if (event.key === "Escape") point(null);
    else return;
    event.preventDefault();
  }

  // --- the curve of one tensor ------------------------------------------------------------------------------
  const curveBox = h("div", { id: "x-curves", role: "img" }), tableBox = h("div", {});
  function open(one, tensor, column, quiet) {
    state.map = D.maps.indexOf(one);
    state.tensor = tensor;
    state.column = column;
    if (one.worst) state.cell = one.worst[tensor][column] ?? one.worst[tensor].find((c) => c != null) ?? 0;
    drawPanel();
    outline();
    if (!quiet) panel.scrollIntoView({ block: "nearest" });
  }
  function drawPanel() {
    const one = D.maps[state.map], name = one.tensors[state.tensor];
    const choice = D.cells.length > 1 ? h("p", { class: "controls" }, h("label", { for: "x-cell" }, "in the cell"),
      h("select", { id: "x-cell", onchange: (e) => { state.cell = +e.target.value; drawCurve(); } }, D.cells.map((cell, k) => h("option", { value: k, selected: k === state.cell }, cell)))) : "";
    panel.replaceChildren(
      h("h3", { id: "tensor-title", tabindex: -1 }, `${name}, ${one.dtype}`),
      wayBack(panel, () => { point([one, state.tensor, state.column]); one.svg.focus(); }),
      h("p", { class: "note" }, `${D.curve}${one.first ? ` ${title(one)} departs first in ${told([one, ...one.first], true)}.` : ""}`),
      choice, h("div", { class: "curves" }, curveBox), tableBox,
    );
    drawCurve();
  }
  // the lines of the open tensor: of every map of its dtype that has it, and what is allowed
  function lines() {
    const open = D.maps[state.map], name = open.tensors[state.tensor], made = [], limits = new Map();
    for (const one of D.maps) {
      const t = one.tensors.indexOf(name);
      if (one.dtype !== open.dtype || t < 0) continue;
      if (one.whole) {
        made.push({ who: one.who, steps: one.whole.steps, values: one.whole.share[t], judged: () => true });
        limits.set("1", { who: "allowed", steps: [one.whole.steps[0], one.whole.steps.at(-1)], values: [1, 1] });
        continue;
      }
      const of = (table) => table[t].map((row) => row[state.cell]);
      const most = of(D.maps[one.limits_of].limits);
      made.push({ who: one.who, steps: one.steps, values: of(one.errors), judged: (k) => !one.loose[t][k].includes(state.cell) });
      const key = JSON.stringify([one.steps, most]), before = limits.get(key);
      if (before) before.whose.push(one.who);
      else limits.set(key, { who: "allowed", whose: [one.who], steps: one.steps, values: most });
    }
    const all = [...limits.values()];
    if (all.length > 1) for (const one of all) one.who = `allowed, ${one.whose.join(", ")}`;
    return [made, all];
  }
  let chartNow = null, turns = 0;
  async function drawCurve() {
    const [made, limits] = lines(), one = D.maps[state.map], rows = [], floor = one.dtype === "float32" ? 1e-8 : 1e-17;
    const least = one.whole ? 1e-6 : floor; // what is 0 has no place on a log axis
    const judged = (line, k) => (line.judged(k) ? "yes" : "no");
    for (const line of made) Object.assign(line, { across: [line.steps, line.steps.map((_, k) => judged(line, k))], heights: [line.values.map((v) => (v == null ? null : Math.log(Math.max(v, least))))] });
    const drawn = coinciding(made, D.curve_spec.height).map((same) => ({ ...same[0], who: same.map((line) => line.who).join(", "), first: same[0].who, same }));
    for (const line of drawn) line.steps.forEach((step, k) => {
      const told = [...new Set(line.same.map((one) => size(one.values[k])))].join(", "); // what is merged may differ a little
      if (line.values[k] != null) rows.push({ who: line.who, kind: "error", step, value: Math.max(line.values[k], least), told, judged: judged(line, k) });
    });
    for (const line of limits) line.steps.forEach((step, k) => { if (line.values[k] != null) rows.push({ who: line.who, kind: "allowed", step, value: Math.max(line.values[k], least), told: size(line.values[k]), judged: "yes" }); });
    const where = one.whole ? "" : ` in ${D.cells[state.cell]}`;
    const words = made.map((line) => `${line.who} at most ${size(Math.max(...line.values.filter((v) => v != null)))}`);
    curveBox.setAttribute("aria-label", `${D.unit} of ${one.tensors[state.tensor]}${where} by step: ${words.join(", ")}`);
    const all = one.steps.length <= 12 && !one.whole ? one.steps : null;
    tableBox.replaceChildren(all ? dataTable(`${D.unit}${where}`, ["after step", ...made.map((line) => line.who), ...limits.map((line) => line.who)],
      all.map((step) => [String(step), ...[...made, ...limits].map((line) => { const k = line.steps.indexOf(step); return k < 0 ? "–" : `${size(line.values[k])}${line.judged && !line.judged(k) ? " (not judged)" : ""}`; })])) : "");
    const turn = (turns += 1);
    if (!(await library())) { curveBox.replaceChildren(h("p", { class: "note" }, "Curves need the page's library, which could not be made.")); return; }
    if (turn !== turns) return; // another one was opened meanwhile
    const spec = JSON.parse(JSON.stringify(D.curve_spec)), names = [...drawn, ...limits].map((line) => line.who);
    spec.data = { name: "errors", values: rows };
    spec.width = Math.max(150, Math.min(900, (curveBox.clientWidth || 700) - 80));
    spec.encoding.y.title = D.unit;
    spec.encoding.color.scale = { domain: names, range: [...drawn.map((line) => LINES[WHO.indexOf(line.first) % LINES.length]), ...limits.map(() => css("--ink"))] };
    spec.encoding.x.axis.values = one.whole ? undefined : one.steps;
    chartNow?.finalize();
    chartNow = await chart(curveBox, spec, names);
  }

  // --- begin ------------------------------------------------------------------------------------------------
  ROOT.append(legend, ...grids.map(([, grid]) => grid), readout, panel, ...D.notes.map((text) => h("p", { class: "note" }, text)));
  draw();
  const first = D.maps.find((one) => one.first) || D.maps[0];
  later(() => { if (state.map < 0) open(first, ...(first.first || first.widest), true); });
  let width = ROOT.clientWidth;
  window.addEventListener("resize", () => { if (ROOT.clientWidth !== width) { width = ROOT.clientWidth; draw(); if (state.map >= 0) drawCurve(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); if (state.map >= 0) drawCurve(); });
})();
