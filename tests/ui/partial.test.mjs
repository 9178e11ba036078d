// The page over an index of a part (URD_UI_PARTIAL): it says so, and grows in place while `urd index` (URD, URD_UI_PARTIAL_TRACE) runs.
import test from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { close, done, oneMoment, open, settled } from "./browser.mjs";

const base = process.env.URD_UI_PARTIAL;
const skip = base ? false : "skipped: no server of a part to look at (URD_UI_PARTIAL)";
test.after(close);

const text = (page, where) => page.locator(where).first().innerText();
const ask = async (page, line) => {
  await page.fill("#ask", line);
  await page.press("#ask", "Enter");
  await settled(page);
};

test("what a partial answer does not know is said, and it grows without a reload", { skip }, async () => {
  const page = await open(base);
  await oneMoment(page);
  assert.match(await text(page, ".strips .band.partial"), /Only a part of the run is indexed[\s\S]*urd index -t/);
  assert.ok(await page.evaluate(() => document.querySelector("urd-timeline").list.lanes.every((l) => !l.missing || l.missing.length > 0)), "hatched");

  await ask(page, "calls isqrt");
  assert.match(await text(page, ".panel .strip"), /partial/);
  assert.match(await text(page, ".panel .band.partial"), /Partial: not indexed, and so not known, is[\s\S]* to [\s\S]*urd index/);
  assert.ok(await page.locator(".panel .band.partial a.moment").count() >= 2, "its moments can be gone to");
  assert.doesNotMatch(await text(page, ".panel"), /None in this run|complete/);
  await ask(page, "lines isqrt.c:39");
  assert.doesNotMatch(await text(page, ".panel"), /None in this run/);
  await ask(page, "print store 'x'");
  assert.doesNotMatch(await text(page, ".panel"), /never have printed/);
  await ask(page, "blame misses");
  assert.doesNotMatch(await text(page, ".panel"), /never written/);
  assert.match(await text(page, ".panel .band.partial"), /Partial/);

  const index = spawn(process.env.URD, ["index", "-t", process.env.URD_UI_PARTIAL_TRACE], { stdio: "ignore" });
  const status = await new Promise((r) => { index.once("exit", r); });
  assert.equal(status, 0);
  await page.waitForFunction(() => !document.querySelector(".band.partial"), null, { timeout: 20000 });
  await settled(page);
  assert.match(await text(page, ".panel .strip"), /writes, complete/);
  assert.ok((await page.locator(".history .row a.moment").count()) > 3, "all writes came");
  await page.click("#tab-calls");
  await settled(page);
  assert.match(await text(page, ".panel .strip"), /calls, complete/);
  assert.ok(await page.evaluate(() => document.querySelector("urd-timeline").list.lanes.every((l) => !l.missing?.length)), "nothing is hatched");
  await oneMoment(page);
  await done(page);
});
