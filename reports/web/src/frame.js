// Sets a chart up: axes, legend, what is shown under the pointer.

import uPlot from "uplot";

const svgNS = "http://www.w3.org/2000/svg";
const axisFont = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

function shape(name, attributes) {
  const el = document.createElementNS(svgNS, name);
  for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, String(v));
  return el;
}

// swatch is a bit of line, or a hollow point.
function swatch({ colour, dash, hollow }) {
  const svg = shape("svg", { width: 18, height: 10, "aria-hidden": true });
  svg.append(hollow
    ? shape("circle", { cx: 9, cy: 5, r: 3.5, fill: "none", stroke: colour, "stroke-width": 1.75 })
    : shape("line", { x1: 0, x2: 18, y1: 5, y2: 5, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash || "none" }));
  return svg;
}

function legend(items) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const item of items) {
    const li = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = item.name;
    li.append(swatch(item), name);
    list.append(li);
  }
  return list;
}

function tooltip(chart) {
  let box;
  const hide = () => { box.hidden = true; };
  return {
    hooks: {
      init: (u) => {
        box = document.createElement("div");
        box.className = "tip";
        box.hidden = true;
        u.over.append(box);
        u.over.addEventListener("mouseleave", hide);
      },
      setCursor: (u) => {
        const { idx, left } = u.cursor;
        if (idx == null || left < 0) return hide();
        const head = document.createElement("b");
        head.textContent = chart.head(idx);
        const lines = [...chart.rows].reverse().map((row) => {
          const line = document.createElement("div");
          const name = document.createElement("span");
          const value = document.createElement("span");
          name.textContent = row.name;
          value.textContent = chart.show(row.values[idx]);
          line.append(name, value);
          return line;
        });
        box.replaceChildren(head, ...lines);
        box.hidden = false;
        const width = u.over.clientWidth;
        const x = left + 14 + box.offsetWidth > width ? left - 14 - box.offsetWidth : left + 14;
        box.style.left = Math.max(0, Math.min(x, width - box.offsetWidth)) + "px";
        box.style.top = "8px";
      },
    },
  };
}

function axis(colours, more) {
  return {
    stroke: colours.soft, font: axisFont, labelFont: axisFont,
    grid: { stroke: colours.grid, width: 1 }, ticks: { stroke: colours.axis, width: 1, size: 4 }, border: { show: true, stroke: colours.axis, width: 1 }, gap: 5, ...more,
  };
}

// draw puts a chart into place, in the width given or that of its place.
export function draw(place, chart, colours, width) {
  const items = [...chart.rows.map((r) => ({ name: r.name, colour: r.colour })), ...chart.legend];
  const hollow = chart.rows.some((r) => r.drawn.some((v, i) => v == null && r.values[i] != null));
  if (hollow) items.push({ name: "not valid", colour: colours.invalid, hollow: true });
  const list = legend(items);
  place.replaceChildren(list);
  const height = place.classList.contains("tall") ? 320 : 250;
  return new uPlot({
    width: width || place.clientWidth, height, padding: [chart.topSpace || 10, 20, 0, 0], legend: { show: false },
    scales: chart.scales,
    axes: [
      axis(colours, { label: chart.xLabel, labelSize: 22, labelGap: 2, size: 30, space: 55, ...chart.xAxis }),
      axis(colours, { space: 34, ...chart.yAxis }),
    ],
    series: [{}, ...chart.rows.map((r) => ({ label: r.name, stroke: r.colour, width: 2, spanGaps: true, points: { show: false } }))],
    cursor: { drag: { setScale: false, x: false, y: false }, y: false, points: { size: 7 } },
    plugins: [{ hooks: { drawClear: chart.under, draw: chart.over } }, tooltip(chart)],
  }, [chart.x, ...chart.rows.map((r) => r.drawn)], place);
}
