// <urd-list>: a list of any length of which only the visible rows exist. It opens where "now" is, keeps its place when
// it grows, and moves a selection with the arrow keys.
//
// Properties: rows (anything with length), row(item, index) -> template, height (of a row), now (rows before the now line,
// or -1), nowText, focusRow (row to bring on the screen when it changes), block {after, height, view}, onopen(item), label,
// rowClass(item, index), rowAt (optional accessor for rows that are not an array).
import { html, render, nothing } from "../vendor/lit-html.js";
import * as virtual from "../lib/virtual.js";

export class UrdList extends HTMLElement {
  constructor() {
    super();
    Object.assign(this, { rows: [], height: 22, now: -1, nowText: "", focusRow: -1, focusKey: null, block: null, label: "", share: 0.4 });
    this.selected = -1;
    this.queued = false;
    this.lastFocus = null;
    this.scroller = null;
  }

  connectedCallback() {
    this.tabIndex = 0;
    this.setAttribute("role", "grid");
    this.addEventListener("scroll", () => this.refresh());
    this.addEventListener("keydown", (e) => this.key(e));
    this.addEventListener("click", (e) => {
      const row = e.target.closest?.("[data-row]");
      if (row) this.select(Number(row.dataset.row));
    });
    this.addEventListener("dblclick", (e) => {
      const row = e.target.closest?.("[data-row]");
      if (row && !e.target.closest("a,button,input")) this.onopen?.(this.rows[Number(row.dataset.row)]);
    });
    this.observer = new ResizeObserver(() => {
      this.lastFocus = this.touched ? this.lastFocus : null; // it had no size when it was first filled
      this.refresh();
    });
    this.observer.observe(this);
  }

  disconnectedCallback() {
    this.observer.disconnect();
  }

  // lit sets the properties one by one; the last binding is .data, which draws.
  set data(value) {
    Object.assign(this, value);
    this.refresh();
  }

  // The now line is a row of its own between the others.
  get list() {
    return { rows: this.rows.length + (this.now >= 0 ? 1 : 0), rowHeight: this.height, blockAfter: this.block ? this.block.after : -1,
      blockHeight: this.block?.height ?? 0 };
  }

  refresh() {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      if (this.isConnected) this.draw();
    });
  }

  draw() {
    const list = this.list;
    const view = this.clientHeight;
    const focus = this.focusRow >= 0 ? this.focusRow : this.now;
    const key = `${this.focusKey}|${focus}`;
    let top = this.scrollTop;
    if (focus >= 0 && view && key !== this.lastFocus) {
      this.touched = true;
      const fresh = this.lastFocus === null || !this.lastFocus.startsWith(`${this.focusKey}|`);
      this.lastFocus = key;
      if (fresh || !virtual.isVisible(list, Math.min(focus, list.rows - 1), top, view)) top = virtual.scrollTo(list, focus, view, this.share);
    }
    const w = virtual.windowOf(list, top, view);
    const rows = [];
    for (let i = w.first; i < w.last; i++) {
      if (i === this.now) rows.push(html`<div class="now" role="row">now ${this.nowText}</div>`);
      else {
        const index = this.now >= 0 && i > this.now ? i - 1 : i;
        const item = this.rows[index];
        rows.push(html`<div role="row" aria-rowindex=${index + 1} data-row=${index}
          class=${`row ${index === this.selected ? "selected " : ""}${this.rowClass?.(item, index) ?? ""}`}>${this.row(item, index)}</div>`);
      }
      if (this.block && i === this.block.after) rows.push(html`<div class="block">${this.block.view}</div>`);
    }
    this.setAttribute("aria-rowcount", String(this.rows.length));
    this.setAttribute("aria-label", this.label);
    render(html`<div class="fill"><div class="rows">${rows.length ? rows : nothing}</div></div>`, this);
    const fill = this.firstElementChild;
    fill.style.height = `${virtual.heights(list).scroll}px`;
    fill.firstElementChild.style.transform = `translateY(${w.y}px)`;
    if (top !== this.scrollTop) this.scrollTop = top;
  }

  select(index) {
    this.selected = Math.max(0, Math.min(this.rows.length - 1, index));
    const at = this.now >= 0 && this.selected >= this.now ? this.selected + 1 : this.selected;
    if (!virtual.isVisible(this.list, at, this.scrollTop, this.clientHeight))
      this.scrollTop = virtual.scrollTo(this.list, at, this.clientHeight, 0.5);
    this.onselect?.(this.rows[this.selected], this.selected);
    this.refresh();
  }

  key(e) {
    if (e.target !== this || e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (e.key in steps) {
      const from = this.selected >= 0 ? this.selected : Math.max(0, this.now >= 0 ? this.now - (steps[e.key] > 0 ? 1 : 0) : 0);
      this.select(steps[e.key] === Infinity ? this.rows.length - 1 : steps[e.key] === -Infinity ? 0 : from + steps[e.key]);
    } else if (e.key === "Enter" && this.selected >= 0) this.onopen?.(this.rows[this.selected]);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }
}

customElements.define("urd-list", UrdList);
