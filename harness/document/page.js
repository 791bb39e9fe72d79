"use strict";
// What the scripts of all pages share: elements, numbers, colours, heatmaps asked by keyboard, and Vega-Lite.
// Texts from outside reach a page as text nodes only.
const Page = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7f7f7f", "#8250df"];

  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.flat(Infinity).filter((c) => c != null && c !== false));
    return element;
  }
  function s(tag, attributes, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text != null) element.textContent = text;
    return element;
  }
  function dataTable(caption, header, rows, more) {
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption, ...more }, h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, header.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((entry, k) => (k ? h("td", {}, entry) : h("th", { scope: "row" }, entry))))))));
  }
  const minus = (text) => text.replace("-", "−");
  const shortened = (text, most) => (text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text);
  const vast = (value) => Math.abs(value) >= 1e4; // such as the R² of a network that ran away
  function score(value, q, digits) { // q: percent, a share of samples; positive, such as a loss
    if (value == null) return "–";
    if (q.percent) return `${(100 * value).toFixed(digits)} %`;
    if (q.positive) return Math.abs(value) >= 1e4 || (value && Math.abs(value) < 1e-3)
      ? minus(value.toExponential(2)) : String(+value.toPrecision(4));
    const text = vast(value) ? value.toExponential(1) : value.toFixed(digits + 1);
    return +text ? minus(text) : text.replace("-", ""); // what rounds to 0 has no sign
  }
  const exact = (v) => String(+v.toPrecision(4));
  const seconds = (v) => (v == null ? "–" : v < 1 ? `${(1000 * v).toFixed(0)} ms` : `${v.toFixed(1)} s`);
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  // --- colours ----------------------------------------------------------------------------------------------
  const parsed = new Map();
  function colour(stops, t) { // of a ramp of #rrggbb, at t from 0 to 1
    if (!parsed.has(stops)) parsed.set(stops, stops.map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16))));
    const numbers = parsed.get(stops);
    const x = t * (numbers.length - 1), k = Math.min(Math.floor(x), numbers.length - 2), f = x - k;
    return numbers[k].map((v, i) => Math.round(v + f * (numbers[k + 1][i] - v)));
  }
  function onTop(rgb) { // relative luminance of WCAG: black and white stand out alike at 0.179
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }

  // --- a heatmap as a grid of cells ---------------------------------------------------------------------------
  // g: left, top, cw, ch, rows, columns in the units of its viewBox, which is g.width wide
  function cellUnder(svg, g, event) { // the row and column under the pointer, or null
    const box = svg.getBoundingClientRect(), zoom = g.width / box.width;
    const column = Math.floor(((event.clientX - box.left) * zoom - g.left) / g.cw);
    const row = Math.floor(((event.clientY - box.top) * zoom - g.top) / g.ch);
    return row >= 0 && row < g.rows && column >= 0 && column < g.columns ? [row, column] : null;
  }
  function cellMoved(key, [row, column], g) { // where an arrow key, Home or End leads; null for other keys
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (key === "Home") return [0, 0];
    if (key === "End") return [g.rows - 1, g.columns - 1];
    if (!(key in moves)) return null;
    const [down, right] = moves[key], within = (v, end) => Math.min(end - 1, Math.max(0, v));
    return [within(row + down, g.rows), within(column + right, g.columns)];
  }
  const cellBox = (g, row, column) => ({ x: g.left + column * g.cw, y: g.top + row * g.ch, width: g.cw, height: g.ch });
  const cellPath = (g, row, column) => `M${(g.left + column * g.cw).toFixed(2)} ${(g.top + row * g.ch).toFixed(2)}h${g.cw.toFixed(2)}v${g.ch.toFixed(2)}h-${g.cw.toFixed(2)}z`;

  function wayBack(panel, act) { // a link from what a cell opened to its map, for Escape as well
    panel.onkeydown = (event) => { if (event.key === "Escape" && event.target.tagName !== "SELECT") act(); };
    const link = h("a", { href: "#explorer-section", "aria-keyshortcuts": "Escape", onclick: (event) => { event.preventDefault(); act(); } }, "Back to the map");
    return h("p", { class: "back" }, link, " (Esc)");
  }

  // --- Vega-Lite ----------------------------------------------------------------------------------------------
  let loading = null;
  function library() { // whether there is one; it is read when it is first asked for
    loading ||= new Promise((give) => {
      const source = document.getElementById("explorer-library");
      if (!source) return give(false);
      const script = document.createElement("script");
      script.textContent = source.textContent;
      document.head.append(script);
      give(Boolean(window.vegaEmbed));
    });
    return loading;
  }
  async function chart(box, spec, names) { // in the page's colours, without eval; a legend in which the names have room
    const ink = css("--ink"), line = css("--line"), room = (box.clientWidth || 620) - 70;
    const columns = Math.max(1, Math.floor(room / (30 + 6.5 * Math.max(1, ...names.map((name) => name.length)))));
    const config = { ...spec.config, background: null, axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 11, titleFontSize: 11.5, titleFontWeight: 500 }, legend: { orient: "bottom", columns, labelLimit: Math.max(120, room), labelColor: ink, titleColor: ink, labelFontSize: 11, symbolStrokeColor: ink }, title: { ...spec.config?.title, color: ink }, view: { stroke: null } };
    const description = box.getAttribute("aria-label"); // which Vega would put its own words over
    return window.vegaEmbed(box, { ...spec, description, config }, { ast: true, actions: false, renderer: "svg" });
  }
  // Lines that lie over each other in a drawing so many pixels high, together: [[line, ...], ...]. What they have
  // across must be equal; of their heights, those of each chart on its own axis, half a pixel may differ.
  function coinciding(lines, pixels) {
    const most = (lines[0]?.heights || []).map((_, chart) => {
      let low = Infinity, high = -Infinity;
      for (const line of lines) for (const v of line.heights[chart]) if (v != null) { low = Math.min(low, v); high = Math.max(high, v); }
      return high > low ? (high - low) / (2 * pixels) : 0;
    });
    const near = (a, b, chart) => a === b || (a != null && b != null && Math.abs(a - b) <= most[chart]);
    const over = (a, b) => JSON.stringify(a.across) === JSON.stringify(b.across)
      && a.heights.every((values, chart) => values.every((v, i) => near(v, b.heights[chart][i], chart)));
    const groups = [];
    for (const line of lines) {
      const same = groups.find(([first]) => over(first, line));
      if (same) same.push(line);
      else groups.push([line]);
    }
    return groups;
  }
  const later = window.requestIdleCallback || ((act) => setTimeout(act, 30));

  return { SVG, LINES, h, s, dataTable, minus, shortened, vast, score, exact, seconds, css, colour, onTop, cellUnder, cellMoved, cellBox, cellPath, wayBack, library, chart, coinciding, later };
})();
