// The page against the mock engine: every state, every panel at one moment.
import test from "node:test";
import assert from "node:assert/strict";
import { keys } from "../../ui-static/lib/keys.js";
import { close, done, mock, oneMoment, open, press, serve, settled } from "./browser.mjs";

const skip = mock ? false : "skipped: no server_mock (URD_UI_MOCK)";
let server;
test.before(async () => { if (mock) server = await serve(); });
test.after(async () => { await server?.stop(); await close(); });
const at = (moment, more = "") => `${server.url}?at=${moment}${more}`;
const text = (page, selector) => page.locator(selector).first().innerText();

test("it opens on the failure", { skip }, async () => {
  const page = await open(server.url);
  assert.equal(await oneMoment(page), "43:0");
  assert.match(await text(page, ".row.here"), /assert/);
  assert.match(await text(page, ".values"), /got\s*4/);
  assert.match(await text(page, ".stack"), /check\(upto=40\)[\s\S]*main/);
  assert.match(await text(page, ".output"), /Assertion/);
  await done(page);
});

test("after each move all panels show one moment, with at most two requests", { skip }, async () => {
  const page = await open(at("10:301"));
  for (const key of ["n", "i", "n", "N", "x", "X", "o", "e", "E", "I", "O", "n", "n"]) {
    const before = await oneMoment(page);
    page.requests.length = 0;
    await press(page, key);
    const after = await oneMoment(page);
    assert.notEqual(after, before, `${key} moved`);
    assert.ok(page.requests.length <= 2, `${key}: ${page.requests.join("\n")}`);
  }
  for (const label of ["start of the run", "next event (e)", "next line (n)", "previous line (N)", "previous event (E)", "end of the run"]) {
    await page.click(`.moves [title="${label}"]`);
    await settled(page);
    await oneMoment(page);
  }
  assert.equal(await oneMoment(page), "43:0");
  await done(page);
});

test("open values come with the move, not by requests of their own", { skip }, async () => {
  const page = await open(at("10:301"));
  await page.click('.value[data-expr="cache"] .fold');
  await settled(page);
  await page.click('.value[data-expr="cache.value"] .fold');
  await settled(page);
  page.requests.length = 0;
  await press(page, "o");
  await oneMoment(page);
  assert.match(await text(page, '.value[data-expr="cache.value[3]"]'), /\[3\]\s*1/);
  assert.ok(page.requests.length <= 2, page.requests.join("\n"));
  await done(page);
});

test("fast keys are all obeyed, in order", { skip }, async () => {
  const page = await open(at("10:301"));
  for (let i = 0; i < 6; i++) await page.keyboard.press("i");
  await settled(page);
  const six = await oneMoment(page);
  await page.goto(at("10:301"));
  await settled(page);
  for (let i = 0; i < 6; i++) await press(page, "i");
  assert.equal(await oneMoment(page), six);
  await done(page);
});

test("back and forward restore moment, frame and question", { skip }, async () => {
  const page = await open(at("10:306"));
  await press(page, "u");
  assert.match(await text(page, ".frame.current"), /fill/);
  await page.click('.value[data-expr="cache"] .name');
  await settled(page);
  await press(page, "n");
  const last = page.url();
  await page.goBack();
  await settled(page);
  await oneMoment(page);
  assert.match(await text(page, ".frame.current"), /fill/);
  await page.goBack();
  await settled(page);
  assert.ok(!page.url().includes("ask="));
  await page.goBack();
  await settled(page);
  assert.match(await text(page, ".frame.current"), /store/);
  for (let i = 0; i < 3; i++) { await page.goForward(); await settled(page); }
  assert.equal(page.url(), last);
  await oneMoment(page);
  await page.reload();
  await settled(page);
  assert.equal(page.url(), last, "a reload keeps all");
  await done(page);
});

