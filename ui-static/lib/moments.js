// Moments: "EVENT:STEPS", totally ordered. Numbers may be larger than a double holds, so they stay text here.

const shape = /^\d{1,20}:\d{1,20}$/;

export function isMoment(text) {
  return shape.test(text ?? "");
}

// Any text the server understands as `at`.
export function isAt(text) {
  return isMoment(text) || /^@\d{1,20}$/.test(text ?? "") || text === "start" || text === "end";
}

function compareNumbers(a, b) {
  a = a.replace(/^0+(?=\d)/, "");
  b = b.replace(/^0+(?=\d)/, "");
  if (a.length !== b.length) return a.length < b.length ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function compareMoments(a, b) {
  const [ae, as] = a.split(":");
  const [be, bs] = b.split(":");
  return compareNumbers(ae, be) || compareNumbers(as, bs);
}

// How many of the rows (in order of time) lie before or at the moment: where the "now" line goes.
export function countUntil(rows, moment, of = (row) => row.moment) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareMoments(of(rows[middle]), moment) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

// How many of the rows lie before the moment. A write is done by the instruction at its moment: there, the old value
// still stands.
export function countBefore(rows, moment) {
  let n = countUntil(rows, moment);
  while (n > 0 && compareMoments(rows[n - 1].moment, moment) === 0) n--;
  return n;
}

// The hit before or after a moment, or null.
export function nextHit(rows, moment, back) {
  let i = countUntil(rows, moment);
  if (!back) return rows[i] ?? null;
  i--;
  while (i >= 0 && compareMoments(rows[i].moment, moment) === 0) i--;
  return rows[i] ?? null;
}
