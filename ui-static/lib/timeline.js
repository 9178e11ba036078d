// The timeline's arithmetic: clocks to pixels and back, zoom and pan, and the list of what to draw. No canvas here.

export function toX(clock, range, width) {
  return ((clock - range[0]) / (range[1] - range[0])) * width;
}

export function toClock(x, range, width) {
  const clock = range[0] + (x / width) * (range[1] - range[0]);
  return Math.round(Math.min(range[1], Math.max(range[0], clock)));
}

const smallest = 64; // clocks in view

function fitted(from, to, end) {
  const size = Math.min(end, Math.max(smallest, to - from));
  from = Math.min(Math.max(0, from), end - size);
  return [Math.round(from), Math.round(from + size)];
}

// Zoom by a factor around a clock; below 1 is closer. null: all of the run is in view.
export function zoom(range, factor, around, end) {
  const size = (range[1] - range[0]) * factor;
  if (size >= end) return null;
  const left = (around - range[0]) / (range[1] - range[0]);
  return fitted(around - left * size, around + (1 - left) * size, end);
}

export function pan(range, by, end) {
  const shift = (range[1] - range[0]) * by;
  return fitted(range[0] + shift, range[1] + shift, end);
}

export function around(clock, share, end) {
  const half = (end * share) / 2;
  return fitted(clock - half, clock + half, end);
}

// Marks that would fall on the same pixel, merged: [{x, count, mark}]. marks are in order of clock.
export function merged(marks, range, width, gap = 2) {
  const out = [];
  for (const mark of marks) {
    const clock = Number(mark.clock);
    if (clock < range[0] || clock > range[1]) continue;
    const x = Math.round(toX(clock, range, width));
    const last = out[out.length - 1];
    const count = Number(mark.count ?? 1);
    if (last && x - last.x < gap) last.count += count;
    else out.push({ x, count, mark });
  }
  return out;
}

// The nearest mark within reach pixels of x, or null.
export function nearest(items, x, reach = 4) {
  let best = null;
  for (const item of items) if (Math.abs(item.x - x) <= reach && (!best || Math.abs(item.x - x) < Math.abs(best.x - x))) best = item;
  return best;
}

// Many marks look better as a histogram: [{x, height 0..1}].
export function histogram(marks, range, width, step = 4) {
  const counts = new Array(Math.ceil(width / step)).fill(0);
  for (const mark of marks) {
    const clock = Number(mark.clock);
    if (clock < range[0] || clock > range[1]) continue;
    counts[Math.min(counts.length - 1, Math.floor(toX(clock, range, width) / step))]++;
  }
  const most = Math.max(1, ...counts);
  return counts.map((n, i) => ({ x: i * step, height: n / most })).filter((bar) => bar.height > 0);
}

// What is not indexed, as it lies in a range: [{x, width}].
export function hatches(missing, range, width) {
  const out = [];
  for (const m of missing) {
    const a = Math.max(0, toX(Number(m.from_clock), range, width));
    const b = Math.min(width, toX(Number(m.to_clock), range, width));
    if (b > a) out.push({ x: a, width: b - a });
  }
  return out;
}

export const lane = { overview: 22, row: 16, label: 64, pad: 12 };

/*
 * What to draw. data: {end, missing [{from_clock, to_clock}], buckets, overviewEvents, tasks, events, outputs, finding, questions: [{label, count, rows, mark}]},
 * view: {width (of the plot), range, now (clock or null), selectedRange}. Returns {height, lanes: [{name, y, height, kind, items}], nowX}.
 */
export function layout(data, view) {
  const lanes = [];
  let y = 0;
  const add = (name, kind, height, items, more = {}) => {
    lanes.push({ name, kind, y, height, items, ...more });
    y += height;
  };
  const most = Math.max(1, ...(data.buckets ?? []).map(Number));
  const all = [0, data.end];
  add("all", "busy", lane.overview, (data.buckets ?? []).map((n, i, list) => ({
    x: (i / list.length) * view.width, width: view.width / list.length, height: Number(n) / most,
  })), { window: view.range[0] > 0 || view.range[1] < data.end ? view.range.map((c) => toX(c, all, view.width)) : null,
    missing: hatches(data.missing ?? [], all, view.width) });
  const spans = [];
  const names = new Map();
  for (const task of data.tasks ?? []) {
    if (!names.has(task.tid)) names.set(task.tid, names.size);
    for (const [from, to] of task.spans ?? []) {
      const a = Math.max(0, toX(Number(from), view.range, view.width));
      const b = Math.min(view.width, toX(Number(to), view.range, view.width));
      if (b >= 0 && a <= view.width) spans.push({ x: a, width: Math.max(1, b - a), colour: names.get(task.tid), mark: task });
    }
  }
  add("tasks", "spans", lane.row, spans, { missing: hatches(data.missing ?? [], view.range, view.width) });
  add("events", "ticks", lane.row, merged(data.events ?? [], view.range, view.width, 3));
  add("out", "outputs", lane.row, merged(data.outputs ?? [], view.range, view.width, 3));
  if (data.finding) add("alert", "alert", lane.row, merged([data.finding], view.range, view.width));
  (data.questions ?? []).forEach((q, i) => {
    const many = q.rows.length > view.width / 6;
    add(`?${i + 1}`, many ? "histogram" : "hits", lane.row,
      many ? histogram(q.rows, view.range, view.width) : merged(q.rows, view.range, view.width, 2),
      { label: q.label, count: q.count, rows: q.rows });
  });
  const nowX = view.now === null ? null : toX(view.now, view.range, view.width);
  const nowAll = view.now === null ? null : toX(view.now, all, view.width);
  return { height: y, lanes, nowX, nowAll };
}
