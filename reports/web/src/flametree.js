// Trees of frames as d3-flame-graph wants them, made anew for each drawing: it
// keeps its own state in them.

// single is the tree of one flame graph.
export function single(flame, frame = flame.root) {
  return { name: flame.names[frame.n], value: frame.v, children: (frame.c || []).map((c) => single(flame, c)) };
}

// surely says whether two costs of a request differ beyond chance, two standard
// errors of what was sampled: a value that n samples stand for has an error of
// value/sqrt(n).
function surely(before, after, eachBefore, eachAfter) {
  const variance = Math.max(before, eachBefore) * eachBefore + Math.max(after, eachAfter) * eachAfter;
  return Math.abs(after - before) > 2 * Math.sqrt(variance);
}

// each is what one sample of a flame graph stands for, per request.
const each = (flame) => flame.root.v / Math.max(flame.samples, 1) / flame.hits;

// merged is the tree of two flame graphs, for each request. A frame is as wide as
// both together, so that what is gone is seen as well as what is new.
export function merged(before, after) {
  const join = (name, a, b) => {
    const x = { name, before: a ? a.v / before.hits : 0, after: b ? b.v / after.hits : 0, children: [] };
    x.value = x.before + x.after;
    x.sure = surely(x.before, x.after, each(before), each(after));
    const pairs = new Map();
    for (const c of (a && a.c) || []) pairs.set(before.names[c.n], [c, null]);
    for (const c of (b && b.c) || []) {
      const key = after.names[c.n];
      pairs.set(key, [pairs.has(key) ? pairs.get(key)[0] : null, c]);
    }
    for (const [key, [ca, cb]] of pairs) x.children.push(join(key, ca, cb));
    return x;
  };
  return join(after.names[after.root.n], before.root, after.root);
}

// selfTimes lists what each function costs a request itself, before and after.
export function selfTimes(before, after) {
  const all = new Map();
  const add = (flame, side) => {
    const walk = (frame) => {
      const name = flame.names[frame.n];
      let own = frame.v;
      for (const c of frame.c || []) {
        own -= c.v;
        walk(c);
      }
      if (!all.has(name)) all.set(name, { name, before: 0, after: 0 });
      all.get(name)[side] += own / flame.hits;
    };
    walk(flame.root);
  };
  add(before, "before");
  add(after, "after");
  return [...all.values()].map((f) => ({ ...f, sure: surely(f.before, f.after, each(before), each(after)) }));
}
