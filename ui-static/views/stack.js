import { html, nothing } from "../vendor/lit-html.js";
import { visible } from "../lib/text.js";
import { emptyView, errorView, place } from "./parts.js";

export function stackView(app) {
  const { part, at, stale } = app.part("stack");
  const task = app.place ? `task ${app.place.tid}` : "";
  return html`<section class=${`stack ${stale ? "stale" : ""}`} data-panel="stack" data-at=${at ?? ""} aria-label="Stack">
    <h2>Stack <span class="dim">${task}</span></h2>
    <div class="scroll">${!part ? nothing : part.error ? errorView(app, part.error) : part.rows.length === 0 ? emptyView("No frames here.")
      : part.rows.map((f) => html`<button class=${`frame ${f.depth === app.state.frame ? "current" : ""}`} data-frame=${f.depth}
          aria-current=${f.depth === app.state.frame} title=${f.moment ? `called at ${f.moment}` : f.inlined ? "inlined" : ""} @click=${() => app.actions.frame(f.depth)}>
          <span aria-hidden="true">${f.depth === app.state.frame ? "▶" : " "}</span>
          <span class="call" title=${visible(f.args ?? "")}>${visible(f.function ?? f.pc)}<span class="args">(${visible(f.args ?? "")})</span></span> <span class="dim place">${place(f)}</span></button>`)}
    </div></section>`;
}
