import { html } from "../vendor/lit-html.js";
import { countUntil } from "../lib/moments.js";
import { visible } from "../lib/text.js";
import { coverage, emptyView, errorView, momentLink } from "./parts.js";

// What the run printed, each piece with the moment at which it was printed.
export function outputView(app) {
  const slot = app.slots.output;
  const answer = slot.shown;
  if (answer?.error) return errorView(app, answer.error);
  if (!answer) return emptyView("Looking…");
  if (answer.done && !answer.rows.length) return emptyView("The run printed nothing to standard output or standard error.");
  return html`<div class="strip"><span class="dim">what the run printed</span><span class="end dim">${coverage(slot, "piece", "pieces")}</span></div>
    <urd-list class="output" .data=${{ rows: answer.rows, height: 22, now: app.at ? countUntil(answer.rows, app.at) : -1, nowText: app.at ?? "",
      focusKey: answer.key, label: "Output", rowClass: (o) => (Number(o.fd) === 2 ? "stderr" : ""),
      onopen: (o) => app.actions.go(o.moment),
      row: (o) => html`<span class="c-moment">${momentLink(app, o.moment)}</span><span class="c-fd dim">${Number(o.fd) === 2 ? "err" : "out"}</span><span class="c-text">${visible((o.text ?? "").replace(/\n$/, "").replaceAll("\n", "⏎"))}</span>` }}></urd-list>`;
}
