// What uPlot does not draw by itself: bands, limits, labels and points.

import uPlot from "uplot";

const font = (px) => `${px * uPlot.pxRatio}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`;

function inPlot(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox);
  ctx.restore();
}

// label writes text with a halo in the colour of the card, so that lines that
// pass behind it do not make it unreadable.
function label(ctx, text, x, y, colour, card, align) {
  ctx.font = font(12);
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * uPlot.pxRatio;
  ctx.strokeStyle = card;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

export function verticalBand(u, from, to, fill) {
  inPlot(u, (ctx, box) => {
    const a = u.valToPos(from, "x", true);
    const b = u.valToPos(to, "x", true);
    ctx.fillStyle = fill;
    ctx.fillRect(a, box.top, Math.max(b - a, 1), box.height);
  });
}

export function hatch(u, from, to, colour) {
  inPlot(u, (ctx, box) => {
    const a = u.valToPos(from, "x", true);
    const b = u.valToPos(to, "x", true);
    ctx.beginPath();
    ctx.rect(a, box.top, b - a, box.height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.lineWidth = uPlot.pxRatio;
    const gap = 6 * uPlot.pxRatio;
    ctx.beginPath();
    // Lines start on one grid, so that neighbouring bands join without a seam.
    for (let x = Math.floor((a - box.height) / gap) * gap; x < b; x += gap) {
      ctx.moveTo(x, box.top + box.height);
      ctx.lineTo(x + box.height, box.top);
    }
    ctx.stroke();
  });
}

export function horizontal(u, value, text, colour, card) {
  inPlot(u, (ctx, box) => {
    const y = Math.round(u.valToPos(value, "y", true));
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    ctx.setLineDash([6 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(box.left, y);
    ctx.lineTo(box.left + box.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    const above = y - box.top > 20 * uPlot.pxRatio;
    label(ctx, text, box.left + 8 * uPlot.pxRatio, above ? y - 6 * uPlot.pxRatio : y + 15 * uPlot.pxRatio, colour, card, "left");
  });
}

export function vertical(u, value, text, colour, card) {
  inPlot(u, (ctx, box) => {
    const x = Math.round(u.valToPos(value, "x", true));
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    ctx.beginPath();
    ctx.moveTo(x, box.top);
    ctx.lineTo(x, box.top + box.height);
    ctx.stroke();
    ctx.font = font(12);
    const left = x - box.left > ctx.measureText(text).width + 14 * uPlot.pxRatio;
    const gap = 7 * uPlot.pxRatio;
    label(ctx, text, left ? x - gap : x + gap, box.top + 15 * uPlot.pxRatio, colour, card, left ? "right" : "left");
  });
}

// curve is a dotted line through points that were not measured.
export function curve(u, xs, ys, colour) {
  inPlot(u, (ctx) => {
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    ctx.setLineDash([2 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
    ctx.beginPath();
    let drawing = false;
    xs.forEach((x, i) => {
      if (x == null || ys[i] == null || !(ys[i] > 0)) return;
      const at = [u.valToPos(x, "x", true), u.valToPos(ys[i], "y", true)];
      if (drawing) ctx.lineTo(...at);
      else ctx.moveTo(...at);
      drawing = true;
    });
    ctx.stroke();
  });
}

export function diagonal(u, colour) {
  inPlot(u, (ctx) => {
    const top = Math.min(u.scales.x.max, u.scales.y.max);
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.25 * uPlot.pxRatio;
    ctx.setLineDash([3 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(u.valToPos(0, "x", true), u.valToPos(0, "y", true));
    ctx.lineTo(u.valToPos(top, "x", true), u.valToPos(top, "y", true));
    ctx.stroke();
  });
}

// points are filled where the step is valid and hollow where it is not.
export function points(u, xs, ys, valid, colour, hollow, card) {
  const { ctx } = u;
  ctx.save();
  const r = 3.5 * uPlot.pxRatio;
  for (let i = 0; i < xs.length; i++) {
    if (ys[i] == null || ys[i] < u.scales.y.min || ys[i] > u.scales.y.max) continue;
    ctx.beginPath();
    ctx.arc(u.valToPos(xs[i], "x", true), u.valToPos(ys[i], "y", true), r, 0, 2 * Math.PI);
    ctx.fillStyle = valid[i] ? colour : card;
    ctx.strokeStyle = valid[i] ? card : hollow;
    ctx.lineWidth = (valid[i] ? 1 : 1.75) * uPlot.pxRatio;
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

export function bandLabels(u, bands, colour, card) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = font(11);
  let free = bbox.left;
  for (const b of bands) {
    const from = Math.max(u.valToPos(b.from, "x", true), bbox.left);
    const to = Math.min(u.valToPos(b.to, "x", true), bbox.left + bbox.width);
    const middle = (from + to) / 2;
    const width = ctx.measureText(b.label).width;
    if (width > to - from - 4 * uPlot.pxRatio || middle - width / 2 < free) continue;
    ctx.textAlign = "center";
    ctx.textBaseline = "alphabetic";
    ctx.fillStyle = colour;
    ctx.fillText(b.label, middle, bbox.top - 6 * uPlot.pxRatio);
    free = middle + width / 2 + 6 * uPlot.pxRatio;
  }
  ctx.restore();
}
