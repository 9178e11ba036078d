/*
 * The page. A panel is a function of (moment, frame, question); all three are in the URL and nowhere else.
 *
 *   navigate(state)  writes the URL and calls update()
 *   update()         asks what the state needs and is not there yet (lib/slots.js drops what came too late)
 *   draw()           renders everything from what is there (views/)
 */
import { html, render } from "./vendor/lit-html.js";
import * as api from "./lib/api.js";
import { Slot } from "./lib/slots.js";
import { makeActions } from "./actions.js";
import { actionOf } from "./lib/keys.js";
import { isMoment } from "./lib/moments.js";
import { parseAsk, quote } from "./lib/ask.js";
import { atMoment, fromUrl, pushes, toUrl, viewOf, views } from "./lib/url.js";
import { commentStarts } from "./lib/syntax.js";
import { emptyView } from "./views/parts.js";
import "./views/list.js";
import { headerView } from "./views/header.js";
import { timelineView } from "./views/timeline.js";
import { sourceView } from "./views/source.js";
import { stackView } from "./views/stack.js";
import { valuesView } from "./views/values.js";
import { historyView } from "./views/history.js";
import { outputView } from "./views/output.js";
import { printsView } from "./views/prints.js";
import { callsView, eventsView, linesView, sqlView } from "./views/tables.js";
import { statusView, stripsView } from "./views/status.js";
import { helpView } from "./views/help.js";

const rowCap = 200_000; // rows of one answer that the page holds
const tabs = { history: ["History", historyView], prints: ["Prints", printsView], calls: ["Calls", callsView], lines: ["Lines", linesView],
  output: ["Output", outputView], events: ["Events", eventsView], sql: ["SQL", sqlView] };

class App {
  constructor(root) {
    this.root = root;
    this.state = fromUrl(location.search);
    this.info = null;
    this.infoError = null;
    this.gone = false;
    this.opening = this.state.at === null;
    const slot = () => new Slot(() => this.changed());
    this.slots = { moment: slot(), blame: slot(), print: slot(), calls: slot(), lines: slot(), sql: slot(), output: slot(), events: slot(),
      timeline: slot(), range: slot() };
    this.children = new Map(); // expression -> Slot
    this.expanded = new Set();
    this.questions = new Map(); // kind -> question
    this.waits = new Set(); // lines of questions that came with a link and were not asked here
    this.moments = new Map(); // answers that were had before, by key
    this.files = new Map(); // path -> {text, counts, starts}
    this.previous = null; // the moment's answer before the one that is shown
    this.alias = null; // {from: "@123", to: "42:7"}: the same moment under the name that it was asked by
    this.moves = [];
    this.moving = false;
    this.suggestions = [];
    this.suggested = 0;
    this.askError = null;
    this.printDraft = null;
    this.selectedValue = null;
    this.selectedLine = null;
    this.message = "";
    this.copied = false;
    this.grown = 0; // how often the index was seen to have grown
    this.polled = performance.now();
    this.letters = localStorage.getItem("urd-letters") !== "off";
    this.ran = new Set(JSON.parse(sessionStorage.getItem("urd-ran") ?? "[]"));
    this.actions = makeActions(this);
    addEventListener("popstate", () => {
      this.state = fromUrl(location.search);
      this.printDraft = null;
      if (this.state.at === null) this.openAt();
      this.update();
    });
    document.addEventListener("keydown", (e) => this.key(e));
    document.addEventListener("click", (e) => this.click(e));
    setInterval(() => this.tick(), 500);
  }

  // ---- state ----

  navigate(next, replace = false) {
    const url = toUrl(next);
    if (url === toUrl(this.state)) return;
    const push = !replace && pushes(this.state, next);
    if (next.at !== this.state.at || next.frame !== this.state.frame) this.selectedLine = null;
    this.state = next;
    this.message = "";
    history[push ? "pushState" : "replaceState"](null, "", url);
    this.update();
  }

  async start() {
    this.draw();
    await this.loadInfo();
    this.update();
  }

