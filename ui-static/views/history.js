import { html, nothing } from "../vendor/lit-html.js";
import { countBefore } from "../lib/moments.js";
import { visible } from "../lib/text.js";
import { coverage, emptyView, errorView, isPartial, momentLink, partialView, place } from "./parts.js";

// The writes to a value, in time, with "now" across.
export function historyView(app) {
  const question = app.questions.get("blame");
  if (!question) return emptyView("Click a value, or ask for a name (/): all writes to it come here, with the moments to go to.");
  const slot = app.slots.blame;
  const answer = slot.shown;
  if (answer?.error) return errorView(app, answer.error, question);
  if (!answer) return emptyView("Looking…");
  const now = app.at ? countBefore(answer.rows, app.at) : -1;
  const last = answer.rows[now - 1];
  const here = answer.rows[now]?.moment === app.at ? answer.rows[now] : null;
  return html`<div class="strip"><b>${visible(question.fields.expr)}</b>
      ${last ? html` = <span>${visible(last.new ?? "")}</span> <span class="dim">now, ${isPartial(slot) ? "last written, as far as is indexed," : "last written"} ${momentLink(app, last.moment)} by ${visible(last.syscall ? `${last.syscall}(2)` : last.function ?? "?")}</span>`
        : html`<span class="dim"> ${answer.rows.length ? "not written yet at this moment" : !answer.done ? "" : isPartial(slot) ? "no write that is indexed" : "is never written in this run"}${answer.summary?.value && !answer.rows.length ? html`; it is ${visible(answer.summary.value)}` : nothing}</span>`}
      ${here ? html`<span class="hit">; written here: ${visible(here.old ?? "?")} → <b>${visible(here.new ?? "?")}</b></span>` : nothing}
      <span class="end dim">${coverage(slot, "write", "writes")}</span></div>${partialView(app, slot)}
    <urd-list class="history" .data=${{
      rows: answer.rows, height: 25, now, nowText: app.at ?? "", focusKey: answer.key, label: "Writes", row: (w) => writeView(app, w),
      rowClass: (w) => (w === here ? "here" : app.at && w === last ? "last" : ""), onopen: (w) => app.actions.go(w.moment) }}></urd-list>`;
}

function writeView(app, w) {
  return html`<span class="c-moment">${momentLink(app, w.moment)}</span>
    <span class="c-change" title=${`${w.old ?? "?"} → ${w.new ?? "?"}`}>${visible(w.old ?? "—")} → <b>${visible(w.new ?? "?")}</b></span>
    ${w.syscall ? html`<span class="c-name kernel">${visible(w.syscall)}(2)</span>` : html`<span class="c-name">${visible(w.function ?? w.pc ?? "")}</span>`}
    <span class="c-place">${w.file ? html`<button class="link" @click=${() => app.actions.look(w.file, w.line)}>${place(w)}</button>` : nothing}</span>
    <span class="c-rest dim">${visible(w.process ?? "")} ${w.size} bytes at ${w.address}</span>`;
}