test("a click on a value shows its history, a click on a write goes there, and the history stays", { skip }, async () => {
  const page = await open(server.url);
  await page.click('.value[data-expr="cache"] .fold');
  await settled(page);
  await page.click('.value[data-expr="cache.value"] .fold');
  await settled(page);
  await page.click('.value[data-expr="cache.value[29]"] .name');
  await settled(page);
  assert.match(await text(page, ".panel .strip"), /cache\.value\[29\]\s+=\s+4\s.*2 writes, complete/s);
  const rows = page.locator(".history .row");
  assert.equal(await rows.count(), 2);
  assert.match(await rows.nth(1).innerText(), /5 → 4\s+store\s+isqrt\.c:27/);
  assert.match(await text(page, "footer .cli"), /^urd blame -t isqrt-7 'cache\.value\[29\]' --at 43:0 --all$/);
  const href = await rows.nth(1).locator("a").getAttribute("href");
  assert.match(href, /at=10:3568/, "a real link");
  await rows.nth(1).locator("a").click();
  await settled(page);
  assert.equal(await oneMoment(page), "10:3568");
  assert.match(await text(page, ".row.here"), /wrong/, "the cause, two actions after the failure");
  assert.equal(await rows.count(), 2);
  assert.match(await text(page, ".panel .strip"), /=\s+5\s.*written here: 5 → 4/s);
  await done(page);
});

test("a print statement: from the gutter, with a condition, to its moments", { skip }, async () => {
  const page = await open(at("10:301"));
  await page.click(".row.here .count");
  await page.waitForFunction(() => document.activeElement?.closest(".inline-print"));
  assert.equal(await page.inputValue(".inline-print input[name=text]"), "n={n} r={r}");
  await page.fill(".inline-print input[name=text]", "stored {n} -> {r}");
  await page.fill(".inline-print input[name=condition]", "n > 37");
  await page.keyboard.press("Enter");
  await settled(page);
  const rows = page.locator(".prints .row");
  assert.equal(await rows.count(), 3);
  assert.match(await rows.first().innerText(), /stored 38 -> 6/);
  assert.match(await text(page, ".inline-print"), /0 \/ 3/);
  assert.equal(await page.evaluate(() => document.querySelector("urd-timeline").list.lanes.find((l) => l.name === "?1").items.length), 3);
  await press(page, ".");
  await press(page, ".");
  assert.match(await text(page, ".values"), /n\s*39/);
  await press(page, ",");
  assert.match(await text(page, ".values"), /n\s*38/);
  await oneMoment(page);
  assert.match(await text(page, "footer .cli"), /^urd print -t isqrt-7 isqrt\.c:25 'stored \{n\} -> \{r\}' --if 'n > 37'$/);
  await done(page);
});

test("a print that comes with a link waits", { skip }, async () => {
  const page = await open(at("10:301", "&view=prints&ask=" + encodeURIComponent("print isqrt.c:25 '{n}'")));
  assert.ok(!page.requests.some((r) => r.includes('"print"')));
  await page.click("text=Run it");
  await settled(page);
  assert.match(await text(page, ".panel .strip .end"), /41 prints/);
  await done(page);
});

test("output goes to the moment at which it was printed", { skip }, async () => {
  const page = await open(at("10:301"));
  await page.locator(".output").evaluate((e) => { e.scrollTop = 0; });
  await page.waitForTimeout(50);
  await page.click(".output .row:first-child a");
  await settled(page);
  assert.equal(await oneMoment(page), "10:0");
  await done(page);
});

