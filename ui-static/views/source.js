import { html, nothing } from "../vendor/lit-html.js";
import { countUntil } from "../lib/moments.js";
import { colours, names } from "../lib/syntax.js";
import { grouped, short, visible } from "../lib/text.js";
import { emptyView, errorView } from "./parts.js";
import { printForm, printRow } from "./prints.js";

// The file at the moment's frame: what ran, how often, and where we are.
export function sourceView(app) {
  const { part, at, stale } = app.part("lines");
  const code = app.part("code");
  let body;
  let title = "";
  let note = "";
  if (code.part) {
    const file = part?.summary?.file;
    title = app.place?.function ? visible(app.place.function) : "code";
    note = file ? `the source ${file} is not there; instructions` : "no debug information; instructions";
    body = codeView(app, code.part);
  } else if (!part) body = nothing;
  else if (part.error) body = errorView(app, part.error);
  else {
    const s = part.summary;
    title = visible(s.file.split("/").pop());
    const here = inThisCall(part, app);
    note = s.differs ? "the file differs from the one that ran" : here;
    body = linesView(app, part);
  }
  const looked = app.state.src;
  return html`<section class=${`source ${stale ? "stale" : ""}`} data-panel="source" data-at=${(code.part ? code.at : at) ?? ""} aria-label="Source">
    <h2 title=${visible(part?.summary?.path ?? "")}>${title} <span class="dim">${visible(note)}</span>
      ${looked ? html`<button class="end" @click=${() => app.actions.look(null)}>back to the moment</button>` : nothing}</h2>${body}</section>`;
}

function inThisCall(part, app) {
  if (!part.in_call.length) return "";
  return `${part.in_call.length} lines ran in this call so far`;
}

function noteOf(app, part, line, text) {
  const count = part.counts[line - 1];
  if (line === part.current && !app.state.src) {
    const values = new Map((app.part("vars").part?.rows ?? []).map((v) => [v.name, v]));
    const found = names(text, part.starts[line - 1]).map((n) => values.get(n)).filter((v) => v && v.status === "ok" && !v.has_children);
    return found.slice(0, 4).map((v) => `${visible(v.name)} = ${visible(v.value)}`).join("   ");
  }
  if (!part.inCall.size || line < part.firstIn || line > part.lastIn || part.inCall.has(line) || count === null) return "";
  return count === 0 ? "never" : `${short(count)} in other calls`;
}

function linesView(app, part) {
  const wanted = app.state.src ? Number(/:(\d+)$/.exec(app.state.src)?.[1] ?? 0) : part.current;
  const block = printBlock(app, part);
  return html`<urd-list class="lines" .data=${{
    rows: part.text, height: 18, focusRow: wanted ? wanted - 1 : 0, focusKey: `${part.summary.path}|${part.summary.file}`, label: "Source", block,
    rowClass: (text, i) => `${i + 1 === part.current ? "here" : part.inCall.has(i + 1) ? "in-call" : ""} ${i + 1 === wanted && app.state.src ? "looked" : ""}`,
    onselect: (text, i) => { app.selectedLine = i + 1; },
    row: (text, i) => {
      const count = part.counts[i];
      const line = i + 1;
      return html`<button class="count" tabindex="-1" title=${count === null ? "no code" : count === 0 ? "never executed" : `executed ${grouped(count)} times: print here (p)`}
          ?disabled=${count === null} @click=${() => app.actions.printAt(`${part.summary.file}:${line}`)}>${count === null ? "" : count === 0 ? "·" : short(count)}</button>
        <span class="number">${line}</span><code>${colours(text, part.starts[i]).map(([colour, t]) => colour ? html`<span class=${colour}>${visible(t)}</span>` : visible(t))}</code>
        <span class="note">${noteOf(app, part, line, text)}</span>`;
    } }}></urd-list>`;
}

// The print statement of this file that is being written or has been asked, below its line.
function printBlock(app, part) {
  const asked = app.questions.get("print");
  const fields = app.printDraft ?? asked?.fields;
  const at = /^(.*):(\d+)$/.exec(fields?.location ?? "");
  if (!at || at[1] !== part.summary.file) return null;
  const answer = !app.printDraft && asked && !app.waits.has(asked.line) ? app.slots.print.shown : null;
  const rows = answer?.rows ?? [];
  const now = app.at ? countUntil(rows, app.at) : 0;
  const first = Math.max(0, Math.min(now - 1, rows.length - 2));
  const shown = rows.slice(first, first + 2);
  return { after: Number(at[2]) - 1, height: 34 + 20 * Math.max(shown.length, answer?.error ? 1 : 0), view: html`<div class="inline-print">
    ${printForm(app, fields, html`<span class="hits">${answer ? `${Math.min(now, rows.length)} / ${grouped(rows.length)}` : ""}</span>
      <button type="button" title="previous (,)" @click=${() => app.actions.hitOf("print", true)}>‹</button><button type="button" title="next (.)" @click=${() => app.actions.hitOf("print", false)}>›</button>
      <button type="button" title="close (Escape)" @click=${() => app.actions.closePrint()}>×</button>`)}
    ${answer?.error ? html`<div class="line error-text">${visible(answer.error.message)}</div>` : shown.map((p) => html`<div class="line">${printRow(app, p)}</div>`)}</div>` };
}

function codeView(app, part) {
  if (part.error) return errorView(app, part.error);
  if (!part.rows.length) return emptyView("There is no code here.");
  const current = part.rows.findIndex((r) => r.current);
  return html`<urd-list class="lines code" .data=${{ rows: part.rows, height: 18, focusRow: current, focusKey: part.rows[0].pc, label: "Instructions",
    block: null, rowClass: (r) => (r.current ? "here" : ""),
    row: (r) => html`<span class="count">${r.count === null || r.count === undefined ? "" : r.count === 0 ? "·" : short(r.count)}</span><span class="pc">${r.pc}</span>
      <span class="bytes dim">${r.bytes}</span><code>${visible(r.text)}</code><span class="note">${visible(r.function ?? "")}</span>` }}></urd-list>`;
}