  async loadInfo() {
    try {
      await api.ask({ q: "info" }, (items) => {
        for (const item of items) if (item.summary) this.info = item.summary;
      });
      this.gone = false;
      this.infoError = null;
      document.title = `${this.info.name} – urd`;
      if (this.state.at === null) this.openAt();
    } catch (e) {
      this.failed(e);
      this.infoError = e;
    }
    this.changed();
  }

  // Without a moment in the URL: where the run failed, or its end.
  openAt() {
    if (!this.info) return;
    this.opening = true;
    this.navigate({ ...this.state, at: this.info.finding?.at ?? "end" }, true);
  }

  update() {
    this.readQuestions();
    if (this.info && this.state.at) {
      this.wantMoment();
      this.wantQuestions();
      this.wantTimeline();
      if (this.state.view === "output") this.want("output", "output", { q: "outputs" });
      if (this.state.view === "events") this.want("events", "events", { q: "events" });
    }
    this.changed();
  }

  want(name, key, request, cap = rowCap) {
    const recorded = name === "output" || name === "events"; // these do not grow
    this.slots[name].want(this.grown && !recorded ? `${key}\n${this.grown}` : key, (onItems, signal) => api.ask(request, onItems, signal), cap).then((answer) => this.failed(answer?.error));
  }

  failed(error) {
    if (error?.kind === "gone" && !this.gone) {
      this.gone = true;
      this.changed();
    }
  }

  // ---- the moment ----

  momentKey(state = this.state) {
    const at = this.alias?.to === state.at ? this.alias.from : state.at;
    return JSON.stringify([at, state.frame, this.srcFile(state), this.grown]);
  }

  srcFile(state = this.state) {
    return state.src ? state.src.replace(/:\d+$/, "") : null;
  }

  wantMoment() {
    const slot = this.slots.moment;
    const key = this.momentKey();
    if (slot.key === key) return;
    if (slot.shown?.parts.place) this.previous = slot.shown;
    const had = this.moments.get(key);
    if (had) {
      slot.put(had);
      return;
    }
    const p = new URLSearchParams({ at: this.state.at, frame: this.state.frame });
    const file = this.srcFile();
    if (file) p.set("file", file);
    const have = this.part("lines").part?.summary?.path;
    if (have && this.files.has(have)) p.set("have", have);
    if (this.expanded.size) p.set("expand", [...this.expanded].slice(-20).join("\n"));
    slot.want(key, (onItems, signal) => api.ask(`/api/v1/moment-all?${p}`, (items) => {
      for (const item of items) if (item.part) this.prepare(item.part);
      return onItems(items);
    }, signal)).then((answer) => this.momentDone(answer));
  }

  // What the source view needs to know of a file is found out once.
  prepare(part) {
    if (part.name !== "lines" || part.error) return;
    const s = part.summary;
    if (part.text) this.files.set(s.path, { text: part.text, counts: part.counts, starts: commentStarts(part.text) });
    Object.assign(part, this.files.get(s.path) ?? { text: [], counts: [], starts: [0] });
    part.inCall = new Set(part.in_call);
    part.firstIn = Math.min(...part.in_call);
    part.lastIn = Math.max(...part.in_call);
  }

  momentShown() {
    const shown = this.slots.moment.shown;
    if (!shown) return;
    const at = shown.parts.place?.summary.at;
    if (at && this.state.at !== at && shown.key === this.momentKey() && !isMoment(this.state.at)) {
      this.alias = { from: this.state.at, to: at };
      this.state = { ...this.state, at };
      history.replaceState(null, "", toUrl(this.state));
    }
    if (shown.parts.lines?.summary && shown.parts.place) {
      const lines = shown.parts.lines;
      const elsewhere = this.srcFile() && this.srcFile() !== shown.parts.place.summary.file;
      lines.current = elsewhere ? null : lines.summary.current_line;
    }
    if (this.opening && shown.parts.stack && shown.key === this.momentKey()) {
      this.opening = false;
      const frame = userFrame(shown.parts.stack.rows ?? []);
      if (frame && frame.depth !== this.state.frame) this.navigate({ ...this.state, frame: frame.depth }, true);
    }
  }

