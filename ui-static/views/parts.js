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
  return `${what}, ${complete.truncated ? `not all: covers ${complete.covers}` : "complete"}, ${ms} ms`;
}
