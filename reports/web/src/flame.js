// The flame graph and the table of functions beside it.

import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import { amount, percent } from "./format.js";
import { frameColour } from "./palette.js";

const rowHeight = 20; // px

function shortName(name) {
  const head = name.split(/[([]/, 1)[0];
  const slash = head.lastIndexOf("/");
  return slash >= 0 && slash + 1 < name.length ? name.slice(slash + 1) : name;
}

// tree makes the objects that d3-flame-graph wants, anew for each drawing: it
// keeps its own state in them.
function tree(flame, frame) {
  return { name: flame.names[frame.n], value: frame.v, children: (frame.c || []).map((c) => tree(flame, c)) };
}

function cell(tag, text) {
  const el = document.createElement(tag);
  el.textContent = text;
  return el;
}

function fillTable(flame) {
  const body = document.querySelector("#functions tbody");
  body.replaceChildren(...(flame.table || []).map((f) => {
    const row = document.createElement("tr");
    const name = cell("th", f.short);
    name.scope = "row";
    name.title = f.name;
    row.append(name, cell("td", f.self), cell("td", f.cum), cell("td", f.per));
    return row;
  }));
}

export class FlameView {
  constructor(flames) {
    this.flames = flames;
    this.shown = 0;
    this.place = document.getElementById("flame");
    this.detail = document.getElementById("flame-detail");
    this.find = document.getElementById("flame-find");
    this.hint = this.detail.textContent;
    const picker = document.getElementById("flame-select");
    if (picker) picker.addEventListener("change", () => this.show(Number(picker.value)));
    this.find.addEventListener("input", () => this.search());
    document.getElementById("flame-reset").addEventListener("click", () => this.chart.resetZoom());
  }

  show(index) {
    this.shown = index;
    const flame = this.flames[index];
    const samples = flame.samples.toLocaleString("en-US");
    document.getElementById("flame-lead").textContent = `${flame.type} profile of ${flame.label}, from ${samples} samples.`;
    fillTable(flame);
    this.draw(this.colours, this.width);
  }

  describe(d) {
    const flame = this.flames[this.shown];
    const value = d.data.value;
    const parts = [percent(value / flame.root.v), amount(value, flame.unit)];
    if (flame.hits > 0) parts.push(amount(value / flame.hits, flame.unit) + " per request");
    return `${d.data.name}: ${parts.join(", ")}`;
  }

  rest() {
    const left = this.flames[this.shown].left;
    return this.hint + (left > 0 ? ` ${left.toLocaleString("en-US")} narrow or deep frames are left out.` : "");
  }

  draw(colours, width) {
    this.colours = colours;
    this.width = width;
    const flame = this.flames[this.shown];
    this.place.replaceChildren();
    this.detail.textContent = this.rest();
    this.chart = flamegraph()
      .width(width || this.place.clientWidth).cellHeight(rowHeight).inverted(true).transitionDuration(0).minFrameSize(1).resetHeightOnZoom(true)
      .getName((d) => (d.depth === 0 && d.data.name === "root" ? "all" : shortName(d.data.name)))
      .onClick(() => this.settle())
      .setLabelHandler((d) => this.describe(d))
      .setDetailsHandler((text) => { this.detail.textContent = text || this.rest(); })
      .setSearchMatch((d, term) => term !== "" && d.data.name.toLowerCase().includes(term.toLowerCase()))
      .setSearchHandler((found, sum, total) => { this.detail.textContent = `${percent(total ? sum / total : 0)} in ${found.length} matching frames.`; })
      .setColorMapper((d) => frameColour(d.data.name, d.highlight, colours.dark));
    select(this.place).datum(tree(flame, flame.root)).call(this.chart);
    this.settle();
    if (this.find.value) this.search();
  }

  // settle ends the movements that d3-flame-graph always begins, since a page
  // that is printed has no time for them, and takes away the rows that it keeps
  // free for a title.
  settle() {
    let depth = 0;
    const getName = this.chart.getName();
    select(this.place).selectAll("g.frame").each(function (d) {
      depth = Math.max(depth, d.depth);
      const frame = select(this);
      frame.select("rect").interrupt().attr("width", this.getAttribute("width"));
      frame.select("div").interrupt().text(getName(d));
    });
    select(this.place).select("svg").attr("height", (depth + 1) * rowHeight + 1);
  }

  search() {
    const term = this.find.value.trim();
    if (term) this.chart.search(term);
    else this.chart.clear();
    this.settle();
  }
}
