// The four charts. Each takes the page's data and a palette and returns what
// frame.js needs to set it up.

import { clock, millis, percent, rate } from "./format.js";
import { bandLabels, curve, diagonal, hatch, horizontal, points, vertical, verticalBand } from "./paint.js";

const finite = (values) => values.filter((v) => v != null && Number.isFinite(v));

// where keeps the values of valid steps and leaves gaps at the others.
const where = (values, valid) => values.map((v, i) => (valid[i] ? v : null));

// Latencies that span more than this factor are shown on a logarithmic axis.
const logFactor = 20;

function latencyScale(values, limits) {
  const positive = finite(values).filter((v) => v > 0);
  if (positive.length === 0) return { distr: 1, range: () => [0, 1] };
  const low = Math.min(...positive);
  const high = Math.max(...positive);
  // An objective far above everything measured would flatten the curves.
  const near = limits.filter((v) => v > 0 && v < high * 4);
  const top = Math.max(high, ...near);
  const bottom = Math.min(low, ...near);
  if (high / low <= logFactor) return { distr: 1, range: () => [0, top * 1.15] };
  return { distr: 3, log: 10, range: () => [nice(bottom / 1.15, -1), nice(top * 1.15, 1)] };
}

// nice is the next 1, 2 or 5 times a power of ten, downwards or upwards.
function nice(v, direction) {
  const decade = 10 ** Math.floor(Math.log10(v));
  const steps = direction > 0 ? [1, 2, 5, 10] : [5, 2, 1];
  for (const s of steps) {
    if (direction > 0 ? s * decade >= v : s * decade <= v) return s * decade;
  }
  return decade;
}

function latencyAxis(scale) {
  const axis = { values: (u, splits) => splits.map((v) => (v == null ? "" : millis(v))), size: 58 };
  if (scale.distr === 3) {
    axis.splits = (u, i, min, max) => {
      const out = [];
      // As many labels as there is room for, of 24 px each.
      const room = u.bbox.height / devicePixelRatio / 24;
      const decades = Math.log10(max / min);
      const multiples = decades * 3 <= room ? [1, 2, 5] : decades * 2 <= room ? [1, 3] : [1];
      for (let d = 10 ** Math.floor(Math.log10(min)); d <= max; d *= 10) {
        for (const m of multiples) if (d * m >= min * 0.999 && d * m <= max * 1.001) out.push(d * m);
      }
      return out;
    };
    axis.filter = (u, splits) => splits;
  }
  return axis;
}

// loadScale has room for the capacity, which may lie above all that was offered.
function loadScale(xs, capacity) {
  const top = Math.max(...finite(xs), ...(capacity ? finite([capacity.value, capacity.high]) : []));
  return { time: false, range: () => [0, top * 1.04] };
}

const capacityText = (c, unit) => {
  const sign = { above: "at least ", below: "below " }[c.bound] || "";
  return `capacity ${sign}${rate(c.value)} ${unit}${c.bound === "predicted" ? ", predicted" : ""}`;
};

function drawCapacityBand(u, capacity, colours) {
  if (capacity && (!capacity.bound || capacity.bound === "predicted") && capacity.high > capacity.low) verticalBand(u, capacity.low, capacity.high, colours.interval);
}

function drawCapacity(u, capacity, colours, text) {
  if (capacity && capacity.value != null) vertical(u, capacity.value, text, colours.capacity, colours.card);
}

// forLoad drops the capacity from charts over users: it is in requests/s.
const forLoad = (data) => (data.load.unit === "req/s" ? data.capacity : null);

export function response(data, colours) {
  const d = data.load;
  const limits = data.limits || [];
  const capacity = forLoad(data);
  const rows = ["p50", "p90", "p99"].map((name) => ({ name, values: d[name], colour: colours[name] }))
    .filter((row) => row.values.some((v) => v != null)); // a table may not have them all
  const foretold = (capacity && capacity.p99) || [];
  const scale = latencyScale([...rows.flatMap((r) => r.values), ...foretold], limits.map((l) => l.ms));
  return {
    x: d.x, rows: rows.map((r) => ({ ...r, drawn: where(r.values, d.valid) })),
    scales: { x: loadScale(d.x, capacity), y: scale }, yAxis: latencyAxis(scale), xLabel: loadLabel(d.unit),
    show: millis, head: (i) => `step ${d.step[i]}, ${rate(d.x[i])} ${d.unit}${d.valid[i] ? "" : " (invalid)"}`,
    legend: [
      ...(foretold.length ? [{ name: "p99 as predicted", colour: colours.p99, dash: "2 3" }] : []),
      ...(limits.length ? [{ name: "objective", colour: colours.limit, dash: "5 3" }] : []),
    ],
    under: (u) => drawCapacityBand(u, capacity, colours),
    over: (u) => {
      if (foretold.length) curve(u, capacity.x, foretold, colours.p99);
      for (const r of rows) points(u, d.x, r.values, d.valid, r.colour, colours.invalid, colours.card);
      for (const l of limits) horizontal(u, l.ms, l.text, colours.limit, colours.card);
      drawCapacity(u, capacity, colours, capacity ? capacityText(capacity, "req/s") : "");
    },
  };
}

