// The part of a study's page that answers: a map of any two axes, all others fixed, averaged, or at what is best
// on the validation part; the inner grid of the point behind a cell. Values come from #explorer-data; see
// study_explorer for what they are. A cell has a number in the order of D.groups, a rank where it was trained.
(() => {
  const { h, s, minus, shortened, css, colour, onTop, cellUnder, cellMoved, cellBox, cellPath, wayBack, score, seconds } = Page;
  const D = JSON.parse(document.getElementById("explorer-data").textContent);
  const ROOT = document.getElementById("explorer");
  const OUTER = D.axes.length - 3, BACKEND = OUTER, ETA = OUTER + 1, LMBD = OUTER + 2;
  const NUMBERED = 12; // the longest side of a map whose cells carry their numbers
  const LONGEST = 22; // letters of a name at an axis
  const MARKS = { diverged: "×", unsupported: "–", unavailable: "∅", failed: "!", timeout: "…", lacking: "◦", "not in the study": "" };
  const WORDS = { lacking: "not on all that is averaged over" };
  const BEST = "best", MEAN = "mean", APART = "apart"; // what may be done about an axis, beside one of its values

  // --- the cells: of each its value on every axis, and its status -----------------------------------------------
  const COUNT = D.groups.reduce((n, [, , grid]) => n + D.grids[grid][0].length * D.grids[grid][1].length, 0);
  const AT = D.axes.map(() => new Int16Array(COUNT)), POINT = new Int16Array(COUNT), FIRST = new Map();
  const STATUS = new Array(COUNT).fill("ok");
  {
    let cell = 0;
    for (const [point, backend, grid] of D.groups) {
      FIRST.set(`${point} ${backend}`, [cell, D.grids[grid]]);
      for (const eta of D.grids[grid][0]) for (const lmbd of D.grids[grid][1]) {
        POINT[cell] = point;
        [...D.points[point].at, backend, eta, lmbd].forEach((value, axis) => { AT[axis][cell] = value; });
        cell += 1;
      }
    }
    for (const [status, cells] of Object.entries(D.lost)) for (const one of cells) STATUS[one] = status;
  }
  const REFUSED = D.points.map((point, k) => k).filter((k) => !D.points[k].page);

  // --- what is chosen -------------------------------------------------------------------------------------------
  const usual = D.axes.map((_, axis) => (D.averaged.includes(axis) ? MEAN : axis === BACKEND && D.apart ? APART : BEST));
  const state = { rows: D.rows, columns: D.columns, score: 0, of: [...usual], at: null, point: -1, from: null, cell: -1 };
  const others = () => D.axes.map((_, axis) => axis).filter((axis) => axis !== state.rows && axis !== state.columns && D.axes[axis].values.length > 1);
  const quantity = () => D.scores[state.score];
  const valueOf = (cell) => D.values[quantity().key][cell];

  // --- numbers and words ------------------------------------------------------------------------------------------
  const told = (v, digits) => (quantity().key === "seconds" ? seconds(v) : score(v, quantity(), digits));
  function short(v) { // as a cell has room for it
    if (quantity().key === "seconds") return (1000 * v).toFixed(0);
    if (!quantity().positive) return score(v, quantity(), 1).replace(" %", "");
    return v && (v < 1e-3 || v >= 1e4) ? minus(v.toExponential(0)) : String(+v.toPrecision(3));
  }
  const cut = (text, most = LONGEST) => (text.length > most ? `…${text.slice(1 - Math.max(3, most))}` : text); // paths differ in their ends
  const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
  const settings = (point) => D.points[point].at.map((value, axis) => `${D.axes[axis].name} ${D.axes[axis].values[value]}`).join(", ");
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  function sentence() { // what is on the map, and what was done about everything that is not
    const by = (what) => others().filter((axis) => state.of[axis] === what).map((axis) => D.axes[axis].name);
    const fixed = others().filter((axis) => typeof state.of[axis] === "number").map((axis) => `${D.axes[axis].name} is ${D.axes[axis].values[state.of[axis]]}`);
    const [best, mean] = [by(BEST), by(MEAN)];
    const done = [
      fixed.length ? listed(fixed) : "",
      best.length ? `${listed(best)} at what is best on the ${D.part} part` : "",
      mean.length ? `${best.length ? "then " : ""}the mean over ${listed(mean)}` : "",
    ].filter(Boolean);
    const easiest = best.filter((name) => D.averaged.some((axis) => D.axes[axis].name === name));
    const warning = easiest.length ? ` The best of ${listed(easiest)} says which is easiest, not which setting is best.` : "";
    return `${capital(quantity().name)} over ${D.axes[state.rows].name} (down) and ${D.axes[state.columns].name} (across)${by(APART).length ? ", a map for each backend" : ""}${D.repeats > 1 ? ", mean over repeats" : ""}${done.length ? `; ${done.join("; ")}` : ""}.${warning}`;
  }

  // --- the map --------------------------------------------------------------------------------------------------
  // For each panel, row and column: the cells that its number is made of, one for each combination of what is
  // averaged over, and the number, or why there is none.
  function maps() {
    const [rows, columns] = [D.axes[state.rows].values.length, D.axes[state.columns].values.length];
    const apart = others().includes(BACKEND) && state.of[BACKEND] === APART;
    const panels = (apart ? D.axes[BACKEND].values : [""]).map((title) => ({ title, places: Array.from({ length: rows * columns }, () => new Map()) }));
    const fixed = others().filter((axis) => typeof state.of[axis] === "number"), mean = others().filter((axis) => state.of[axis] === MEAN);
    const better = (a, b) => b == null || (D.rank[a] ?? Infinity) < (D.rank[b] ?? Infinity);
    for (let cell = 0; cell < COUNT; cell++) {
      if (fixed.some((axis) => AT[axis][cell] !== state.of[axis])) continue;
      const place = panels[apart ? AT[BACKEND][cell] : 0].places[AT[state.rows][cell] * columns + AT[state.columns][cell]];
      const part = mean.map((axis) => AT[axis][cell]).join();
      if (better(cell, place.get(part))) place.set(part, cell);
    }
    // points that cannot be run: there on all values of backend, eta and lmbd
    for (const point of REFUSED) {
      const at = D.points[point].at, on = (axis, k) => axis >= OUTER || at[axis] === k;
      if (fixed.some((axis) => !on(axis, state.of[axis]))) continue;
      const part = mean.map((axis) => at[axis] ?? "any").join();
      for (const { places } of panels) places.forEach((place, k) => {
        if (on(state.rows, Math.floor(k / columns)) && on(state.columns, k % columns) && !place.has(part)) place.set(part, -1 - point);
      });
    }
    return panels.map(({ title, places }) => ({ title, rows, columns, places: places.map(judged) }));
  }
  function judged(place) {
    const cells = [...place.values()], trained = cells.filter((cell) => cell >= 0 && STATUS[cell] === "ok");
    const best = trained.reduce((a, b) => (a == null || D.rank[b] < D.rank[a] ? b : a), null);
    const one = { cells, best: best ?? cells[0] ?? null, trained: trained.length, value: null, status: "ok" };
    if (!cells.length) one.status = "not in the study";
    else if (!trained.length) one.status = cells[0] >= 0 ? STATUS[cells[0]] : "unsupported";
    else if (trained.length < cells.length) one.status = "lacking";
    else {
      const values = cells.map(valueOf);
      if (values.every((v) => v != null)) one.value = values.reduce((a, b) => a + b, 0) / values.length;
    }
    return one;
  }
  const pointOf = (cell) => (cell < 0 ? -1 - cell : POINT[cell]);
  const behind = (place) => [...new Set([place.best, ...place.cells].filter((cell) => cell != null).map(pointOf))];

  function scale(panels) {
    let low = Infinity, high = -Infinity;
    for (const { places } of panels) for (const { value } of places) if (value != null) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low > high) return { empty: true, at: () => 0 };
    if (quantity().positive && low > 0 && high / low > 30) return { low, high, log: true, at: (v) => (v > 0 ? Math.log(v / low) / Math.log(high / low) : 0) };
    return { low, high, at: (v) => (high > low ? (v - low) / (high - low) : 0.5) };
  }
  function bar(colours) {
    const width = 150, canvas = s("svg", { width, height: 12, viewBox: `0 0 ${width} 12`, "aria-hidden": "true" });
    for (let k = 0; k < 50; k++) canvas.append(s("rect", { x: (k * width) / 50, y: 0, width: width / 50 + 0.5, height: 12, fill: `rgb(${colour(D.colours, k / 49)})` }));
    return h("span", { class: "bar" }, told(colours.low, 1), canvas, told(colours.high, 1), colours.log ? " (log)" : "");
  }
  function keys(panels, colours, ...more) { // the legend of some maps
    const there = new Set(panels.flatMap(({ places }) => places.map((place) => place.status)));
    for (const one of ["ok", "not in the study"]) there.delete(one); // which is seen, or left blank
    return [h("b", {}, capital(quantity().name)), colours.empty ? "no number" : bar(colours),
      ...[...there].map((status) => h("span", {}, h("i", { class: "key grey" }, MARKS[status] ?? "?"), ` ${WORDS[status] || status}`)), ...more];
  }

  // --- drawing a heatmap: of the study, or of one point ------------------------------------------------------------
  function geometry(panels, names, room) {
    const [rows, columns] = [panels[0].rows, panels[0].columns];
    const widest = (texts) => 6.1 * Math.max(...texts.map((text) => cut(text).length));
    const left = 24 + Math.min(widest(names[0]), 0.4 * room), across = widest(names[1]);
    const heading = 10 + 7 * Math.max(...panels.map(({ title }) => title.length)), top = heading > 10 ? 22 : 6;
    const cw = Math.max(2, Math.min(60, Math.max(36, across + 8), (room - left - 8) / columns));
    const ch = rows <= 16 ? 26 : rows <= 40 ? 15 : 8;
    const slanted = across > Math.max(30, cw - 4), apart = slanted ? 13 : across + 6; // names that would run into each other
    const width = Math.min(room, Math.max(left + cw * columns + 8, heading));
    return { rows, columns, left, top, cw, ch, slanted, apart, width, height: top + ch * rows + (slanted ? 34 + 0.57 * across : 34), numbered: Math.max(rows, columns) <= NUMBERED && cw >= 27 };
  }
  function drawMap(one, g, colours, names, axes) {
    const ink = css("--ink"), faint = css("--faint"), text = (x, y, words, more) => s("text", { x, y, fill: ink, class: "ink", "font-size": 10.5, ...more }, words);
    const svg = s("svg", { viewBox: `0 0 ${g.width} ${g.height}`, width: g.width, height: g.height, "font-family": "system-ui, sans-serif", tabindex: 0, role: "application", "aria-roledescription": "heatmap" });
    svg.append(text(2, 14, shortened(one.title, g.width / 7), { "font-weight": 600, "font-size": 12.5 }));
    const squares = new Map(), numbers = [];
    one.places.forEach((place, k) => {
      const row = Math.floor(k / g.columns), column = k % g.columns, rgb = place.value == null ? null : colour(D.colours, colours.at(place.value));
      if (place.status === "not in the study") return;
      const fill = rgb ? `rgb(${rgb})` : "#dfe3e8", words = rgb ? short(place.value) : MARKS[place.status] ?? (place.status === "ok" ? "" : "?");
      squares.set(fill, (squares.get(fill) || "") + cellPath(g, row, column));
      if (g.numbered && words) numbers.push([row, column, words, rgb ? onTop(rgb) : "#000"]);
    });
    for (const [fill, d] of squares) svg.append(s("path", { d, fill, stroke: css("--ground"), class: "ground", "stroke-width": g.numbered ? 1 : 0, "shape-rendering": "crispEdges" }));
    for (const [row, column, words, fill] of numbers) {
      const box = cellBox(g, row, column);
      svg.append(s("text", { x: box.x + g.cw / 2, y: box.y + g.ch / 2 + 4, fill, "text-anchor": "middle", "font-size": Math.min(11, (1.5 * g.cw) / Math.max(4, words.length)) }, words));
    }
    const each = (size, least) => Math.max(1, Math.ceil(least / size));
    names[0].forEach((name, k) => { if (k % each(g.ch, 13) === 0) svg.append(text(g.left - 5, g.top + (k + 0.5) * g.ch + 4, cut(name, Math.min(LONGEST, (g.left - 20) / 5.9)), { "text-anchor": "end" })); });
    names[1].forEach((name, k) => {
      if (k % each(g.cw, g.apart)) return;
      const x = g.left + (k + 0.5) * g.cw, y = g.top + g.ch * g.rows + 13;
      svg.append(text(g.slanted ? x + 4 : x, y, cut(name), g.slanted ? { "text-anchor": "end", transform: `rotate(-35 ${x + 4} ${y})` } : { "text-anchor": "middle" }));
    });
    const middle = g.top + (g.ch * g.rows) / 2;
    svg.append(text(g.left + (g.cw * g.columns) / 2, g.height - 5, axes[1], { fill: faint, "text-anchor": "middle" }), text(11, middle, axes[0], { fill: faint, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` }));
    one.frames = s("g", { fill: "none" });
    svg.append(one.frames);
    return svg;
  }
  function frame(one, g, place, stroke, dash) {
    if (place < 0) return;
    const box = cellBox(g, Math.floor(place / g.columns), place % g.columns);
    if (!dash) one.frames.append(s("rect", { ...box, stroke: "#fff", "stroke-width": g.numbered ? 3.5 : 2.7 }));
    one.frames.append(s("rect", { ...box, stroke, "stroke-width": g.numbered ? 2 : 1.2, ...(dash ? { "stroke-dasharray": "4 3" } : {}) }));
  }
  // pointer and keys on one of some maps: act.at() says where one is, act.point moves there, act.open opens
  function listen(one, g, act) {
    const under = (event) => { const cell = cellUnder(one.svg, g, event); return cell ? cell[0] * g.columns + cell[1] : -1; };
    one.svg.addEventListener("pointermove", (e) => act.point(one, under(e)));
    one.svg.addEventListener("pointerleave", () => { if (document.activeElement !== one.svg) act.point(one, -1); });
    one.svg.addEventListener("click", (e) => { const place = under(e); if (place >= 0) act.open(one, place); });
    one.svg.addEventListener("keydown", (e) => {
      const from = act.at(one), to = cellMoved(e.key, [Math.floor(from / g.columns), from % g.columns], g);
      if (to) act.point(one, to[0] * g.columns + to[1]);
      else if (e.key === "Enter" || e.key === " ") act.open(one, from, true);
      else if (e.key === "Escape") { if (!act.point(one, -1)) return; e.stopPropagation(); } // else it may lead back to the map
      else return;
      e.preventDefault();
    });
  }

  // --- the map of the study -----------------------------------------------------------------------------------------
  const controls = h("div", { class: "controls" }), words = h("p", { class: "told", "aria-live": "polite" });
  const legend = h("div", { class: "legend" }), grid = h("div", { class: "maps", id: "x-maps" });
  const readout = h("p", { class: "readout", id: "x-readout", "aria-live": "polite" });
  const panel = h("article", { class: "cell", "aria-labelledby": "point-title", hidden: true });
  let drawn = [], form = null;

  function select(label, name, options, value, change) {
    return h("span", {}, h("label", { for: name }, label), h("select", { id: name, onchange: (e) => { change(e.target.value); address(); draw(); document.getElementById(name)?.focus(); } },
      options.map(([key, text]) => h("option", { value: key, selected: key === value }, text))));
  }
  function buildControls() {
    const axes = D.axes.map((axis, k) => [k, axis.name]).filter(([k]) => D.axes[k].values.length > 1 || k === state.rows || k === state.columns);
    const put = (one, other) => (v) => { if (+v === state[other]) state[other] = state[one]; state[one] = +v; };
    controls.replaceChildren(
      select("Rows", "x-rows", axes, state.rows, put("rows", "columns")),
      select("columns", "x-columns", axes, state.columns, put("columns", "rows")),
      select("score", "x-score", D.scores.map((one, k) => [k, one.name]), state.score, (v) => { state.score = +v; }),
      ...others().map((axis) => select(D.axes[axis].name, `x-of-${axis}`, [
        ...(axis === BACKEND ? [[APART, "each a map"]] : []), [BEST, `best on ${D.part}`], [MEAN, "averaged"],
        ...D.axes[axis].values.map((value, k) => [k, value]),
      ], state.of[axis], (v) => { state.of[axis] = [BEST, MEAN, APART].includes(v) ? v : +v; })),
    );
  }
  function draw() {
    const before = drawn.findIndex((one) => one.svg === document.activeElement);
    buildControls();
    words.textContent = sentence();
    drawn = maps();
    const names = [state.rows, state.columns].map((axis) => D.axes[axis].values), axes = [state.rows, state.columns].map((axis) => D.axes[axis].name);
    form = geometry(drawn, names, ROOT.clientWidth || 1000);
    const colours = scale(drawn);
    state.at = null;
    state.from = placeOfPoint();
    grid.replaceChildren(...drawn.map((one) => { one.svg = drawMap(one, form, colours, names, axes); listen(one, form, { at: whereOn, point, open }); return one.svg; }));
    legend.replaceChildren(...keys(drawn, colours, h("span", { id: "x-open-key", hidden: true }, h("i", { class: "key open" }), " open below")));
    outline();
    panel.hidden = state.point < 0;
    if (state.point >= 0) drawPoint();
    if (before >= 0) drawn[Math.min(before, drawn.length - 1)].svg.focus();
  }
  function placeOfPoint() { // where the open point stands on this map, its open cell if it is there
    const all = drawn.flatMap((one) => one.places), has = (test) => all.find((place) => place.cells.some(test));
    return state.point < 0 ? null : has((cell) => cell === state.cell) || has((cell) => pointOf(cell) === state.point) || null;
  }
  const placeWords = (k) => `${D.axes[state.rows].name} ${D.axes[state.rows].values[Math.floor(k / form.columns)]}, ${D.axes[state.columns].name} ${D.axes[state.columns].values[k % form.columns]}`;
  function placeTold(one, k) {
    const place = one.places[k];
    if (place.status !== "ok") return WORDS[place.status] || place.status;
    const [cell] = place.cells, shown = told(place.value, 2);
    if (place.cells.length > 1) return `${shown}, the mean of ${place.cells.length}`;
    const best = others().filter((axis) => state.of[axis] === BEST).map((axis) => `${D.axes[axis].name} ${D.axes[axis].values[AT[axis][cell]]}`);
    return best.length ? `${shown} at ${best.join(", ")}` : shown;
  }
  const opened = (one) => (state.from ? one.places.indexOf(state.from) : -1);
  const whereOn = (one) => (state.at && state.at[0] === one ? state.at[1] : Math.max(0, opened(one)));
  function outline() {
    for (const one of drawn) {
      one.frames.replaceChildren();
      frame(one, form, opened(one), "#0b5cad");
      const here = state.at && state.at[0] === one ? state.at[1] : -1;
      frame(one, form, here, "#000");
      one.svg.setAttribute("aria-label", `Heatmap${one.title ? ` of ${one.title}` : ""}: ${sentence()}${here >= 0 ? ` At ${placeWords(here)}: ${placeTold(one, here)}.` : ""} Arrow keys move, Enter opens the inner grid.`);
    }
    document.getElementById("x-open-key")?.toggleAttribute("hidden", !drawn.some((one) => opened(one) >= 0));
    readout.replaceChildren(...(state.at
      ? [h("b", {}, placeWords(state.at[1])), ` ${state.at[0].title ? `${state.at[0].title} ` : ""}${placeTold(...state.at)}`]
      : ["Point at a cell, or move with the arrow keys: its number, and where it was reached. Click or Enter opens the inner grid of its point."]));
  }
  function point(one, k) {
    if ((state.at?.[0] ?? one) === one && (state.at?.[1] ?? -1) === k) return;
    state.at = k < 0 ? null : [one, k];
    outline();
    return true;
  }
  function open(one, k, byKey) {
    const place = one.places[k];
    if (place.best == null) return;
    state.from = place;
    openPoint(pointOf(place.best), place.best);
    if (byKey) document.getElementById("point-title").focus();
  }

  // --- one point: its inner grid ----------------------------------------------------------------------------------
  const pointReadout = h("p", { class: "readout", id: "x-point-readout", "aria-live": "polite" }), link = h("a", { id: "x-page" }), pageLine = h("p", { class: "note" });
  let inner = [], innerForm = null, innerAt = null;
  function openPoint(number, cell) {
    state.point = number;
    state.cell = cell;
    panel.hidden = false;
    address();
    drawPoint();
    outline();
    panel.scrollIntoView({ block: "nearest" });
  }
  function pointMaps(number) {
    const made = [];
    D.axes[BACKEND].values.forEach((title, backend) => {
      if (!FIRST.has(`${number} ${backend}`)) return;
      const [first, [etas, lmbds]] = FIRST.get(`${number} ${backend}`);
      const cells = Array.from({ length: etas.length * lmbds.length }, (_, k) => first + k);
      const ranked = cells.filter((cell) => D.rank[cell] != null).sort((a, b) => D.rank[a] - D.rank[b]);
      made.push({
        title, backend, first, rows: etas.length, columns: lmbds.length, chosen: ranked.length ? ranked[0] - first : -1,
        names: [etas.map((k) => D.axes[ETA].values[k]), lmbds.map((k) => D.axes[LMBD].values[k])],
        places: cells.map((cell) => ({ cells: [cell], best: cell, status: STATUS[cell], value: STATUS[cell] === "ok" ? valueOf(cell) : null })),
      });
    });
    return made;
  }
  function why() { // how the open point stands behind the map's cell
    const place = state.from, all = place ? behind(place) : [];
    if (!place) return "It stands behind no cell of the map as it is now.";
    if (!place.trained) return `Nothing was trained behind the map's cell${all.length > 1 ? `; open is one of its ${all.length} points` : ""}.`;
    if (all.length > 1) return `Behind the map's cell stand ${all.length} points; open is ${D.points[state.point].page && state.point === pointOf(place.best) ? `the one that is best on the ${D.part} part` : "the one chosen here"}.`;
    const best = others().filter((axis) => axis < OUTER && state.of[axis] === BEST).map((axis) => D.axes[axis].name);
    return best.length ? `The point behind the map's cell: over ${listed(best)} the best on the ${D.part} part.` : "The point behind the map's cell.";
  }
  function drawPoint() {
    const number = state.point, one = D.points[number], all = state.from ? behind(state.from) : [];
    inner = pointMaps(number);
    innerAt = null;
    const title = h("h3", { id: "point-title", tabindex: -1 }, `Inner grid: ${settings(number)}`);
    const choice = all.length > 1 ? h("p", { class: "controls" }, select("point", "x-point", all.map((k) => [k, settings(k)]), number, (v) => { state.point = +v; state.cell = state.from.cells.find((cell) => pointOf(cell) === +v) ?? -1; })) : "";
    if (!one.page) {
      panel.replaceChildren(title, wayBack(panel, back), h("p", { id: "x-why" }, why()), choice, h("p", {}, `This point cannot be run: ${one.reason}.`));
      return;
    }
    const colours = scale(inner), box = h("div", { class: "maps" });
    panel.replaceChildren(title, wayBack(panel, back), h("p", { id: "x-why" }, why()), choice,
      h("div", { class: "legend" }, keys(inner, colours, h("span", {}, h("i", { class: "key chosen" }), ` chosen on the ${D.part} part`), inner.some((own) => onMap(own) >= 0) ? h("span", {}, h("i", { class: "key open" }), " in the map above") : "")),
      box, pointReadout, pageLine, h("pre", { tabindex: 0 }, h("code", {}, one.command)));
    const room = box.clientWidth || ROOT.clientWidth || 1000;
    innerForm = geometry(inner, inner[0].names, room);
    for (const own of inner) {
      own.svg = drawMap(own, innerForm, colours, own.names, ["eta", "lmbd"]);
      listen(own, innerForm, { at: (o) => (innerAt && innerAt[0] === o ? innerAt[1] : Math.max(0, o.chosen)), point: pointInner, open: (o, k) => { pointInner(o, k); drawLink(k); } });
    }
    box.replaceChildren(...inner.map((own) => own.svg));
    drawLink(-1);
    outlineInner();
  }
  const onMap = (own) => (state.from?.cells || []).map((cell) => (cell >= 0 ? cell - own.first : -1)).find((k) => k >= 0 && k < own.places.length) ?? -1;
  const cellWords = (own, k) => `eta ${own.names[0][Math.floor(k / own.columns)]}, lmbd ${own.names[1][k % own.columns]}`;
  const cellTold = (own, k) => (own.places[k].status === "ok" ? told(own.places[k].value, 2) : own.places[k].status);
  function drawLink(k) { // to the point's own page, at a cell of it
    const one = D.points[state.point];
    link.href = one.page + (k < 0 ? "" : `#cell=${inner[0].names[0][Math.floor(k / inner[0].columns)]},${inner[0].names[1][k % inner[0].columns]}`);
    link.textContent = k < 0 ? "its page" : `its page at ${cellWords(inner[0], k)}`;
    pageLine.replaceChildren("The point's own run, with curves and all samples: ", link, ", which is there once this command has made it:");
  }
  function outlineInner() {
    for (const own of inner) {
      own.frames.replaceChildren();
      frame(own, innerForm, onMap(own), "#0b5cad");
      frame(own, innerForm, own.chosen, "#e8590c", onMap(own) === own.chosen);
      const here = innerAt && innerAt[0] === own ? innerAt[1] : -1;
      frame(own, innerForm, here, "#000");
      own.svg.setAttribute("aria-label", `Heatmap of ${own.title} at ${settings(state.point)}: ${quantity().name}, eta down, lmbd across${own.chosen >= 0 ? `; chosen ${cellWords(own, own.chosen)}` : ""}${here >= 0 ? `; at ${cellWords(own, here)}: ${cellTold(own, here)}` : ""}. Arrow keys move, Enter points the link below at the cell.`);
    }
    pointReadout.replaceChildren(...(innerAt
      ? [h("b", {}, cellWords(...innerAt)), ` ${inner.map((own) => `${own.title} ${cellTold(own, innerAt[1])}`).join(" · ")}`]
      : [inner.map((own) => (own.chosen < 0 ? `${own.title}: nothing was trained` : `${own.title} chose ${cellWords(own, own.chosen)}: ${cellTold(own, own.chosen)}`)).join(" · ")]));
  }
  function pointInner(own, k) {
    const moved = innerAt || k >= 0;
    innerAt = k < 0 ? null : [own, k];
    outlineInner();
    return moved;
  }
  function back() { // to the map, at the cell that the point stands behind
    const one = drawn.find((own) => opened(own) >= 0) || drawn[0];
    if (opened(one) >= 0) point(one, opened(one));
    one.svg.focus();
  }

  // --- the address: what is shown, to be handed on -------------------------------------------------------------------
  const nameOf = (number) => (D.points[number].name ?? String(number));
  function address() {
    const part = new URLSearchParams({ rows: D.axes[state.rows].name, columns: D.axes[state.columns].name, score: quantity().key });
    for (const axis of others()) {
      const what = state.of[axis];
      if (what !== usual[axis]) part.set(`of ${D.axes[axis].name}`, typeof what === "number" ? D.axes[axis].values[what] : `*${what}`);
    }
    if (state.point >= 0) part.set("point", nameOf(state.point));
    history.replaceState(null, "", `#${part}`);
  }
  function fromAddress() { // what an address asks for, and is there
    const part = new URLSearchParams(location.hash.slice(1)), axis = (name) => D.axes.findIndex((one) => one.name === name);
    const [rows, columns] = [axis(part.get("rows")), axis(part.get("columns"))];
    const point = D.points.findIndex((_, k) => nameOf(k) === part.get("point"));
    if (point < 0 && (rows < 0 || columns < 0 || rows === columns)) return false;
    if (rows >= 0 && columns >= 0 && rows !== columns) Object.assign(state, { rows, columns });
    state.score = Math.max(0, D.scores.findIndex((one) => one.key === part.get("score")));
    state.of = usual.map((what, k) => {
      const asked = part.get(`of ${D.axes[k].name}`), value = D.axes[k].values.indexOf(asked);
      return value >= 0 ? value : [BEST, MEAN, ...(k === BACKEND ? [APART] : [])].find((one) => asked === `*${one}`) ?? what;
    });
    Object.assign(state, { point, cell: -1 });
    return true;
  }

  // --- begin ----------------------------------------------------------------------------------------------------------
  ROOT.append(controls, words, legend, grid, readout, panel);
  fromAddress();
  draw();
  window.addEventListener("hashchange", () => { if (fromAddress()) { draw(); if (state.point >= 0) panel.scrollIntoView({ block: "nearest" }); } });
  let width = ROOT.clientWidth;
  window.addEventListener("resize", () => { if (ROOT.clientWidth !== width) { width = ROOT.clientWidth; draw(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
