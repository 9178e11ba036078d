// Small pieces that several panels use.
import { html, nothing } from "../vendor/lit-html.js";
import { visible } from "../lib/text.js";
import { caretOf, mended } from "../lib/ask.js";
import { atMoment, toUrl } from "../lib/url.js";

// The only thing, beside the move keys, that changes the moment: a real link with a clock.
export function momentLink(app, at, text = at) {
  if (!at) return nothing;
  return html`<a class="moment" data-at=${at} href=${toUrl(atMoment(app.state, at))}><span aria-hidden="true">◷ </span>${text}</a>`;
}

export function place(row) {
  if (!row.file) return visible(row.module ?? "");
  return visible(`${row.file.split("/").pop()}${row.line ? `:${row.line}` : ""}`);
}

export function errorView(app, error, question = null) {
  const caret = caretOf(question, error);
  const better = mended(question, error);
  return html`<div class="error" role="alert">
    <p><b>${error.kind === "nothing" ? "Nothing: " : "Error: "}</b>${visible(error.message)}</p>
    ${caret ? html`<pre>${visible(caret.text)}\n${" ".repeat(caret.offset)}<b>^</b></pre>` : nothing}
    ${better ? html`<p>Did you mean <button class="link" @click=${() => app.actions.askLine(better)}>${visible(better)}</button>?</p>` : nothing}
    ${error.what_to_do ? html`<p class="dim">${visible(error.what_to_do)}</p>` : nothing}
  </div>`;
}

// An empty panel says why it is empty.
export function emptyView(...text) {
  return html`<p class="empty">${text}</p>`;
}

export const isPartial = (slot) => Boolean(slot?.shown?.summary?.complete?.partial);

// What an answer does not know, as not all of the run is indexed: from where to where, and how to have it.
export function partialView(app, slot) {
  if (!isPartial(slot)) return nothing;
  const { missing = [], extend, indexing } = slot.shown.summary.complete;
  const most = 4;
  return html`<div class="band partial" role="status"><b>Partial:</b> not indexed, and so not known, is ${missing.slice(0, most).map((m, i) =>
    html`${i ? ", " : ""}${momentLink(app, m.from)} to ${momentLink(app, m.to)}`)}${missing.length > most ? ` and ${missing.length - most} more` : ""}.
    ${indexing ? "urd index is running: this grows." : html`To add it: <code>${visible(extend ?? "urd index")}</code>`}</div>`;
}

// "12 writes, complete" or what is missing.
export function coverage(answer, one, many) {
  if (!answer?.shown) return "";
  const { rows, summary, capped, done, ms } = answer.shown;
  const n = rows.length.toLocaleString("en").replaceAll(",", "\u202f");
  const what = `${n} ${rows.length === 1 ? one : many}`;
  if (capped) return `the first ${what}; there are more: narrow the question`;
  if (!done) return `${what} so far`;
  const complete = summary?.complete;
  if (!complete) return what;
  if (complete.partial) return `${what}, partial, ${ms} ms`;
  return `${what}, ${complete.truncated ? `not all: covers ${complete.covers}` : "complete"}, ${ms} ms`;
}