  momentDone(answer) {
    this.failed(answer?.error);
    if (answer && !answer.error && this.info.indexed !== false) {
      this.moments.set(answer.key, answer);
      if (this.moments.size > 60) this.moments.delete(this.moments.keys().next().value);
    }
    if (this.pendingScrub) {
      const at = this.pendingScrub;
      this.pendingScrub = null;
      this.navigate(atMoment(this.state, at), true);
    }
  }

  // A part of the moment's answer, or the previous moment's until it is there.
  part(name) {
    const shown = this.slots.moment.shown;
    const has = shown?.parts[name];
    const replaced = name === "code" ? shown?.parts.lines : name === "lines" ? shown?.parts.code : null;
    const use = has || replaced || shown?.done ? shown : this.previous;
    return { part: use?.parts[name] ?? null, at: use?.parts.place?.summary.at ?? null, stale: use !== shown || this.slots.moment.stale };
  }

  get place() {
    return this.slots.moment.shown?.parts.place?.summary ?? this.previous?.parts.place?.summary ?? null;
  }

  // The moment that is on the screen.
  get at() {
    return this.place?.at ?? null;
  }

  // {rows, error} of an open value, with the moment's answer or, when it was opened since, asked for by itself.
  childrenOf(expr) {
    const { part } = this.part(`children ${expr}`);
    if (part) return part;
    if (this.slots.moment.shown?.done === false) return this.children.get(expr)?.shown ?? null; // it is on its way
    const at = this.part("vars").at;
    if (!this.children.has(expr)) this.children.set(expr, new Slot(() => this.changed()));
    const slot = this.children.get(expr);
    const frame = this.state.frame;
    slot.want(JSON.stringify([at, frame, expr]), (onItems, signal) => api.ask({ q: "children", at, frame, expr }, onItems, signal), 10_000);
    return slot.shown;
  }

  // ---- questions ----

  readQuestions() {
    this.questions = new Map();
    for (const line of [this.state.ask, ...this.state.lanes]) {
      const question = line ? parseAsk(line, {}) : null;
      if (question?.question && !this.questions.has(question.kind)) this.questions.set(question.kind, question);
    }
    for (const question of this.questions.values())
      if ((question.kind === "print" || question.kind === "sql") && !this.ran.has(question.line)) this.waits.add(question.line);
  }

  wantQuestions() {
    for (const kind of Object.keys(viewOf)) {
      const question = this.questions.get(kind);
      if (!question || this.waits.has(question.line)) this.slots[kind].clear();
      else this.want(kind, question.line, question.question);
    }
  }

  run(question) {
    this.ran.add(question.line);
    this.waits.delete(question.line);
    sessionStorage.setItem("urd-ran", JSON.stringify([...this.ran].slice(-100)));
    const lanes = [...this.questions.values()].filter((q) => q.kind !== question.kind).map((q) => q.line);
    this.askError = null;
    this.suggestions = [];
    if (this.slots[question.kind].shown?.error) this.slots[question.kind].clear();
    const next = { ...this.state, ask: question.line, lanes, view: viewOf[question.kind] };
    if (toUrl(next) === toUrl(this.state)) this.update();
    else this.navigate(next);
  }

  askLine(line) {
    const question = parseAsk(line, { at: this.at, frame: this.state.frame });
    this.askError = null;
    if (question.error) {
      this.askError = { text: line.trim(), error: question.error };
      this.changed();
      return false;
    }
    if (question.kind === "moment") this.actions.go(question.at);
    else if (question.kind === "place") this.actions.look(question.file, question.line);
    else this.run(question);
    return true;
  }

  // ---- the timeline ----

  wantTimeline() {
    const buckets = 600;
    this.want("timeline", "all", { q: "timeline", buckets });
    if (!this.state.range) this.slots.range.clear();
    else this.want("range", this.state.range.join("~"), { q: "timeline", from: this.state.range[0], to: this.state.range[1], buckets });
  }