test("everything that the ask box takes", { skip }, async () => {
  const page = await open(at("10:301"));
  const asks = async (line) => {
    await page.keyboard.press("/");
    await page.fill("#ask", line);
    await page.keyboard.press("Enter");
    await settled(page);
  };
  await asks("calls store");
  assert.match(await text(page, ".panel .strip"), /41 calls/);
  await asks("lines isqrt.c:27");
  assert.match(await text(page, ".panel .strip"), /1 run,/);
  await asks("cache.hits");
  assert.match(await text(page, ".panel .strip"), /30 writes/);
  await asks("print store '{n}'");
  assert.match(await text(page, ".panel .strip .end"), /41 prints/);
  await asks(": SELECT number, clock, kind FROM events");
  assert.match(await text(page, ".panel .columns"), /number\s+clock\s+kind/);
  await asks("12:7");
  assert.equal(await oneMoment(page), "12:7");
  await asks("isqrt.c:3");
  assert.match(await text(page, ".row.looked"), /stdio/);
  await page.click("text=back to the moment");
  await settled(page);
  await press(page, "c");
  assert.match(page.url(), /ask=calls\+check/);
  await press(page, "l");
  assert.match(page.url(), /ask=lines\+isqrt/);
  assert.equal(await page.evaluate(() => document.querySelector("urd-timeline").list.lanes.filter((l) => l.name[0] === "?").length), 4);
  await oneMoment(page);
  await done(page);
});

test("a wrong question gets a caret and the right spelling, one click mends it", { skip }, async () => {
  const page = await open(at("10:301"));
  await page.keyboard.press("/");
  await page.fill("#ask", "print isqrt.c:3 'abc");
  await page.keyboard.press("Enter");
  assert.match(await text(page, ".ask-error"), /is not closed/);
  await page.fill("#ask", "cahce");
  await page.keyboard.press("Enter");
  await settled(page);
  assert.match(await text(page, ".panel .error"), /there is no 'cahce' here[\s\S]*cahce\n\^/);
  await page.click(".panel .error button.link");
  await settled(page);
  assert.match(await text(page, ".panel .strip"), /writes/);
  await done(page);
});

test("names are suggested", { skip }, async () => {
  const page = await open(at("10:301"));
  await page.keyboard.press("/");
  await page.keyboard.type("sto");
  await page.waitForSelector("#suggestions li");
  await page.keyboard.press("Tab");
  assert.equal(await page.inputValue("#ask"), "calls store");
  await done(page);
});

test("every key of the table does what it says, and help shows it", { skip }, async () => {
  const page = await open(at("10:301", "&ask=" + encodeURIComponent("blame cache.hits --at 10:301") + "&view=history"));
  await press(page, "?");
  const help = await text(page, "#help");
  for (const k of keys) assert.ok(help.includes(k.help), k.help);
  await page.keyboard.press("Escape");
  for (const k of keys.filter((k) => !k.where && k.action !== "help")) {
    const signature = () => page.evaluate(() => location.href + document.activeElement?.outerHTML.slice(0, 60) + document.querySelector("#ask").value
      + Boolean(document.querySelector(".inline-print")) + document.querySelector("footer").innerText);
    await page.goto(at("12:0", "&frame=" + (k.action === "down" ? 1 : 0) + "&ask=" + encodeURIComponent("blame cache.hits --at 10:301") + `&view=${k.action === "view1" ? "output" : "history"}`));
    await settled(page);
    if (k.action === "back") { await press(page, "n"); }
    const before = await signature();
    await page.keyboard.press(k.key);
    await settled(page);
    await page.waitForTimeout(k.action === "copy" || k.action === "back" ? 200 : 30);
    assert.notEqual(await signature(), before, `${k.key} (${k.help}) did nothing`);
  }
  await done(page);
});

test("the timeline: click, drag, zoom, keys", { skip }, async () => {
  const page = await open(server.url);
  const box = await page.locator("urd-timeline").boundingBox();
  await page.mouse.click(box.x + 700, box.y + 34);
  await settled(page);
  const first = await oneMoment(page);
  assert.notEqual(first, "43:0");
  const entries = await page.evaluate(() => history.length);
  await page.mouse.move(box.x + 700, box.y + 34);
  await page.mouse.down();
  for (let x = 700; x <= 1000; x += 20) await page.mouse.move(box.x + x, box.y + 34);
  await page.mouse.up();
  await settled(page);
  await page.waitForTimeout(100);
  await settled(page);
  const second = await oneMoment(page);
  assert.notEqual(second, first);
  const shown = await page.evaluate(() => { const t = document.querySelector("urd-timeline"); return t.list.nowX; });
  assert.ok(Math.abs(shown - (1000 - 70)) < 12, `the cursor is where the pointer was left: ${shown}`);
  assert.ok(await page.evaluate(() => history.length) - entries <= 1, "a drag is one step of history");
  await page.keyboard.press("t");
  await page.keyboard.press("w");
  await settled(page);
  assert.match(page.url(), /range=\d+~\d+/);
  await press(page, "d");
  await press(page, "s");
  await press(page, "0");
  assert.ok(!page.url().includes("range="));
  assert.equal(await page.getAttribute("urd-timeline", "role"), "slider");
  await oneMoment(page);
  await done(page);
});

