// Draws the charts of a report from the JSON that the page carries. Strings of
// the data reach the document through textContent and canvas text only.

import "uplot/dist/uPlot.min.css";
import "./report.css";
import * as charts from "./charts.js";
import { FlameView } from "./flame.js";
import { draw } from "./frame.js";
import { darkMode, palette } from "./palette.js";

// Width of a chart on paper, in CSS pixels: A4 and Letter less their margins.
const paper = 660;

const data = JSON.parse(document.getElementById("data").textContent);
const places = [...document.querySelectorAll("[data-chart]")].filter((p) => p.dataset.chart === "time" ? data.time : data.load);
const flames = data.flames && data.flames.length ? new FlameView(data.flames) : null;
const drawn = new Map();

document.documentElement.classList.add("js");

function drawAll(printing) {
  const colours = palette(printing);
  const width = printing ? paper : 0;
  for (const place of places) {
    const old = drawn.get(place);
    if (old) old.destroy();
    drawn.set(place, draw(place, charts[place.dataset.chart](data, colours), colours, width));
  }
  if (flames) flames.draw(colours, width);
}

function fit() {
  for (const [place, plot] of drawn) {
    const width = place.clientWidth;
    if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
  }
  if (flames && flames.place.clientWidth > 0 && flames.place.clientWidth !== flamesWidth) {
    flamesWidth = flames.place.clientWidth;
    flames.draw(flames.colours, 0);
  }
}

let flamesWidth = flames ? flames.place.clientWidth : 0;
let printing = false;
drawAll(false);

let due = false;
new ResizeObserver(() => {
  if (due || printing) return;
  due = true;
  requestAnimationFrame(() => { due = false; fit(); });
}).observe(document.body);

darkMode.addEventListener("change", () => drawAll(false));
window.addEventListener("beforeprint", () => { printing = true; drawAll(true); });
window.addEventListener("afterprint", () => { printing = false; drawAll(false); });
