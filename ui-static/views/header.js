import { html, nothing } from "../vendor/lit-html.js";
import { visible } from "../lib/text.js";

const moves = [
  ["|<", "start", false, "start of the run"],
  ["<<", "event", true, "previous event (E)"],
  ["<", "line", true, "previous line (N)"],
  [">", "line", false, "next line (n)"],
  [">>", "event", false, "next event (e)"],
  [">|", "end", false, "end of the run"],
];

export function headerView(app) {
  const { state, info } = app;
  const place = app.place;
  const at = state.at && !state.at.startsWith("@") ? state.at : place?.at ?? "…";
  const percent = Number.isFinite(place?.percent) ? `${Math.floor(Number(place.percent))} %` : "";
  return html`<header data-panel="header" data-at=${at}>
    <b>urd</b><span class="name" title=${(info?.argv ?? []).join(" ")}>${visible(info?.name ?? "")}</span>
    <button class="at" title="Go to a moment (g)" @click=${() => app.actions.goto()}>${at}</button>
    <span class="dim percent">${percent}</span>
    <span class="moves" role="group" aria-label="Moves">
      ${moves.map(([text, kind, back, title]) => html`<button title=${title} aria-label=${title} @click=${() => app.actions.move(kind, back)}>${text}</button>`)}
    </span>
    <form class="ask" role="search" @submit=${(e) => app.actions.submit(e)}>
      <input id="ask" name="ask" autocomplete="off" spellcheck="false" role="combobox" aria-expanded=${app.suggestions.length > 0}
        aria-controls="suggestions" aria-label="Ask" placeholder="/ ask: name, value, file:line, moment, print, calls, : SQL"
        @input=${(e) => app.actions.suggest(e.target.value)} @keydown=${(e) => app.actions.askKey(e)} @blur=${() => app.actions.suggest("")} />
      ${app.suggestions.length ? html`<ul id="suggestions" role="listbox">${app.suggestions.map((s, i) => html`
        <li role="option" aria-selected=${i === app.suggested} @pointerdown=${(e) => { e.preventDefault(); app.actions.take(s); }}>
          <b>${visible(s.name)}</b> <span class="dim">${s.kind} ${visible(s.file ?? "")}</span></li>`)}</ul>` : nothing}
      ${app.askError ? html`<div class="ask-error error" role="alert"><pre>${app.askError.text}\n${" ".repeat(app.askError.error.offset ?? 0)}<b>^</b></pre>
        <p>${visible(app.askError.error.message)}</p><p class="dim">${app.askError.error.what_to_do ?? ""}</p></div>` : nothing}
    </form>
    <button title="Keys (?)" aria-label="Help" @click=${() => app.actions.help()}>?</button>
  </header>`;
}
