// What buttons, links and keys do: each changes the state, and the state changes the page.
import * as api from "./lib/api.js";
import { makeBlame, makePrint, makeSimple } from "./lib/ask.js";
import { nextHit } from "./lib/moments.js";
import { names } from "./lib/syntax.js";
import { atMoment, views } from "./lib/url.js";

export function makeActions(app) {
  let searching = 0;
  let searchAbort = null;
  const currentLine = () => {
    const part = app.part("lines").part;
    if (!part?.summary?.file) return null;
    const line = app.selectedLine ?? part.current;
    return line ? { file: part.summary.file, line, text: part.text[line - 1] ?? "", starts: part.starts[line - 1] } : null;
  };
  const actions = {
    go(at) {
      app.navigate(atMoment(app.state, at));
    },
    goto() {
      actions.focusAsk(`goto ${app.at ?? ""}`, 5);
    },
    frame(frame) {
      app.navigate({ ...app.state, frame, src: null });
    },
    look(file, line) {
      app.navigate({ ...app.state, src: file ? `${file}:${line ?? 1}` : null });
    },
    view(view) {
      app.navigate({ ...app.state, view });
    },
    move(kind, back) {
      if (app.moves.length < 20) app.moves.push({ kind, back });
      app.walk();
    },
    blame(expr) {
      app.selectedValue = expr;
      app.run(makeBlame(expr, app.part("vars").at ?? app.at, app.state.frame));
    },
    selectValue(expr) {
      app.selectedValue = expr;
      app.changed();
    },
    expand(expr) {
      if (!app.expanded.delete(expr)) app.expanded.add(expr);
      app.changed();
    },
    run: (question) => app.run(question),
    askLine: (line) => app.askLine(line),
    printAt(location) {
      const [, file, line] = /^(.*):(\d+)$/.exec(location);
      const part = app.part("lines").part;
      const values = new Set((app.part("vars").part?.rows ?? []).filter((v) => v.status === "ok" && !v.has_children).map((v) => v.name));
      const text = part?.summary.file === file ? part.text[line - 1] ?? "" : "";
      const mentioned = names(text, part?.starts[line - 1]).filter((n) => values.has(n));
      app.printDraft = { location, text: (mentioned.length ? mentioned : []).map((n) => `${n}={${n}}`).join(" ") || "here", condition: "" };
      app.focusPrint = true;
      app.changed();
    },
    print(e) {
      e.preventDefault();
      const f = new FormData(e.target);
      const location = f.get("location").trim();
      const text = f.get("text");
      if (!location || !text) {
        app.message = location ? "print what? {n} is the value of n" : "print where? file.c:42 or a function";
        app.changed();
        return;
      }
      app.printDraft = null;
      app.run(makePrint(location, text, f.get("condition").trim()));
      document.activeElement?.blur();
    },
    closePrint() {
      if (app.printDraft) app.printDraft = null;
      else {
        const kept = [...app.questions.values()].filter((q) => q.kind !== "print").map((q) => q.line);
        app.navigate({ ...app.state, ask: kept[0] ?? null, lanes: kept.slice(1) });
      }
      document.activeElement?.blur();
      app.changed();
    },
    sql(e) {
      e.preventDefault();
      app.askLine(`: ${new FormData(e.target).get("sql")}`);
    },
    hitOf(kind, back) {
      const rows = app.slots[kind]?.shown?.rows ?? [];
      const hit = app.at ? nextHit(rows, app.at, back) : null;
      if (hit) actions.go(hit.moment);
      else {
        app.message = !rows.length ? "there are no answers to walk: ask something first" : `no ${back ? "earlier" : "later"} answer`;
        app.changed();
      }
    },
    help() {
      document.getElementById("help").showModal();
    },
    letters(on) {
      app.letters = on;
      localStorage.setItem("urd-letters", on ? "on" : "off");
      app.changed();
    },
    async copy() {
      try {
        await navigator.clipboard.writeText(app.cli());
        app.copied = true;
        setTimeout(() => {
          app.copied = false;
          app.changed();
        }, 1500);
      } catch {
        app.message = "the browser did not allow copying";
      }
      app.changed();
    },
    stop() {
      for (const [, slot] of app.allSlots)
        if (slot.loading) {
          slot.abort?.abort();
          slot.loading = false;
          slot.key = slot.shown?.key ?? null;
        }
      app.message = "stopped";
      app.changed();
    },
    async retry() {
      app.retrying = true;
      const wasGone = app.gone;
      await app.loadInfo();
      app.retrying = false;
      if (wasGone && !app.gone) {
        for (const slot of Object.values(app.slots)) if (slot.shown?.error || !slot.shown) slot.clear();
        app.update();
      }
    },
    // ---- the ask box ----
    focusAsk(text, from = text.length) {
      const input = document.getElementById("ask");
      input.value = text;
      input.focus();
      input.setSelectionRange(from, text.length);
    },
    submit(e) {
      e.preventDefault();
      const input = document.getElementById("ask");
      if (app.askLine(input.value)) {
        input.value = "";
        input.blur();
      }
    },
    askKey(e) {
      const n = app.suggestions.length;
      if (n && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
        app.suggested = (app.suggested + (e.key === "ArrowDown" ? 1 : n - 1) + (app.suggested < 0 && e.key === "ArrowUp" ? 1 : 0)) % n;
        e.preventDefault();
      } else if (n && (e.key === "Tab" || (e.key === "Enter" && app.suggested >= 0))) {
        actions.take(app.suggestions[Math.max(0, app.suggested)]);
        e.preventDefault();
      } else return;
      app.changed();
    },
    take(s) {
      const input = document.getElementById("ask");
      const head = input.value.replace(/[\w$]*$/, "");
      const alone = !head.trim();
      input.value = alone && s.kind === "function" ? `calls ${s.name}` : s.kind === "file" ? `${head}${s.name}:` : head + s.name;
      app.suggestions = [];
      app.suggested = -1;
      app.changed();
    },
    suggest(value) {
      clearTimeout(searching);
      searchAbort?.abort();
      if (app.askError) app.askError = null;
      const word = /(?:^|[^\w.}\])])([A-Za-z_]\w+)$/.exec(value)?.[1];
      if (!word || value.startsWith(":") || /^(blame|print|calls|lines|goto|sql)$/.test(value)) {
        app.suggestions = [];
        app.changed();
        return;
      }
      searching = setTimeout(async () => {
        searchAbort = new AbortController();
        const rows = [];
        try {
          await api.ask({ q: "search", text: word }, (items) => {
            for (const item of items) if (item.row && rows.length < 10) rows.push(item.row);
          }, searchAbort.signal);
        } catch {
          return; // suggestions are only a help
        }
        app.suggestions = document.activeElement?.id === "ask" ? rows : [];
        app.suggested = -1;
        app.changed();
      }, 80);
    },
    // ---- keys ----
    do(action, back) {
      const line = currentLine();
      const timeline = document.querySelector("urd-timeline");
      const simple = {
        hit: () => actions.hitOf(app.currentKind(), false),
        hitBack: () => actions.hitOf(app.currentKind(), true),
        eventBack: () => actions.move("event", true),
        up: () => actions.step(1),
        down: () => actions.step(-1),
        back: () => history.back(),
        ask: () => actions.focusAsk(""),
        sql: () => actions.focusAsk(": "),
        goto: () => actions.goto(),
        blame: () => (app.selectedValue ? actions.blame(app.selectedValue) : actions.focusAsk("blame ")),
        print: () => line && actions.printAt(`${line.file}:${line.line}`),
        calls: () => app.place?.function && app.run(makeSimple("calls", "function", app.frameFunction())),
        lines: () => line && app.run(makeSimple("lines", "location", `${line.file}:${line.line}`)),
        timeline: () => timeline.focus(),
        copy: () => actions.copy(),
        help: () => actions.help(),
      };
      if (simple[action]) simple[action]();
      else if (/^view\d$/.test(action)) actions.view(views[Number(action[4]) - 1]);
      else if (/^(zoom|pan)/.test(action)) timeline.act(action);
      else actions.move(action, back);
    },
    step(by) {
      const frames = app.part("stack").part?.rows ?? [];
      const to = app.state.frame + by;
      if (to >= 0 && to < frames.length) actions.frame(to);
      else {
        app.message = by > 0 ? "the outermost frame" : "the innermost frame";
        app.changed();
      }
    },
  };
  return actions;
}
