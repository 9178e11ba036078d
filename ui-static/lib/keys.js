// The keys: one table. Help shows it, the page obeys it, the tests walk it.
// key: as in KeyboardEvent.key; shift means the same backwards when back is set.

export const keys = [
  { group: "Move", key: "n", action: "line", back: true, help: "next line, over calls" },
  { group: "Move", key: "i", action: "into", back: true, help: "next line, into calls" },
  { group: "Move", key: "o", action: "out", back: true, help: "out of this function" },
  { group: "Move", key: "x", action: "insn", back: true, help: "one instruction" },
  { group: "Move", key: "e", action: "event", back: true, help: "next event" },
  { group: "Move", key: ".", action: "hit", help: "next answer of the question" },
  { group: "Move", key: ",", action: "hitBack", help: "previous answer of the question" },
  { group: "Move", key: "u", action: "up", help: "up the stack, to the caller" },
  { group: "Move", key: "d", action: "down", help: "down the stack" },
  { group: "Move", key: "Backspace", action: "back", help: "where you were before" },
  { group: "Ask", key: "/", action: "ask", help: "ask: a name, a moment, a question" },
  { group: "Ask", key: ":", action: "sql", help: "ask in SQL" },
  { group: "Ask", key: "g", action: "goto", help: "go to a moment" },
  { group: "Ask", key: "w", action: "blame", help: "who wrote the selected value" },
  { group: "Ask", key: "p", action: "print", help: "a print statement at this line" },
  { group: "Ask", key: "c", action: "calls", help: "all calls of this function" },
  { group: "Ask", key: "l", action: "lines", help: "all runs of this line" },
  { group: "Look", key: "t", action: "timeline", help: "to the timeline" },
  { group: "Look", key: "1", action: "view1", help: "History" },
  { group: "Look", key: "2", action: "view2", help: "Prints" },
  { group: "Look", key: "3", action: "view3", help: "Calls" },
  { group: "Look", key: "4", action: "view4", help: "Lines" },
  { group: "Look", key: "5", action: "view5", help: "Output" },
  { group: "Look", key: "6", action: "view6", help: "Events" },
  { group: "Look", key: "7", action: "view7", help: "SQL" },
  { group: "Look", key: "y", action: "copy", help: "copy the question as a command" },
  { group: "Look", key: "?", action: "help", help: "this table" },
  // By position on the keyboard, as in a game: these are KeyboardEvent.code.
  { group: "Timeline, when it has the focus", where: "timeline", code: "KeyW", key: "w", action: "zoomIn", help: "closer" },
  { group: "Timeline, when it has the focus", where: "timeline", code: "KeyS", key: "s", action: "zoomOut", help: "wider" },
  { group: "Timeline, when it has the focus", where: "timeline", code: "KeyA", key: "a", action: "panLeft", help: "earlier" },
  { group: "Timeline, when it has the focus", where: "timeline", code: "KeyD", key: "d", action: "panRight", help: "later" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "+", action: "zoomIn", help: "closer" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "-", action: "zoomOut", help: "wider" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "0", action: "zoomAll", help: "all of the run" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "f", action: "zoomNow", help: "around now" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "ArrowRight", action: "event", help: "next event" },
  { group: "Timeline, when it has the focus", where: "timeline", key: "ArrowLeft", action: "eventBack", help: "previous event" },
];

// What a key press means: {action, back} or null. where: "timeline" when that has the focus.
export function actionOf(event, where = null) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  for (const row of keys) {
    if ((row.where ?? null) !== where) continue;
    if (row.code ? event.code === row.code && !event.shiftKey : event.key === row.key) return { action: row.action, back: false };
    if (row.back && event.shiftKey && event.key === row.key.toUpperCase()) return { action: row.action, back: true };
  }
  return where ? actionOf(event, null) : null;
}