  timelineModel() {
    const all = this.slots.timeline.shown?.summary;
    const range = this.state.range && this.slots.range.shown?.summary;
    const end = Number(all?.to ?? this.info?.clock_end ?? 0);
    const near = range ?? all;
    return { end, missing: this.info?.missing ?? [], buckets: all?.buckets ?? [], tasks: near?.tasks ?? [], events: near?.events ?? [], outputs: near?.outputs ?? [],
      range: this.state.range, now: Number.isFinite(Number(this.place?.clock ?? NaN)) ? Number(this.place.clock) : null, at: this.at, finding: this.finding(all, end),
      questions: [...this.questions.values()].filter((q) => q.kind !== "sql" && this.slots[q.kind].shown?.rows.length)
        .map((q) => ({ label: q.label, count: this.slots[q.kind].shown.rows.length, rows: this.slots[q.kind].shown.rows })),
      go: (at) => this.actions.go(at),
      scrub: (clock, first) => this.scrub(clock, first),
      scrubEnd: () => this.changed(),
      setRange: (r) => this.navigate({ ...this.state, range: r }) };
  }

  // The fatal finding with its clock, when that is known.
  finding(timeline, end) {
    const finding = this.info?.finding;
    if (!finding?.at) return null;
    if (finding.at === this.info.end) return { ...finding, moment: finding.at, clock: end };
    const [event, steps] = finding.at.split(":");
    const before = timeline?.events?.find((e) => e.moment.split(":")[0] === event);
    return before ? { ...finding, moment: finding.at, clock: Number(before.clock) + Number(steps) } : null;
  }

  scrub(clock, first) {
    const at = `@${clock}`;
    if (!first && this.slots.moment.loading) this.pendingScrub = at; // one request at a time while dragging
    else this.navigate(atMoment(this.state, at), !first);
  }

  // ---- moves ----

  async walk() {
    if (this.moving) return;
    this.moving = true;
    this.changed();
    let at = this.state.at;
    try {
      while (this.moves.length) {
        const { kind, back } = this.moves.shift();
        let reason = "";
        await api.ask({ q: "move", at, kind, back }, (items) => {
          for (const item of items)
            if (item.summary) {
              at = item.summary.at ?? at;
              reason = item.summary.reason ?? "";
            }
        });
        if (reason && at === this.state.at) this.message = reason;
      }
      const message = this.message;
      this.navigate(atMoment(this.state, at));
      this.message = message;
    } catch (e) {
      this.moves = [];
      this.failed(e);
      this.message = e.message;
    }
    this.moving = false;
    this.changed();
  }

  // ---- events of the page ----

