// The timeline: a canvas that is drawn from the list that lib/timeline.js makes. Everything on it is also a row of a panel.
import { html } from "../vendor/lit-html.js";
import * as maths from "../lib/timeline.js";
import { visible } from "../lib/text.js";

const tasks = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]; // told apart by the colour-blind too

export class UrdTimeline extends HTMLElement {
  connectedCallback() {
    this.canvas = document.createElement("canvas");
    this.append(this.canvas);
    this.tabIndex = 0;
    this.setAttribute("role", "slider");
    this.setAttribute("aria-label", "Moment");
    this.addEventListener("pointerdown", (e) => this.down(e));
    this.addEventListener("pointermove", (e) => this.movePointer(e));
    this.addEventListener("pointerup", () => this.up());
    this.addEventListener("pointercancel", () => this.up());
    this.addEventListener("pointerleave", () => { this.title = ""; });
    this.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", () => this.draw());
  }

  disconnectedCallback() {
    this.observer.disconnect();
  }

  set data(value) {
    this.model = value;
    this.draw();
  }

  get plot() {
    return Math.max(50, this.clientWidth - maths.lane.label - 6 - maths.lane.pad);
  }

  get range() {
    return this.model.range ?? [0, this.model.end];
  }

  draw() {
    if (!this.model?.end || !this.clientWidth) return;
    const m = this.model;
    const view = { width: this.plot, range: this.range, now: this.dragging ?? m.now };
    const list = maths.layout(m, view);
    this.list = list;
    this.style.height = `${list.height + 8}px`;
    const scale = devicePixelRatio || 1;
    const { canvas } = this;
    canvas.width = Math.round(this.clientWidth * scale);
    canvas.height = Math.round((list.height + 8) * scale);
    canvas.style.width = `${this.clientWidth}px`;
    canvas.style.height = `${list.height + 8}px`;
    const g = canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 4 * scale);
    paint(g, list, view, colours(this));
    this.setAttribute("aria-valuemin", "0");
    this.setAttribute("aria-valuemax", String(m.end));
    this.setAttribute("aria-valuenow", String(view.now ?? 0));
    this.setAttribute("aria-valuetext", m.at ?? "");
  }

  // Where the pointer is: {x in the plot, lane, clock, mark or null}
  hit(e) {
    const box = this.getBoundingClientRect();
    const x = e.clientX - box.left - maths.lane.label - 6;
    const y = e.clientY - box.top - 4;
    const lane = this.list?.lanes.find((l) => y >= l.y && y < l.y + l.height);
    const range = lane?.name === "all" ? [0, this.model.end] : this.range;
    const marks = lane && ["ticks", "outputs", "alert", "hits"].includes(lane.kind) ? maths.nearest(lane.items, x) : null;
    return { x, lane, clock: maths.toClock(x, range, this.plot), mark: marks };
  }

  down(e) {
    if (e.button || !this.model?.end) return;
    const at = this.hit(e);
    if (at.x < -4) return;
    this.setPointerCapture(e.pointerId);
    this.dragFrom = e.clientX;
    this.pushed = false;
    if (at.mark?.mark.moment) {
      this.model.go(at.mark.mark.moment);
      this.pushed = true;
      this.snapped = true;
      return;
    }
    this.snapped = false;
    this.scrub(at);
  }

  scrub(at) {
    this.dragging = at.clock;
    this.draw();
    this.model.scrub(at.clock, !this.pushed);
    this.pushed = true;
  }

  movePointer(e) {
    if (!this.model?.end) return;
    const at = this.hit(e);
    if (this.hasPointerCapture?.(e.pointerId) && (!this.snapped || Math.abs(e.clientX - this.dragFrom) > 4)) this.scrub(at);
    else {
      const mark = at.mark?.mark;
      this.title = mark ? `${mark.moment ?? ""} ${visible(mark.text ?? mark.function ?? mark.kind ?? "")}${at.mark.count > 1 ? ` (${at.mark.count} here)` : ""}` : "";
      this.classList.toggle("over-mark", Boolean(mark));
    }
  }

  up() {
    this.dragging = null;
    this.model?.scrubEnd();
    this.draw();
  }

  wheel(e) {
    if (!this.model?.end) return;
    e.preventDefault();
    const by = e.deltaY + e.deltaX;
    if (e.ctrlKey) this.model.setRange(maths.zoom(this.range, by > 0 ? 1.25 : 0.8, this.hit(e).clock, this.model.end));
    else if (this.model.range) this.model.setRange(maths.pan(this.range, by / 1000, this.model.end));
  }

  act(action) {
    const { end, now } = this.model;
    const middle = (this.range[0] + this.range[1]) / 2;
    const centre = now !== null && now >= this.range[0] && now <= this.range[1] ? now : middle;
    if (action === "zoomIn") this.model.setRange(maths.zoom(this.range, 0.5, centre, end));
    else if (action === "zoomOut") this.model.setRange(maths.zoom(this.range, 2, centre, end));
    else if (action === "zoomAll") this.model.setRange(null);
    else if (action === "zoomNow") this.model.setRange(maths.around(now ?? 0, 0.1, end));
    else if (this.model.range) this.model.setRange(maths.pan(this.range, action === "panLeft" ? -0.25 : 0.25, end));
  }
}

customElements.define("urd-timeline", UrdTimeline);

