import { html, nothing } from "../vendor/lit-html.js";
import { visible } from "../lib/text.js";

export function statusView(app) {
  const slow = app.slowWork();
  return html`<footer>
    <code class="cli" title="the same question on the command line">${visible(app.cli())}</code>
    <button title="copy (y)" @click=${() => app.actions.copy()}>${app.copied ? "copied" : "copy"}</button>
    ${slow ? html`<span class="work" role="status">${slow} <button @click=${() => app.actions.stop()}>stop</button></span>` : nothing}
    <span class="end" role="status">${visible(app.note ?? "")}</span></footer>`;
}

export function stripsView(app) {
  const { info } = app;
  return html`${app.gone ? html`<div class="band error" role="alert">The server is gone. Start it again: <code>urd serve${info ? ` -t ${visible(info.name)}` : ""}</code>
      <button @click=${() => app.actions.retry()}>try again</button></div>` : nothing}
    ${info && info.indexed === false ? html`<div class="band" role="status">This trace is not indexed yet: counts, histories, calls and prints need it.
      ${info.indexing ? "urd index is running: they come." : html`Run <code>urd index -t ${visible(info.name)}</code>.`}</div>` : nothing}
    ${info?.missing?.length ? html`<div class="band partial" role="status">Only a part of the run is indexed${info.indexing ? ": urd index is running, and answers grow"
      : html`. All of it: <code>urd index -t ${visible(info.name)}</code>`}. What an answer does not know is said with it, and hatched in the timeline.</div>` : nothing}
    ${info?.torn ? html`<div class="band" role="status">The recording was cut off: what is here is all that was written down.</div>` : nothing}
    ${app.infoError && !app.gone ? html`<div class="band error" role="alert">${visible(app.infoError.message)} ${visible(app.infoError.what_to_do ?? "")}</div>` : nothing}`;
}
