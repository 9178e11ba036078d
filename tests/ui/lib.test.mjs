// The pure half of the UI.
import test from "node:test";
import assert from "node:assert/strict";
const lib = (name) => import(new URL(`../../ui-static/lib/${name}.js`, import.meta.url));

const moments = await lib("moments");
const url = await lib("url");
const ask = await lib("ask");
const keys = await lib("keys");
const timeline = await lib("timeline");
const virtual = await lib("virtual");
const text = await lib("text");
const syntax = await lib("syntax");
const { Slot } = await lib("slots");

test("moments are ordered by event, then steps, as numbers and not as text", () => {
  assert.equal(moments.compareMoments("9:5", "10:0"), -1);
  assert.equal(moments.compareMoments("10:9", "10:10"), -1);
  assert.equal(moments.compareMoments("7:1", "7:1"), 0);
  assert.equal(moments.compareMoments("1:99999999999999999999", "1:99999999999999999998"), 1);
  assert.ok(!moments.isMoment("1:") && !moments.isMoment("1:2:3") && !moments.isMoment("a:1") && !moments.isMoment(null));
});

test("a hit at the moment itself is neither the next nor the previous one", () => {
  const rows = ["1:0", "2:0", "2:0", "3:5"].map((moment) => ({ moment }));
  assert.equal(moments.nextHit(rows, "2:0", false).moment, "3:5");
  assert.equal(moments.nextHit(rows, "2:0", true).moment, "1:0");
  assert.equal(moments.nextHit(rows, "3:5", false), null);
  assert.equal(moments.nextHit(rows, "1:0", true), null);
  assert.equal(moments.countUntil(rows, "2:0"), 3);
  assert.equal(moments.countBefore(rows, "2:0"), 1);
});

test("a state survives its URL, and equal states have equal URLs", () => {
  const state = { ...url.start, at: "1042:318", frame: 2, ask: "print f.c:3 'a&b=\u00fc {n}' --if 'n > 3'", lanes: ["calls f", "blame x --at 1:2"],
    src: "dir/f.c:42", range: [5, 900], view: "prints" };
  const again = url.fromUrl(url.toUrl(state).slice(1));
  assert.deepEqual({ ...again, lanes: [...again.lanes].sort() }, { ...state, lanes: [...state.lanes].sort() });
  assert.equal(url.toUrl({ ...state, lanes: [...state.lanes].reverse() }), url.toUrl(state));
  assert.equal(url.toUrl(url.start), "/");
});

test("another moment means its innermost frame and its own source", () => {
  const next = url.atMoment({ ...url.start, at: "1:1", frame: 3, src: "f.c:1", ask: "calls f" }, "2:2");
  assert.deepEqual(next, { ...url.start, at: "2:2", ask: "calls f" });
});

test("a question opens its own tab, and the URL says nothing of it", () => {
  const state = url.fromUrl("?ask=calls+f");
  assert.equal(state.view, "calls");
  assert.equal(url.toUrl(state), "/?ask=calls+f");
  assert.equal(url.fromUrl("?ask=calls+f&view=output").view, "output");
});

test("nonsense in a URL is left out", () => {
  const state = url.fromUrl("?at=javascript:alert(1)&frame=-3&range=9~2&view=nope");
  assert.deepEqual(state, { ...url.start });
});

test("moments, frames and questions push history; the rest replaces", () => {
  assert.ok(url.pushes(url.start, { ...url.start, at: "1:1" }));
  assert.ok(url.pushes(url.start, { ...url.start, ask: "x" }));
  assert.ok(!url.pushes(url.start, { ...url.start, view: "sql", range: [1, 2], src: "a:1" }));
});