  click(e) {
    const link = e.target.closest?.("a[data-at]");
    if (!link || e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    this.actions.go(link.dataset.at);
  }

  key(e) {
    const field = e.target.closest?.("input,textarea,select,dialog");
    if (e.key === "Escape") {
      if (this.askError) this.askError = null;
      if (field?.id === "ask") field.blur();
      this.changed();
    }
    if (field || e.defaultPrevented) return;
    const where = document.activeElement?.tagName === "URD-TIMELINE" ? "timeline" : null;
    const found = actionOf(e, where);
    if (!found || (!this.letters && /^[a-zA-Z]$/.test(e.key) && !where)) return;
    e.preventDefault();
    this.actions.do(found.action, found.back);
  }

  // While not all of the run is indexed: is there more by now? Then all that may be partial is asked again, in place.
  async poll() {
    const lacks = this.info && (this.info.indexed === false || this.info.missing?.length);
    if (!lacks || this.gone || this.polling || document.hidden || performance.now() - this.polled < 2000) return;
    this.polling = true;
    try {
      let now = null;
      await api.ask({ q: "info", brief: true }, (items) => {
        for (const item of items) if (item.summary) now = item.summary;
      });
      const seen = (info) => JSON.stringify([info.indexed, info.missing, info.indexing]);
      if (now && seen(now) !== seen(this.info)) {
        const more = JSON.stringify([now.indexed, now.missing]) !== JSON.stringify([this.info.indexed, this.info.missing]);
        Object.assign(this.info, now);
        if (more) this.grow();
        else this.changed();
      }
    } catch (e) {
      this.failed(e);
    }
    this.polled = performance.now();
    this.polling = false;
  }

  grow() {
    this.grown++;
    this.moments.clear();
    this.files.clear();
    this.update();
  }

  tick() {
    this.poll();
    if (this.busy) this.changed();
    if (this.gone && !this.retrying) this.actions.retry();
  }

  get allSlots() {
    return [...Object.entries(this.slots), ...[...this.children].map(([expr, slot]) => [expr, slot])];
  }

  get busy() {
    return this.moving || !this.info || this.allSlots.some(([, s]) => s.loading);
  }

  slowWork() {
    const now = performance.now();
    const slow = this.allSlots.find(([, s]) => s.loading && now - s.since > 1000);
    return slow ? `${slow[0]}: ${Math.round((now - slow[1].since) / 1000)} s` : null;
  }

  // The kind of question whose answers "." and "," walk.
  currentKind() {
    const kind = Object.keys(viewOf).find((k) => viewOf[k] === this.state.view);
    if (kind && this.questions.has(kind)) return kind;
    if (this.state.view === "output" || this.state.view === "events") return this.state.view;
    return this.state.ask ? parseAsk(this.state.ask, {}).kind : "output";
  }

  frameFunction() {
    return this.part("stack").part?.rows.find((f) => f.depth === this.state.frame)?.function ?? this.place.function;
  }

  cli() {
    const kind = Object.keys(viewOf).find((k) => viewOf[k] === this.state.view);
    const trace = this.info ? ` -t ${quote(this.info.name)}` : "";
    const question = this.questions.get(kind);
    const line = question ? question.cli
      : this.state.view === "output" ? "urd sql 'SELECT * FROM outputs'"
      : this.state.view === "events" ? "urd events" : `urd stack --at ${this.at ?? "end"}`;
    return line.replace(/^urd (\w+)/, `urd $1${trace}`);
  }

  get note() {
    if (this.message) return this.message;
    return this.slots.moment.shown?.error ? this.slots.moment.shown.error.message : "";
  }

  // ---- drawing ----

  changed() {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.momentShown();
      this.draw();
    });
  }

  draw() {
    const { state } = this;
    const error = this.slots.moment.shown?.error;
    render(html`${headerView(this)}
      <div class="strips">${stripsView(this)}</div>
      ${timelineView(this)}
      <main aria-busy=${this.busy}>
        ${error && !this.place ? html`<section class="source"><h2>Moment</h2>${emptyView(error.message, " ", error.what_to_do ?? "")}</section>` : sourceView(this)}
        <aside>${stackView(this)}${valuesView(this)}</aside>
      </main>
      <section class="bottom" data-panel="bottom" data-at=${this.at ?? ""}>
        <nav role="tablist" aria-label="Answers">${views.map((v, i) => html`<button role="tab" id=${`tab-${v}`} aria-selected=${v === state.view} title=${`${tabs[v][0]} (${i + 1})`}
          @click=${() => this.actions.view(v)}>${tabs[v][0]}${this.count(v)}</button>`)}</nav>
        <div class="panel" role="tabpanel" aria-labelledby=${`tab-${state.view}`}>${tabs[state.view][1](this)}</div>
      </section>
      ${statusView(this)}${helpView(this)}`, this.root);
    this.root.setAttribute("aria-busy", String(this.busy));
    if (this.focusPrint) requestAnimationFrame(() => this.focusOnPrint());
  }

  focusOnPrint() {
    const input = this.root.querySelector(".inline-print input[name=text]") ?? this.root.querySelector(".panel form.print input[name=text]");
    if (!this.focusPrint || !input) return;
    this.focusPrint = false;
    input.focus();
    input.select();
  }

  count(view) {
    const kind = Object.keys(viewOf).find((k) => viewOf[k] === view);
    const slot = kind && this.questions.has(kind) ? this.slots[kind] : null;
    return slot?.shown?.rows.length ? html` <span class="dim">${slot.shown.rows.length.toLocaleString("en")}</span>` : "";
  }
}

// The innermost frame of the program's own source: not of a library, even when that has debug information.
function userFrame(frames) {
  const sourced = frames.filter((f) => f.file && f.line);
  const own = (f) => !/^(\/usr\/|\.\.?\/)/.test(f.file) && !/^(lib|ld-|\[)/.test((f.module ?? "").split("/").pop());
  return sourced.find(own) ?? sourced[0];
}

const root = document.getElementById("app");
root.textContent = "";
const app = new App(root);
globalThis.urd = app; // for whoever opens the console
app.start();
