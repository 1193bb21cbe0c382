// Colours of the charts. Lines differ in lightness and dash as well as in hue,
// and have a contrast of 3:1 at least to the card they are drawn on.

const light = {
  ink: "#1b1d21", soft: "#5b616b", grid: "#ececee", axis: "#c9ccd2", card: "#ffffff", invalid: "#8b919c",
  p50: "#1f8a70", p90: "#3a6fd8", p99: "#7b2fbe", limit: "#c0261c",
  capacity: "#17703f", interval: "rgba(23,112,63,.13)", ideal: "#8b919c", served: "#2455c4",
  band: "rgba(27,29,33,.035)", warm: "rgba(27,29,33,.16)", bad: "rgba(192,38,28,.08)",
  resources: ["#7b2fbe", "#c2600c", "#1f8a70", "#3a6fd8", "#b3446c", "#6b6f1a", "#4a5568", "#008299"],
};

const dark = {
  ink: "#e8eaee", soft: "#a3abb8", grid: "#272b33", axis: "#434955", card: "#1b1e24", invalid: "#868e9c",
  p50: "#5fd0ae", p90: "#8fb1ff", p99: "#d39bff", limit: "#ff8f85",
  capacity: "#7fd6a0", interval: "rgba(127,214,160,.16)", ideal: "#868e9c", served: "#8fb1ff",
  band: "rgba(255,255,255,.035)", warm: "rgba(255,255,255,.2)", bad: "rgba(255,143,133,.12)",
  resources: ["#d39bff", "#f5a25d", "#5fd0ae", "#8fb1ff", "#f191b4", "#c8cc6a", "#b6c0d0", "#5cc8dc"],
};

export const darkMode = window.matchMedia("(prefers-color-scheme: dark)");

// palette is the light one on paper, whatever the screen is.
export function palette(printing) {
  return !printing && darkMode.matches ? { ...dark, dark: true } : { ...light, dark: false };
}

// Go's standard library, by the first element of the import path. Its frames
// are grey, so that those of the service stand out.
const standard = new Set(("archive bufio bytes cmp compress container context crypto database debug embed encoding errors expvar flag fmt go hash " +
  "html image index internal io iter log maps math mime net os path plugin reflect regexp runtime slices sort strconv strings structs sync " +
  "syscall testing text time unicode unique unsafe vendor weak").split(" "));

function packageOf(name) {
  const head = name.split(/[([]/, 1)[0];
  const dot = head.indexOf(".", head.lastIndexOf("/") + 1);
  return dot < 0 ? head : head.slice(0, dot);
}

// frameColour gives each package a hue of its own.
export function frameColour(name, found, isDark) {
  if (found) return isDark ? "#a3530d" : "#ffb454";
  const pkg = packageOf(name);
  if (name === "all" || name === "root" || standard.has(pkg.split("/", 1)[0])) return isDark ? "#3a404b" : "#dfe2e7";
  let h = 7;
  for (let i = 0; i < pkg.length; i++) h = (h * 31 + pkg.charCodeAt(i)) >>> 0;
  const hue = (h * 47) % 360;
  return isDark ? `hsl(${hue} 38% 34%)` : `hsl(${hue} 62% 80%)`;
}

// changeColour is red for what has grown and blue for what has shrunk, the more the
// stronger, and grey for what may be chance.
export function changeColour(frame, found, isDark) {
  if (found) return isDark ? "#a3530d" : "#ffb454";
  if (!frame.sure || !(frame.value > 0)) return isDark ? "#3a404b" : "#dfe2e7";
  const part = (frame.after - frame.before) / frame.value; // -1 to 1
  const strength = Math.min(1, 0.25 + Math.abs(part));
  const hue = part > 0 ? 4 : 215;
  return isDark ? `hsl(${hue} ${30 + 35 * strength}% ${24 + 16 * strength}%)` : `hsl(${hue} ${55 + 25 * strength}% ${93 - 23 * strength}%)`;
}
