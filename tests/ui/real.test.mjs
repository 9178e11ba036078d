// The page against a real server (URD_UI_BASE): what must hold for any trace.
import test from "node:test";
import assert from "node:assert/strict";
import { base, close, done, oneMoment, open, press, settled } from "./browser.mjs";

const skip = base ? false : "skipped: no server to look at (URD_UI_BASE)";
test.after(close);

// Click and tell where it leads, in one go: lists may draw themselves again between two steps.
const take = (link) => link.evaluate((e) => {
  const { at } = e.dataset;
  e.click();
  return at;
});

test("it opens, without a fault", { skip }, async () => {
  const page = await open(base);
  await oneMoment(page);
  assert.ok((await page.locator(".stack .frame").count()) > 0, "a stack");
  assert.ok((await page.locator(".lines .row").count()) > 0, "source or instructions");
  assert.equal(await page.locator("main .error").count(), 0, await page.locator("main").innerText());
  await done(page);
});

test("moves keep all panels at one moment, back and forward too", { skip }, async () => {
  const page = await open(base);
  const start = await oneMoment(page);
  await press(page, "N");
  await oneMoment(page);
  await press(page, "E");
  const middle = await oneMoment(page);
  await press(page, "n");
  await oneMoment(page);
  await press(page, "x");
  await oneMoment(page);
  await page.goBack();
  await page.goBack();
  await settled(page);
  assert.equal(await oneMoment(page), middle);
  await page.goBack();
  await page.goBack();
  await settled(page);
  assert.equal(await oneMoment(page), start);
  await done(page);
});

test("a value has a history, and a write can be gone to", { skip }, async () => {
  const page = await open(base);
  const names = page.locator(".values .value[data-expr]:not(:has(.missing)) .name");
  if (!(await names.count())) return done(page);
  await names.last().click();
  await settled(page);
  assert.equal(await page.locator(".panel .error").count(), 0, await page.locator(".panel").innerText());
  const link = page.locator(".history .row a.moment").first();
  if (await link.count()) {
    const at = await take(link);
    await settled(page);
    assert.equal(await oneMoment(page), at);
  }
  await done(page);
});

test("output and events lead to their moments", { skip }, async () => {
  const page = await open(base);
  for (const view of ["events", "output"]) {
    await page.click(`#tab-${view}`);
    await settled(page);
    assert.equal(await page.locator(".panel .error").count(), 0, await page.locator(".panel").innerText());
    const link = page.locator(".panel .row a.moment").first();
    if (!(await link.count())) continue;
    const at = await take(link);
    await settled(page);
    assert.equal(await oneMoment(page), at);
  }
  await done(page);
});

test("the timeline can be clicked anywhere", { skip }, async () => {
  const page = await open(base);
  const box = await page.locator("urd-timeline").boundingBox();
  for (const x of [120, 640, 1100]) {
    await page.mouse.click(box.x + x, box.y + 34);
    await settled(page);
    await oneMoment(page);
  }
  await done(page);
});
