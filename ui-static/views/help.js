import { html } from "../vendor/lit-html.js";
import { keys } from "../lib/keys.js";

export function helpView(app) {
  const groups = [...new Set(keys.map((k) => k.group))];
  return html`<dialog id="help" aria-label="Keys" @click=${(e) => { if (e.target.id === "help") e.target.close(); }}>
    <div class="help"><h2>Keys</h2><p class="dim">Shift goes backwards. A link with ◷ goes to its moment; nothing else moves in time.</p>
    <div class="groups">${groups.map((g) => html`<section><h3>${g}</h3><dl>${keys.filter((k) => k.group === g).map((k) => html`
      <dt><kbd>${k.key}</kbd>${k.back ? html` <kbd>${k.key.toUpperCase()}</kbd>` : ""}</dt><dd>${k.help}${k.back ? ", and back" : ""}</dd>`)}</dl></section>`)}
    <section><h3>Ask</h3><dl>
      <dt><code>cache.value[3]</code></dt><dd>all writes to it</dd>
      <dt><code>print f.c:42 'n {n}' --if 'n > 2'</code></dt><dd>what it would have printed</dd>
      <dt><code>calls store</code></dt><dd>every call</dd>
      <dt><code>lines f.c:42</code></dt><dd>every run of the line</dd>
      <dt><code>f.c:42</code></dt><dd>look at the line</dd>
      <dt><code>1042:318</code></dt><dd>go to the moment</dd>
      <dt><code>: SELECT …</code></dt><dd>SQL</dd></dl></section></div>
    <label><input type="checkbox" .checked=${app.letters} @change=${(e) => app.actions.letters(e.target.checked)} /> single letters are keys</label>
    <form method="dialog"><button>close</button></form></div></dialog>`;
}
