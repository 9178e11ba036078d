// Which rows of a long list are on the screen. Browsers end a scroll height at 33.5 million pixels, so beyond
// `most` the scroll bar stands for the list in proportion.

const most = 16_000_000;

// list: {rows, rowHeight, blockAfter (row index or -1), blockHeight}; the block is one taller thing between two rows.
export function heights(list) {
  const total = list.rows * list.rowHeight + (list.blockAfter >= 0 ? list.blockHeight : 0);
  return { total, scroll: Math.min(total, most) };
}

function offsetOf(list, scrollTop, view) {
  const { total, scroll } = heights(list);
  if (total === scroll) return scrollTop;
  return (scrollTop / Math.max(1, scroll - view)) * (total - view);
}

// First and last (exclusive) row to draw, and the y of the first within the scrolled content.
export function windowOf(list, scrollTop, view, spare = 4) {
  const offset = Math.max(0, offsetOf(list, scrollTop, view));
  const h = list.rowHeight;
  const blockTop = list.blockAfter >= 0 ? (list.blockAfter + 1) * h : Infinity;
  const blockHeight = list.blockAfter >= 0 ? list.blockHeight : 0;
  const rowAt = (y) => (y < blockTop ? y / h : y < blockTop + blockHeight ? blockTop / h : (y - blockHeight) / h);
  const first = Math.max(0, Math.floor(rowAt(offset)) - spare);
  const last = Math.min(list.rows, Math.ceil(rowAt(offset + view)) + spare);
  return { first, last: Math.max(first, last), y: scrollTop + (topOf(list, first) - offset) };
}

// Pixels from the top of the whole list to a row.
export function topOf(list, row) {
  return row * list.rowHeight + (list.blockAfter >= 0 && row > list.blockAfter ? list.blockHeight : 0);
}

// The scrollTop that shows the row at a share of the view (0 top, 0.5 middle).
export function scrollTo(list, row, view, share = 0.4) {
  const { total, scroll } = heights(list);
  const wanted = Math.max(0, Math.min(total - view, topOf(list, row) - (view - list.rowHeight) * share));
  return total === scroll ? wanted : (wanted / Math.max(1, total - view)) * (scroll - view);
}

// Is the row wholly on the screen?
export function isVisible(list, row, scrollTop, view) {
  const offset = offsetOf(list, scrollTop, view);
  const top = topOf(list, row);
  return top >= offset && top + list.rowHeight <= offset + view;
}