test("names and outputs that try to be markup stay text", { skip }, async () => {
  const evil = await serve("mock:hostile");
  const page = await open(`${evil.url}?at=10:306`);
  for (const view of ["output", "events", "calls"]) await page.click(`#tab-${view}`);
  await page.click('#tab-output');
  await settled(page);
  assert.match(await text(page, ".stack"), /<script>alert\(1\)<\/script>/);
  assert.match(await text(page, ".values"), /<img src=x onerror=alert\(2\)><U\+202E>evil/);
  assert.match(await text(page, ".output"), /<script>alert\(3\)<\/script>␛\[31m<U\+202E>/);
  assert.equal(await page.locator("#app script, #app img, #app b b").count(), 0);
  await page.click(".values .value .name >> nth=0");
  await settled(page);
  await page.reload();
  await settled(page);
  await done(page);
  await evil.stop();
});

test("a trace without an index says what to do and shows the rest", { skip }, async () => {
  const s = await serve("mock:noindex");
  const page = await open(`${s.url}?at=10:306`);
  assert.match(await text(page, ".band"), /urd index/);
  assert.match(await text(page, ".values"), /n\s*3/);
  await page.click('.value[data-expr="n"] .name');
  await settled(page);
  assert.match(await text(page, ".panel .error"), /not indexed[\s\S]*urd index/);
  await oneMoment(page);
  await done(page);
  await s.stop();
});

test("without debug information there are instructions and registers", { skip }, async () => {
  const s = await serve("mock:nodebug");
  const page = await open(`${s.url}?at=10:306`);
  assert.match(await text(page, ".source h2"), /no debug information/);
  assert.match(await text(page, ".row.here"), /0x[0-9a-f]+/);
  assert.match(await text(page, ".values"), /rax/);
  await press(page, "x");
  await oneMoment(page);
  await done(page);
  await s.stop();
});

test("without the source file there are instructions, and it says which file", { skip }, async () => {
  const s = await serve("mock:nosource");
  const page = await open(`${s.url}?at=10:306`);
  assert.match(await text(page, ".source h2"), /isqrt\.c is not there/);
  await oneMoment(page);
  await done(page);
  await s.stop();
});

test("an engine that fails says so in the panels that asked", { skip }, async () => {
  const s = await serve("mock:broken");
  const page = await (await import("./browser.mjs")).launch().then((b) => b.newPage());
  await page.goto(s.url);
  await page.waitForSelector(".band.error");
  assert.match(await text(page, ".band.error"), /diverged/);
  await page.close();
  await s.stop();
});

test("answers that come in the wrong order do not mix", { skip }, async () => {
  const page = await open(at("10:301"));
  let n = 0;
  await page.route("**/moment-all*", async (route) => {
    if (n++ === 0) await new Promise((r) => setTimeout(r, 700));
    await route.continue().catch(() => {});
  });
  await page.evaluate(() => { urd.actions.go("12:0"); urd.actions.go("20:0"); });
  await settled(page);
  assert.equal(await oneMoment(page), "20:0");
  await page.waitForTimeout(900);
  assert.equal(await oneMoment(page), "20:0");
  await done(page);
});

test("while an answer is awaited the old one dims and never vanishes; slow work has a name", { skip }, async () => {
  const s = await serve("mock:slow");
  const page = await open(`${s.url}?at=10:301`);
  await page.keyboard.press("n");
  await page.waitForSelector(".work");
  assert.match(await text(page, ".source"), /cache\.value/);
  await settled(page);
  await oneMoment(page);
  assert.equal(await page.locator(".work").count(), 0);
  await done(page);
  await s.stop();
});

test("a server that is gone is said, and found again", { skip }, async () => {
  const s = await serve();
  const page = await open(`${s.url}?at=10:301`, { expected: /ERR_CONNECTION|Failed to load/ });
  await s.kill();
  await page.keyboard.press("n");
  await page.waitForSelector(".band.error");
  assert.match(await text(page, ".band.error"), /The server is gone[\s\S]*urd serve -t isqrt-7/);
  assert.match(await text(page, ".source"), /cache\.value/, "what was there stays");
  const again = await serve("mock:isqrt", s.port);
  await page.waitForFunction(() => !document.querySelector(".band.error"), null, { timeout: 10000 });
  await press(page, "n");
  await oneMoment(page);
  await done(page);
  await again.stop();
});

test("very long answers: few nodes, nothing capped silently", { skip }, async () => {
  const s = await serve("mock:huge");
  const page = await open(`${s.url}?at=10:306`);
  await page.click('.value[data-expr="cache"] .name');
  await settled(page);
  assert.match(await text(page, ".panel .strip"), /the first 200.000 writes; there are more/);
  assert.ok(await page.evaluate(() => document.querySelectorAll("*").length) < 5000);
  await page.locator(".lines").evaluate((e) => { e.scrollTop = e.scrollHeight; });
  await page.waitForTimeout(100);
  assert.match(await text(page, ".lines .row:last-child .number"), /97600/);
  await page.locator(".history").evaluate((e) => { e.scrollTop = e.scrollHeight; });
  await page.waitForTimeout(100);
  assert.equal(await page.locator(".history .row").last().getAttribute("aria-rowindex"), "200000");
  page.requests.length = 0;
  await press(page, "n");
  await oneMoment(page);
  await done(page);
  await s.stop();
});

for (const scheme of ["dark", "light"])
  test(`text has contrast on every ground, nothing is cut off (${scheme})`, { skip }, async () => {
    const page = await open(at("10:306", "&view=history&ask=" + encodeURIComponent("blame cache.hits --at 43:0")), { scheme });
    const low = await page.evaluate(() => {
      const probe = document.createElement("span");
      document.body.append(probe);
      const rgb = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number); };
      const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const bad = [];
      const pairs = { page: "text dim now changed hit kernel error syntax-keyword syntax-string syntax-number syntax-comment", raised: "text dim now hit error",
        "ran-call": "text dim syntax-keyword syntax-string syntax-number syntax-comment", "now-ground": "text now dim syntax-keyword syntax-string syntax-number syntax-comment",
        selected: "text dim now changed hit", partial: "text", "error-ground": "text error dim", button: "text", field: "text dim" };
      for (const [ground, inks] of Object.entries(pairs)) for (const ink of inks.split(" ")) {
        const [a, b] = [light(rgb(ink)), light(rgb(ground))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push(`${ink} on ${ground}: ${ratio.toFixed(2)}`);
      }
      probe.remove();
      return bad;
    });
    assert.deepEqual(low, []);
    const out = await page.evaluate(() => [...document.querySelectorAll("header > *, nav > *, footer > *, h2")].filter((e) => {
      const b = e.getBoundingClientRect();
      return b.right > innerWidth + 1 || b.bottom > innerHeight + 1;
    }).map((e) => e.outerHTML.slice(0, 80)));
    assert.deepEqual(out, []);
    await done(page);
  });

test("everything can be reached by the keyboard alone", { skip }, async () => {
  const page = await open(at("10:306", "&view=history&ask=" + encodeURIComponent("blame cache.hits --at 43:0")));
  await page.locator(".history").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await settled(page);
  assert.equal(await oneMoment(page), await page.locator(".history .row.selected a").getAttribute("data-at"));
  await done(page);
});