function colours(element) {
  const style = getComputedStyle(element);
  const probe = element.ownerDocument.createElement("span");
  element.append(probe);
  const get = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const all = { text: get("--text"), dim: get("--dim"), now: get("--now"), hit: get("--hit"), error: get("--error"), busy: get("--busy"), window: get("--window"), font: `11px ${style.getPropertyValue("--mono")}` };
  probe.remove();
  return all;
}

function paint(g, list, view, c) {
  const left = maths.lane.label + 6;
  g.clearRect(0, -4, 1e5, 1e5);
  g.font = c.font;
  g.textBaseline = "middle";
  for (const lane of list.lanes) {
    const middle = lane.y + lane.height / 2;
    g.fillStyle = c.dim;
    g.fillText(lane.name, maths.lane.pad, middle);
    g.save();
    g.translate(left, 0);
    g.beginPath();
    g.rect(0, lane.y, view.width, lane.height);
    g.clip();
    painters[lane.kind](g, lane, c, view);
    for (const m of lane.missing ?? []) hatch(g, m, lane, c);
    g.restore();
  }
  if (list.nowX === null) return;
  g.save();
  g.translate(left, 0);
  g.fillStyle = c.now;
  const overview = list.lanes[0];
  g.fillRect(Math.round(list.nowAll) - 1, overview.y, 2, overview.height);
  if (list.nowX >= 0 && list.nowX <= view.width) g.fillRect(Math.round(list.nowX) - 1, overview.y + overview.height, 2, list.height - overview.height + 4);
  g.restore();
}

const painters = {
  busy(g, lane, c) {
    g.fillStyle = c.busy;
    const bottom = lane.y + lane.height - 3;
    for (const b of lane.items) g.fillRect(b.x, bottom - b.height * (lane.height - 6), b.width + 0.5, b.height * (lane.height - 6));
    if (!lane.items.length) g.fillRect(0, bottom - 1, 1e5, 1);
    if (!lane.window) return;
    g.fillStyle = c.window;
    g.fillRect(lane.window[0], lane.y, lane.window[1] - lane.window[0], lane.height - 1);
    g.strokeStyle = c.now;
    g.strokeRect(lane.window[0] + 0.5, lane.y + 0.5, Math.max(2, lane.window[1] - lane.window[0] - 1), lane.height - 2);
  },
  spans(g, lane, c) {
    for (const s of lane.items) {
      g.fillStyle = tasks[s.colour % tasks.length];
      g.fillRect(s.x, lane.y + 3, s.width, lane.height - 6);
    }
    const last = [];
    for (const s of lane.items) {
      const name = visible(s.mark.name ?? "");
      if (s.width < g.measureText(name).width + 8 || last.includes(s.mark)) continue;
      last.push(s.mark);
      g.fillStyle = "#fff";
      g.fillText(name, s.x + 4, lane.y + lane.height / 2 + 0.5);
    }
  },
  ticks(g, lane, c) {
    for (const t of lane.items) {
      g.fillStyle = t.mark.kind === "signal" ? c.error : c.dim;
      g.fillRect(t.x, lane.y + 4, t.count > 1 ? 2 : 1, lane.height - 8);
    }
  },
  outputs(g, lane, c) {
    for (const t of lane.items) {
      g.fillStyle = Number(t.mark.fd) === 2 ? c.error : c.text;
      g.fillRect(t.x, lane.y + 4, 2, lane.height - 8);
    }
  },
  alert(g, lane, c, view) {
    g.fillStyle = c.error;
    for (const t of lane.items) {
      const text = `! ${visible(t.mark.text ?? t.mark.kind)}`;
      const width = g.measureText(text).width;
      const right = t.x + width + 6 > view.width;
      g.fillRect(Math.min(t.x, view.width - 2), lane.y + 2, 2, lane.height - 4);
      g.fillText(text, right ? t.x - width - 6 : t.x + 6, lane.y + lane.height / 2);
    }
  },
  hits(g, lane, c, view) {
    g.fillStyle = c.hit;
    for (const t of lane.items) g.fillRect(t.x, lane.y + 3, 2, lane.height - 6);
    label(g, lane, c, view);
  },
  histogram(g, lane, c, view) {
    g.fillStyle = c.hit;
    const bottom = lane.y + lane.height - 2;
    for (const b of lane.items) g.fillRect(b.x, bottom - b.height * (lane.height - 5), 3, b.height * (lane.height - 5));
    label(g, lane, c, view);
  },
};

// Not indexed: lines that lean, which no other mark does.
function hatch(g, m, lane, c) {
  g.save();
  g.beginPath();
  g.rect(m.x, lane.y, m.width, lane.height);
  g.clip();
  g.strokeStyle = c.dim;
  g.beginPath();
  for (let x = m.x - lane.height; x < m.x + m.width; x += 7) {
    g.moveTo(x, lane.y + lane.height);
    g.lineTo(x + lane.height, lane.y);
  }
  g.stroke();
  g.restore();
}

function label(g, lane, c, view) {
  const text = `${visible(lane.label)}  ${lane.count}`;
  const width = g.measureText(text).width;
  g.save();
  g.fillStyle = c.hit;
  const x = view.width - width - 4;
  g.clearRect(x - 4, lane.y, width + 8, lane.height);
  g.fillText(text, x, lane.y + lane.height / 2);
  g.restore();
}

export function timelineView(app) {
  return html`<urd-timeline data-panel="timeline" data-at=${app.at ?? ""} .data=${app.timelineModel()}></urd-timeline>`;
}