const loadLabel = (unit) => (unit === "users" ? "users" : "offered load, req/s");

export function throughput(data, colours) {
  const d = data.load;
  const capacity = forLoad(data);
  const top = Math.max(...finite(d.throughput), ...(d.unit === "users" ? [] : finite(d.x)), ...(capacity ? finite([capacity.value]) : []));
  const row = { name: "served", values: d.throughput, colour: colours.served };
  return {
    x: d.x, rows: [{ ...row, drawn: where(row.values, d.valid) }],
    scales: { x: loadScale(d.x, capacity), y: { distr: 1, range: () => [0, top * 1.06 || 1] } },
    yAxis: { values: (u, splits) => splits.map(rate), size: 52 }, xLabel: loadLabel(d.unit),
    show: (v) => rate(v) + " req/s", head: (i) => `step ${d.step[i]}, ${rate(d.x[i])} ${d.unit}${d.valid[i] ? "" : " (invalid)"}`,
    legend: d.unit === "users" ? [] : [{ name: "all that was offered", colour: colours.ideal, dash: "3 3" }],
    under: (u) => drawCapacityBand(u, capacity, colours),
    over: (u) => {
      if (d.unit !== "users") diagonal(u, colours.ideal);
      points(u, d.x, d.throughput, d.valid, row.colour, colours.invalid, colours.card);
      drawCapacity(u, capacity, colours, "capacity");
    },
  };
}

export function resources(data, colours) {
  const d = data.load;
  const capacity = forLoad(data);
  // More lines than colours cannot be told apart; the table has them all.
  const rows = d.resources.slice(0, colours.resources.length).map((r, i) => ({ name: r.name, values: r.share, colour: colours.resources[i] }));
  const top = Math.max(1, ...rows.flatMap((r) => finite(r.values)));
  return {
    x: d.x, rows: rows.map((r) => ({ ...r, drawn: where(r.values, d.valid) })),
    scales: { x: loadScale(d.x, capacity), y: { distr: 1, range: () => [0, top * 1.12] } },
    yAxis: { values: (u, splits) => splits.map(percent), size: 52 }, xLabel: loadLabel(d.unit),
    show: percent, head: (i) => `step ${d.step[i]}, ${rate(d.x[i])} ${d.unit}${d.valid[i] ? "" : " (invalid)"}`,
    legend: [],
    under: (u) => drawCapacityBand(u, capacity, colours),
    over: (u) => {
      horizontal(u, 1, "limit", colours.limit, colours.card);
      for (const r of rows) points(u, d.x, r.values, d.valid, r.colour, colours.invalid, colours.card);
      drawCapacity(u, capacity, colours, "capacity");
    },
  };
}

export function time(data, colours) {
  const d = data.time;
  const limits = data.limits || [];
  const rows = ["p50", "p99"].map((name) => ({ name, values: d[name], drawn: d[name], colour: colours[name] }));
  const scale = latencyScale(rows.flatMap((r) => r.values), limits.map((l) => l.ms));
  const last = d.t[d.t.length - 1] + d.every;
  const at = (t) => d.bands.find((b) => t >= b.from && t < b.to);
  return {
    x: d.t, rows,
    scales: { x: { time: false, range: () => [Math.min(d.t[0], 0), last] }, y: scale }, yAxis: latencyAxis(scale),
    xAxis: { values: (u, splits) => splits.map(clock), incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400] }, xLabel: "time since the drill began",
    show: millis, head: (i) => clock(d.t[i]) + (at(d.t[i]) ? `, ${at(d.t[i]).label}` : ""),
    legend: limits.length ? [{ name: "objective", colour: colours.limit, dash: "5 3" }] : [],
    topSpace: 22,
    under: (u) => d.bands.forEach((b, i) => {
      if (!b.valid) verticalBand(u, b.from, b.to, colours.bad);
      else if (i % 2) verticalBand(u, b.from, b.to, colours.band);
      if (b.warm > b.from) hatch(u, b.from, b.warm, colours.warm);
    }),
    over: (u) => {
      for (const l of limits) horizontal(u, l.ms, l.text, colours.limit, colours.card);
      bandLabels(u, d.bands, colours.soft, colours.card);
    },
  };
}
