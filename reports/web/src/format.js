// Numbers as a reader wants them: three digits that mean something.

export function trimmed(v, digits) {
  const s = v.toFixed(digits);
  return s.includes(".") ? s.replace(/\.?0+$/, "") : s;
}

export function rate(v) {
  if (v == null) return "–";
  const a = Math.abs(v);
  if (a >= 99.95) return Math.round(v).toLocaleString("en-US");
  return trimmed(v, a >= 9.995 ? 1 : 2);
}

export function millis(v) {
  if (v == null) return "–";
  const a = Math.abs(v);
  if (a >= 9995) return trimmed(v / 1000, 1) + " s";
  if (a >= 999.5) return trimmed(v / 1000, 2) + " s";
  return trimmed(v, a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2) + " ms";
}

export function percent(ratio) {
  if (ratio == null) return "–";
  const p = ratio * 100;
  return trimmed(p, Math.abs(p) < 9.95 ? 1 : 0) + "%";
}

export function clock(s) {
  if (s < 120) return trimmed(s, 0) + " s";
  const m = Math.floor(s / 60);
  return m + ":" + String(Math.round(s % 60)).padStart(2, "0");
}

// amount writes a quantity of a profile in its unit.
export function amount(v, unit) {
  if (unit === "nanoseconds") {
    if (v >= 999.5e6) return trimmed(v / 1e9, 2) + " s";
    if (v >= 999.5e3) return trimmed(v / 1e6, 2) + " ms";
    if (v >= 999.5) return trimmed(v / 1e3, 1) + " µs";
    return trimmed(v, 0) + " ns";
  }
  if (unit === "bytes") {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (v >= 1023.5 && i < units.length - 1) { v /= 1024; i++; }
    return trimmed(v, i > 0 && v < 99.95 ? 1 : 0) + " " + units[i];
  }
  return rate(v) + (unit ? " " + unit : "");
}
