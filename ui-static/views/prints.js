import { html, nothing } from "../vendor/lit-html.js";
import { countUntil } from "../lib/moments.js";
import { visible } from "../lib/text.js";
import { coverage, emptyView, errorView, isPartial, momentLink, partialView } from "./parts.js";

// The fields of a print statement; also shown inside the source, below its line.
export function printForm(app, fields, more = nothing) {
  return html`<form class="print" @submit=${(e) => app.actions.print(e)} @keydown=${(e) => { if (e.key === "Escape") app.actions.closePrint(); }}>
    <b>print</b>
    <input name="location" aria-label="location" class="w-location" spellcheck="false" autocomplete="off" placeholder="file.c:42 or function" .value=${fields.location ?? ""} />
    <input name="text" aria-label="text" class="w-text" spellcheck="false" autocomplete="off" placeholder="text with {expressions}" .value=${fields.text ?? ""} />
    <b>if</b> <input name="condition" aria-label="condition" class="w-if" spellcheck="false" autocomplete="off" placeholder="always" .value=${fields.condition ?? ""} />
    <button>Print</button>${more}</form>`;
}

export function printsView(app) {
  const question = app.questions.get("print");
  const slot = app.slots.print;
  const answer = slot.shown;
  const waits = question && app.waits.has(question.line);
  const form = html`<div class="strip">${printForm(app, question?.fields ?? app.printDraft ?? {})}
    <span class="end dim">${question && !waits ? coverage(slot, "print", "prints") : ""}</span></div>`;
  if (!question) return html`${form}${emptyView("What would this statement have printed? {n} is the value of n, {n:x} in hexadecimal. A click on a line's count fills this in.")}`;
  if (waits) return html`${form}${emptyView("This print came with the link. ", html`<button @click=${() => app.actions.run(question)}>Run it</button>`)}`;
  if (answer?.error && answer.key) return html`${form}${errorView(app, answer.error, question)}`;
  if (!answer) return html`${form}${emptyView("Printing…")}`;
  if (answer.done && !answer.rows.length) return html`${form}${partialView(app, slot)}${emptyView(isPartial(slot) ? "It would have printed nothing in what is indexed." : "It would never have printed.")}`;
  return html`${form}${partialView(app, slot)}<urd-list class="prints" .data=${{ rows: answer.rows, height: 22, now: app.at ? countUntil(answer.rows, app.at) : -1,
    nowText: app.at ?? "", focusKey: answer.key, label: "Prints", onopen: (p) => app.actions.go(p.moment), row: (p) => printRow(app, p) }}></urd-list>`;
}

export function printRow(app, p) {
  return html`<span class="c-moment">${momentLink(app, p.moment)}</span><span class="c-text">${visible(p.text)}</span>`;
}
