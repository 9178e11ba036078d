import { html, nothing } from "../vendor/lit-html.js";
import { visible } from "../lib/text.js";
import { emptyView, errorView, momentLink, place } from "./parts.js";

const missing = { optimised_out: "optimised out here", not_recorded: "not recorded", unreadable: "cannot be read", not_there: "not there now", too_large: "too large to show" };

export function valuesView(app) {
  const { part, at, stale } = app.part("vars");
  return html`<section class=${`values ${stale ? "stale" : ""}`} data-panel="values" data-at=${at ?? ""} aria-label="Values">
    <h2>Values <span class="dim">at ${at ?? ""}</span></h2>
    <div class="scroll" role="tree" aria-label="Values">${!part ? nothing : part.error ? errorView(app, part.error)
      : part.rows.length === 0 ? emptyView("No variables in this frame.") : part.rows.map((row) => valueView(app, row, 0))}</div></section>`;
}

function valueView(app, row, depth) {
  const open = row.has_children && app.expanded.has(row.expr);
  const fold = row.has_children
    ? html`<button class="fold" aria-label=${open ? "close" : "open"} @click=${() => app.actions.expand(row.expr)}>${open ? "▾" : "▸"}</button>`
    : html`<span class="fold"></span>`;
  return html`<div class=${`value ${row.changed ? "changed" : ""} ${row.expr === app.selectedValue ? "selected" : ""}`} role="treeitem"
      aria-level=${depth + 1} aria-expanded=${row.has_children ? String(Boolean(open)) : nothing} data-expr=${row.expr} @click=${() => app.actions.selectValue(row.expr)}>
      <span class=${`indent d${Math.min(depth, 8)}`}></span>${fold}
      <button class="name" title=${`${row.type ?? ""} — who wrote it (w)`} @click=${() => app.actions.blame(row.expr)}>${row.changed ? "* " : ""}${visible(row.name)}</button>
      ${row.status && row.status !== "ok"
        ? html`<span class="missing" title=${visible(row.reason ?? "")}>${missing[row.status] ?? row.status}${row.reason ? `: ${visible(row.reason)}` : ""}
            ${row.last?.moment ? html`, ${momentLink(app, row.last.moment, `last ${row.last.moment}`)}` : nothing}</span>`
        : html`<span class="what" title=${`${visible(row.value ?? "")}\n${row.type ?? ""}`}>${visible(row.value ?? "")}</span>`}
      ${row.changed && row.last?.moment ? momentLink(app, row.last.moment, `${visible(row.last.function ?? "")} ${place(row.last)}`) : html`<span class="dim kind">${row.kind === "member" || row.kind === "element" ? visible(row.type ?? "") : row.kind ?? ""}</span>`}
    </div>${open ? childrenView(app, row, depth) : nothing}`;
}

function childrenView(app, row, depth) {
  const answer = app.childrenOf(row.expr);
  if (!answer) return html`<div class="dim value">…</div>`;
  if (answer.error) return errorView(app, answer.error);
  const total = answer.summary?.total;
  return html`${answer.rows.map((child) => valueView(app, child, depth + 1))}${total > answer.rows.length
    ? html`<div class="dim value">${answer.rows.length} of ${total}: ask for one by its index</div>` : nothing}`;
}
