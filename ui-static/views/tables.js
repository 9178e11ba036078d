// Lists without tricks: calls, runs of a line, events, SQL.
import { html, nothing } from "../vendor/lit-html.js";
import { countUntil, isMoment } from "../lib/moments.js";
import { grouped, visible } from "../lib/text.js";
import { coverage, emptyView, errorView, isPartial, momentLink, partialView, place } from "./parts.js";

function table(app, slot, more) {
  const answer = slot.shown;
  return html`<urd-list .data=${{ rows: answer.rows, height: 24, now: app.at && !more.timeless ? countUntil(answer.rows, app.at) : -1, nowText: app.at ?? "",
    focusKey: answer.key, rowClass: null, onopen: (r) => r.moment && app.actions.go(r.moment), ...more }}></urd-list>`;
}

function asked(app, kind, hint, one, many, tableView) {
  const question = app.questions.get(kind);
  const slot = app.slots[kind];
  if (!question) return emptyView(hint);
  if (app.waits.has(question.line)) return emptyView(`${question.line} came with the link. `, html`<button @click=${() => app.actions.run(question)}>Run it</button>`);
  if (slot.shown?.error) return errorView(app, slot.shown.error, question);
  if (!slot.shown) return emptyView("Looking…");
  return html`<div class="strip"><b>${visible(question.line)}</b><span class="end dim">${coverage(slot, one, many)}</span></div>${partialView(app, slot)}${
    slot.shown.done && !slot.shown.rows.length ? emptyView(isPartial(slot) ? "None in what is indexed." : "None in this run.") : tableView(question, slot)}`;
}

export function callsView(app) {
  return asked(app, "calls", "Every call of a function: press c in it, or ask: calls store", "call", "calls", (q, slot) => table(app, slot, {
    label: "Calls",
    row: (c) => html`<span class="c-moment">${momentLink(app, c.moment)}</span>
      <span class="c-call">${visible(c.function)}(${(c.args ?? []).map((a, i) => html`${i ? ", " : ""}${visible(a.name)}=<b>${visible(a.value ?? "?")}</b>`)})</span>
      <span class="c-change">${c.return_moment ? html`→ <b>${visible(c.returned ?? "")}</b> ${momentLink(app, c.return_moment)}` : html`<span class="dim">did not return</span>`}</span>
      <span class="c-place dim">${visible(c.caller ?? "")} ${place(c)}</span><span class="c-rest dim">${c.steps === null || c.steps === undefined ? "" : `${grouped(c.steps)} steps`}</span>` }));
}

export function linesView(app) {
  return asked(app, "lines", "Every time a line ran: press l on it, or ask: lines isqrt.c:25", "run", "runs", (q, slot) => table(app, slot, {
    label: "Runs of the line",
    row: (l) => html`<span class="c-moment">${momentLink(app, l.moment)}</span><span class="c-name">${visible(l.function ?? "")}</span>
      <span class="c-place">${place(l)}</span><span class="c-rest dim">task ${l.tid}</span>` }));
}

export function eventsView(app) {
  const slot = app.slots.events;
  if (slot.shown?.error) return errorView(app, slot.shown.error);
  if (!slot.shown) return emptyView("Looking…");
  return html`<div class="strip"><span class="dim">where something from outside came in</span><span class="end dim">${coverage(slot, "event", "events")}</span></div>
    ${table(app, slot, { label: "Events", row: (e) => html`<span class="c-moment">${momentLink(app, e.moment)}</span><span class="c-name">${visible(e.kind)}</span>
      <span class="c-text">${visible(e.text ?? e.syscall ?? e.signal ?? "")}${e.syscall ? html`<span class="dim"> = ${e.result}</span>` : nothing}</span><span class="c-rest dim">task ${e.tid}</span>` })}`;
}

export function sqlView(app) {
  const question = app.questions.get("sql");
  const slot = app.slots.sql;
  const waits = question && app.waits.has(question.line);
  const form = html`<div class="strip"><form class="print" @submit=${(e) => app.actions.sql(e)}><b>SQL</b>
    <input name="sql" aria-label="SQL" class="w-sql" spellcheck="false" autocomplete="off" placeholder="SELECT * FROM writes, calls, lines, events, syscalls, outputs, tasks, mappings, symbols" .value=${question?.fields.sql ?? ""} />
    <button>Run</button></form><span class="end dim">${question && !waits ? coverage(slot, "row", "rows") : ""}</span></div>`;
  if (!question) return html`${form}${emptyView("Tables: writes, calls, lines, events, syscalls, outputs, tasks, mappings, symbols.")}`;
  if (waits) return html`${form}${emptyView("This statement came with the link: Run sends it.")}`;
  if (slot.shown?.error) return html`${form}${errorView(app, slot.shown.error, question)}`;
  if (!slot.shown) return html`${form}${emptyView("Looking…")}`;
  const columns = slot.shown.summary?.columns ?? Object.keys(slot.shown.rows[0] ?? {});
  return html`${form}${partialView(app, slot)}<div class="columns">${columns.map((c) => html`<span>${visible(c)}</span>`)}</div>
    ${table(app, slot, { label: "Rows", timeless: true, row: (r) => columns.map((c) => html`<span class="c-sql">${cell(app, c, r[c])}</span>`) })}`;
}

function cell(app, column, value) {
  if (value === null || value === undefined) return html`<span class="dim">NULL</span>`;
  if (/moment$/.test(column) && isMoment(String(value))) return momentLink(app, String(value));
  if (/clock$/.test(column) && /^\d+$/.test(String(value))) return momentLink(app, `@${value}`, String(value));
  return visible(typeof value === "object" ? JSON.stringify(value) : value);
}