test("the ask line is read as the design says", () => {
  const at = { at: "10:3", frame: 1 };
  const kind = (line) => ask.parseAsk(line, at).kind;
  assert.equal(kind("1042:318"), "moment");
  assert.equal(kind("isqrt.c:42"), "place");
  assert.equal(kind("calls f"), "calls");
  assert.equal(kind("lines f.c:3"), "lines");
  assert.equal(kind(": SELECT 1"), "sql");
  const value = ask.parseAsk("cache.value[3]", at);
  assert.equal(value.line, "blame cache.value[3] --at 10:3 --frame 1");
  assert.equal(value.cli, "urd blame 'cache.value[3]' --at 10:3 --frame 1 --all");
  assert.deepEqual(ask.parseAsk(value.line, {}), value, "the line alone says all");
  const print = ask.parseAsk("print isqrt.c:25 'its {n}' --if 'n == 0'", at);
  assert.equal(print.kind, "print");
  assert.deepEqual(ask.parseAsk(print.line, {}), print);
  const quotes = ask.makePrint("f", "it's \"{s}\"", "a['x'] == 1");
  assert.deepEqual(ask.parseAsk(quotes.line, {}).fields, quotes.fields);
});

test("a wrong line says where it is wrong", () => {
  assert.equal(ask.parseAsk("print f.c:3 'abc", {}).error.offset, 12);
  assert.ok(ask.parseAsk("print f.c:3", {}).error.what_to_do);
  assert.ok(ask.parseAsk("", {}).error);
  assert.ok(ask.parseAsk("blame x --at nowhere", {}).error.message.includes("nowhere"));
});

test("an error's caret finds its field, and the suggestion mends the line", () => {
  const q = ask.parseAsk("blame cache.valeu[3]", {});
  const error = { message: "no valeu", offset: 6, suggest: "value" };
  assert.deepEqual(ask.caretOf(q, error), { text: "cache.valeu[3]", offset: 6 });
  assert.equal(ask.mended(q, error), "blame cache.value[3]");
  assert.equal(ask.caretOf(q, { message: "x", offset: 600 }), null);
});

test("every key means one thing in one place", () => {
  const seen = new Set();
  for (const k of keys.keys) {
    const id = `${k.where ?? ""}|${k.key}`;
    assert.ok(!seen.has(id), `${id} twice`);
    seen.add(id);
    assert.ok(k.help && k.action && k.group);
  }
});

test("shift goes backwards, control keys are the browser's", () => {
  assert.deepEqual(keys.actionOf({ key: "n" }), { action: "line", back: false });
  assert.deepEqual(keys.actionOf({ key: "N", shiftKey: true }), { action: "line", back: true });
  assert.equal(keys.actionOf({ key: "n", ctrlKey: true }), null);
  assert.equal(keys.actionOf({ key: "d", code: "KeyD" }).action, "down");
  assert.equal(keys.actionOf({ key: "d", code: "KeyD" }, "timeline").action, "panRight");
  assert.equal(keys.actionOf({ key: "n", code: "KeyN" }, "timeline").action, "line");
});

test("zooming keeps the clock under the pointer, and stays inside the run", () => {
  const end = 1e9;
  const range = timeline.zoom([0, end], 0.5, 2.5e8, end);
  assert.ok(Math.abs(timeline.toX(2.5e8, range, 1000) - 250) < 1);
  assert.equal(timeline.zoom(range, 100, 5e8, end), null);
  let r = [0, end];
  for (let i = 0; i < 100; i++) r = timeline.zoom(r, 0.5, 7, end);
  assert.ok(r[1] - r[0] >= 64 && r[0] >= 0);
  assert.deepEqual(timeline.pan([100, 200], -5, end), [0, 100]);
});

test("marks on one pixel are merged with their count, none is lost", () => {
  const marks = Array.from({ length: 1000 }, (_, i) => ({ clock: String(i) }));
  const items = timeline.merged(marks, [0, 1000], 100);
  assert.ok(items.length <= 51);
  assert.equal(items.reduce((n, i) => n + i.count, 0), 1000);
  assert.equal(timeline.merged(marks, [2000, 3000], 100).length, 0);
});

