// The flame graph and the table of functions beside it: of a step, or of the
// difference between two, for each request.

import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import { merged, selfTimes, single } from "./flametree.js";
import { amount, percent } from "./format.js";
import { changeColour, frameColour } from "./palette.js";

const rowHeight = 20; // px
const rows = 15; // functions in the table

function shortName(name) {
  const head = name.split(/[([]/, 1)[0];
  const slash = head.lastIndexOf("/");
  return slash >= 0 && slash + 1 < name.length ? name.slice(slash + 1) : name;
}

function cell(tag, text) {
  const el = document.createElement(tag);
  el.textContent = text;
  return el;
}

const signed = (v, unit) => (v > 0 ? "+" : v < 0 ? "−" : "") + amount(Math.abs(v), unit);

function row(name, cells, quiet) {
  const tr = document.createElement("tr");
  const head = cell("th", shortName(name) || "–");
  head.scope = "row";
  head.title = name;
  tr.append(head, ...cells.map((text) => cell("td", text)));
  if (quiet) tr.className = "chance";
  return tr;
}

function fill(picker, options, value) {
  picker.replaceChildren(...options.map(([v, text]) => {
    const option = cell("option", text);
    option.value = String(v);
    return option;
  }));
  picker.value = String(value);
}

export class FlameView {
  constructor(flames) {
    this.flames = flames;
    this.place = document.getElementById("flame");
    this.detail = document.getElementById("flame-detail");
    this.find = document.getElementById("flame-find");
    this.hint = this.detail.textContent;
    this.type = document.getElementById("flame-type");
    this.step = document.getElementById("flame-step");
    this.base = document.getElementById("flame-base");
    const types = [...new Set(flames.map((f) => f.type))];
    fill(this.type, types.map((t) => [t, t]), flames[0].type);
    this.type.addEventListener("change", () => this.choose());
    this.step.addEventListener("change", () => this.chooseBase());
    this.base.addEventListener("change", () => this.show());
    this.find.addEventListener("input", () => this.search());
    document.getElementById("flame-reset").addEventListener("click", () => this.chart.resetZoom());
    this.pick();
  }

  // of lists the flame graphs of the chosen type, as indexes.
  of() {
    return this.flames.map((f, i) => i).filter((i) => this.flames[i].type === this.type.value);
  }

  // pick fills the choice of steps for the type: the first is the one that is
  // worth most.
  pick() {
    const list = this.of();
    fill(this.step, list.map((i) => [i, this.flames[i].label]), list[0]);
    this.pickBase();
  }

  pickBase() {
    const list = this.of().filter((i) => String(i) !== this.step.value && this.flames[i].hits > 0);
    const able = this.flame().hits > 0 ? list : [];
    fill(this.base, [["", "nothing"], ...able.map((i) => [i, this.flames[i].label])], "");
    this.base.disabled = able.length === 0;
  }

  choose() {
    this.pick();
    this.show();
  }

  chooseBase() {
    const base = this.base.value;
    this.pickBase();
    if ([...this.base.options].some((o) => o.value === base)) this.base.value = base;
    this.show();
  }

  flame() {
    return this.flames[Number(this.step.value)];
  }

  before() {
    return this.base.value === "" ? null : this.flames[Number(this.base.value)];
  }

  show() {
    const flame = this.flame();
    const before = this.before();
    const count = (f) => f.samples.toLocaleString("en-US");
    document.getElementById("flame-lead").textContent = before
      ? `${flame.type} for each request: ${flame.label} against ${before.label}, from ${count(flame)} and ${count(before)} samples.`
      : `${flame.type} profile of ${flame.label}, from ${count(flame)} samples.`;
    this.fillTable(flame, before);
    this.draw(this.colours, this.width);
  }

  fillTable(flame, before) {
    const heads = before ? ["Function", "Before", "After", "Change"] : ["Function", "Itself", "With its calls", "Itself, per request"];
    document.querySelectorAll("#functions thead th").forEach((th, i) => { th.textContent = heads[i]; });
    document.getElementById("functions-title").textContent = before ? "Functions whose own cost for each request differs most" : "Functions that used most themselves";
    const body = document.querySelector("#functions tbody");
    if (!before) {
      body.replaceChildren(...(flame.table || []).map((f) => row(f.name, [f.self, f.cum, f.per])));
      return;
    }
    const list = selfTimes(before, flame).filter((f) => f.after !== f.before).sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before)).slice(0, rows);
    body.replaceChildren(...list.map((f) => row(f.name,
      [amount(f.before, flame.unit), amount(f.after, flame.unit), signed(f.after - f.before, flame.unit) + (f.sure ? "" : " (by chance?)")], !f.sure)));
  }

  describe(d) {
    const flame = this.flame();
    const x = d.data;
    if (this.before()) {
      return `${x.name}: ${amount(x.before, flame.unit)} a request before, ${amount(x.after, flame.unit)} after, ${signed(x.after - x.before, flame.unit)}${x.sure ? "" : ", which may be chance"}`;
    }
    const parts = [percent(x.value / flame.root.v), amount(x.value, flame.unit)];
    if (flame.hits > 0) parts.push(amount(x.value / flame.hits, flame.unit) + " per request");
    return `${x.name}: ${parts.join(", ")}`;
  }

  rest() {
    if (this.before()) return "A frame is as wide as both together. Red has grown, blue has shrunk, grey may be chance.";
    const left = this.flame().left;
    return this.hint + (left > 0 ? ` ${left.toLocaleString("en-US")} narrow or deep frames are left out.` : "");
  }

  draw(colours, width) {
    this.colours = colours;
    this.width = width;
    const flame = this.flame();
    const before = this.before();
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
      .setColorMapper((d) => (before ? changeColour(d.data, d.highlight, colours.dark) : frameColour(d.data.name, d.highlight, colours.dark)));
    select(this.place).datum(before ? merged(before, flame) : single(flame)).call(this.chart);
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
