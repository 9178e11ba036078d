// What the tests of the page share: a server, a browser, and a page that fails on any error of console or policy.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const here = new URL(".", import.meta.url).pathname;
export const mock = process.env.URD_UI_MOCK;
export const base = process.env.URD_UI_BASE;

const children = new Set();
export async function serve(trace = "mock:isqrt", port = 0) {
  const child = spawn(mock, ["--port", String(port), "--ui", `${here}../../ui-static`, trace], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  const url = await new Promise((resolve, reject) => {
    child.stdout.once("data", (d) => resolve(String(d).trim()));
    child.once("exit", (code) => reject(new Error(`server_mock ended with ${code}`)));
  });
  return { url, port: Number(new URL(url).port), stop: () => new Promise((r) => { child.once("exit", r); child.kill("SIGINT"); }),
    kill: () => new Promise((r) => { child.once("exit", r); child.kill("SIGKILL"); }) };
}

let browser;
export async function launch() {
  const path = ["/usr/bin/chromium", "/usr/bin/chromium-headless-shell"].find(existsSync);
  browser ??= await chromium.launch({ executablePath: path, args: ["--no-sandbox"], headless: true });
  return browser;
}
export async function close() {
  for (const child of children) child.kill("SIGKILL"); // left by tests that failed
  await browser?.close();
}

// A page at a URL; page.faults collects what must not happen.
export async function open(url, { scheme = "dark", viewport = { width: 1280, height: 800 }, expected = /$^/ } = {}) {
  const context = await (await launch()).newContext({ viewport, colorScheme: scheme, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.faults = [];
  page.requests = [];
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !expected.test(m.text())) page.faults.push(`${m.type()}: ${m.text()}`); });
  page.on("pageerror", (e) => page.faults.push(`exception: ${e.stack}`));
  page.on("dialog", (d) => { page.faults.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on("request", (r) => { if (r.url().includes("/api/")) page.requests.push(r.postData() ?? r.url()); });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
  });
  await page.goto(url);
  await settled(page);
  return page;
}

export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("#app")?.getAttribute("aria-busy") === "false", null, { timeout: 30000 });
  await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
  await page.waitForFunction(() => document.querySelector("#app")?.getAttribute("aria-busy") === "false");
}

// The rule: all panels show one moment, the URL's.
export async function oneMoment(page) {
  const seen = await page.evaluate(() => ({
    url: new URLSearchParams(location.search).get("at"),
    panels: [...document.querySelectorAll("[data-panel]")].map((e) => [e.dataset.panel, e.dataset.at]),
    stale: document.querySelectorAll(".stale").length,
  }));
  assert.match(seen.url, /^\d+:\d+$/);
  for (const [panel, at] of seen.panels) assert.equal(at, seen.url, `${panel} shows another moment`);
  assert.ok(seen.panels.length >= 6);
  assert.equal(seen.stale, 0);
  return seen.url;
}

export async function done(page) {
  const faults = page.faults;
  await page.context().close();
  assert.deepEqual(faults, []);
}

export async function press(page, key) {
  await page.keyboard.press(/^[A-Z]$/.test(key) ? `Shift+${key}` : key);
  await settled(page);
}