test("a layout has a lane for everything", () => {
  const data = { end: 100, buckets: [1, 2], tasks: [{ tid: 1, name: "a", spans: [["0", "100"]] }], events: [{ clock: "5" }], outputs: [],
    finding: { clock: 100 }, questions: [{ label: "q", count: 1, rows: [{ clock: "50" }] }] };
  const l = timeline.layout(data, { width: 1000, range: [0, 100], now: 50 });
  assert.deepEqual(l.lanes.map((x) => x.name), ["all", "tasks", "events", "out", "alert", "?1"]);
  assert.equal(l.nowX, 500);
});

test("a list of ten million rows can be scrolled to its last row", () => {
  const list = { rows: 1e7, rowHeight: 22, blockAfter: -1, blockHeight: 0 };
  const { scroll } = virtual.heights(list);
  assert.ok(scroll <= 33_000_000);
  const w = virtual.windowOf(list, scroll - 500, 500);
  assert.equal(w.last, 1e7);
  const top = virtual.scrollTo(list, 5_000_000, 500);
  const middle = virtual.windowOf(list, top, 500);
  assert.ok(middle.first <= 5_000_000 && middle.last > 5_000_000);
});

test("a block between rows moves the rows below it", () => {
  const list = { rows: 100, rowHeight: 20, blockAfter: 9, blockHeight: 50 };
  assert.equal(virtual.topOf(list, 9), 180);
  assert.equal(virtual.topOf(list, 10), 250);
  const w = virtual.windowOf(list, 250, 100, 0);
  assert.equal(w.first, 10);
});

test("what cannot be seen is shown", () => {
  assert.equal(text.visible("a\u202eb"), "a<U+202E>b");
  assert.equal(text.visible("\u001b[31m"), "\u241b[31m");
  assert.equal(text.visible("\u200b"), "<U+200B>");
  assert.equal(text.visible("tab\tand\nline"), "tab\tand\nline");
  assert.equal(text.short(1234567), "1.2M");
  assert.equal(text.short(999), "999");
});

test("colours lose no character", () => {
  const lines = ['int x = 0x1f; // note "s"', "/* a", "b */ return 'c';", 'printf("a\\"b", y);', "#include <x>", "\u00fc{}"];
  const starts = syntax.commentStarts(lines);
  lines.forEach((line, i) => assert.equal(syntax.colours(line, starts[i]).map((c) => c[1]).join(""), line));
  assert.equal(starts[2], 1);
  assert.equal(starts[3], 0);
  assert.deepEqual(syntax.names("if (a) b = a + 1; // c", false), ["a", "b"]);
});

test("an answer that comes too late is dropped", async () => {
  const slot = new Slot(() => {});
  let release;
  const late = slot.want("one", async (on) => {
    await new Promise((r) => { release = r; });
    on([{ row: 1 }, { summary: {} }]);
  });
  await slot.want("two", async (on) => { on([{ row: 2 }]); });
  release();
  assert.equal(await late, null);
  assert.deepEqual(slot.shown.rows, [2]);
  assert.equal(slot.shown.key, "two");
});

test("what was shown stays until the next answer begins", async () => {
  const slot = new Slot(() => {});
  await slot.want("one", async (on) => on([{ row: 1 }]));
  let go;
  const next = slot.want("two", async (on) => {
    await new Promise((r) => { go = r; });
    on([{ row: 2 }]);
  });
  assert.deepEqual(slot.shown.rows, [1]);
  assert.ok(slot.stale);
  go();
  await next;
  assert.ok(!slot.stale);
});

test("what is not indexed lies in the timeline as far as it is in view", () => {
  const missing = [{ from_clock: "0", to_clock: "100" }, { from_clock: 500, to_clock: 1000 }];
  assert.deepEqual(timeline.hatches(missing, [0, 1000], 100), [{ x: 0, width: 10 }, { x: 50, width: 50 }]);
  assert.deepEqual(timeline.hatches(missing, [600, 700], 100), [{ x: 0, width: 100 }]);
  assert.deepEqual(timeline.hatches(missing, [200, 400], 100), []);
});
