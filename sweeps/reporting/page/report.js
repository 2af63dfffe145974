"use strict";
// Draws the charts of a report as they come into view; a trial that is picked in one is marked in all, and in tables.
(() => {
  const page = document.documentElement;
  page.classList.add("js");
  const trials = JSON.parse(document.getElementById("trials").textContent);
  const bar = document.getElementById("picked");
  const drawn = new Map();
  let picked = null;

  const colour = (name) => getComputedStyle(page).getPropertyValue(name).trim();

  // Colours and sizes of the reader's setting, under those of the chart itself.
  function themed(layout, width) {
    const ink = colour("--ink"), line = colour("--line");
    const whole = structuredClone(layout);
    const narrow = width < 560;
    whole.paper_bgcolor = whole.plot_bgcolor = "rgba(0,0,0,0)";
    whole.font = { family: "system-ui, sans-serif", size: 12, color: ink };
    whole.hoverlabel = { align: "left", namelength: -1 };
    whole.autosize = true;
    whole.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--accent") };
    for (const text of whole.annotations || []) text.bgcolor = colour("--page");
    for (const [name, axis] of Object.entries(whole)) {
      if (!/^[xy]axis\d*$/.test(name)) continue;
      axis.gridcolor = line; axis.linecolor = line; axis.zerolinecolor = line; axis.automargin = true;
    }
    if (narrow && whole.meta && whole.meta.stacked) Object.assign(whole, structuredClone(whole.meta.stacked));
    for (const name of Object.keys(whole)) {
      if (!/^[xy]axis\d*$/.test(name)) continue;
      Object.assign(whole[name], { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true });
    }
    return whole;
  }

  // The points of the picked trial once more, in one colour, over everything else.
  function overlay(data) {
    if (picked === null) return [];
    const made = [];
    for (const trace of data) {
      if (!Array.isArray(trace.customdata)) continue;
      const at = trace.customdata.map((trial, k) => (trial === picked ? k : -1)).filter((k) => k >= 0);
      if (!at.length) continue;
      made.push({
        x: at.map((k) => trace.x[k]), y: at.map((k) => trace.y[k]), xaxis: trace.xaxis, yaxis: trace.yaxis,
        type: "scatter", mode: trace.mode || "markers", showlegend: false, hoverinfo: "skip",
        line: { color: colour("--pick"), width: 3.5, dash: (trace.line || {}).dash || "solid" },
        marker: { color: colour("--pick"), size: 11, symbol: "circle-open", line: { width: 3 } },
      });
    }
    return made;
  }

  function draw(chart) {
    const spec = drawn.get(chart) || JSON.parse(document.getElementById(`spec-${chart.dataset.name}`).textContent);
    const first = !drawn.has(chart);
    drawn.set(chart, spec);
    const layout = themed(spec.layout, chart.clientWidth);
    if (!first && chart.layout) { // what the reader zoomed to stays
      for (const [name, axis] of Object.entries(layout)) {
        const now = chart.layout[name];
        if (/^[xy]axis\d*$/.test(name) && now && now.range && now.autorange === false) axis.range = now.range;
      }
    }
    const settings = {
      responsive: true, displaylogo: false, // no button that would send the data anywhere
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    };
    Plotly.react(chart, [...spec.data, ...overlay(spec.data)], layout, settings);
    if (first) chart.on("plotly_click", (event) => pick(event.points[0].customdata));
  }

  function pick(trial) {
    if (typeof trial !== "string" || !(trial in trials)) return;
    picked = picked === trial ? null : trial;
    bar.hidden = picked === null;
    bar.firstElementChild.textContent = picked === null ? "" : `${picked}: ${trials[picked]}`;
    for (const row of document.querySelectorAll("tr[data-trial]"))
      row.classList.toggle("picked", row.dataset.trial === picked);
    for (const chart of drawn.keys()) draw(chart);
  }

  for (const cell of document.querySelectorAll("td.name")) {
    const trial = cell.textContent.trim().split(" ")[0];
    if (!Object.hasOwn(trials, trial)) continue;
    cell.parentElement.dataset.trial = trial;
    cell.parentElement.addEventListener("click", () => pick(trial));
  }
  bar.lastElementChild.addEventListener("click", () => pick(picked));

  const charts = [...document.querySelectorAll(".chart")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const chart of charts) {
    const spec = JSON.parse(document.getElementById(`spec-${chart.dataset.name}`).textContent);
    const narrow = chart.clientWidth < 560 && spec.layout.meta && spec.layout.meta.stacked;
    chart.style.height = `${(narrow && narrow.height) || spec.layout.height || 340}px`;
    seen.observe(chart);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const chart of drawn.keys()) draw(chart); });
  addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details")) each.open = true; });
  page.dataset.ready = String(charts.length);
})();
