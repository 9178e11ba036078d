/*
 * Slots: a panel has one, and it holds the answer to one question at a time.
 *
 * `want` names the question by a key. What was shown stays (dimmed, after a moment) until the first of the new answer is
 * there; an answer whose key is no longer wanted is dropped, however late it comes, and its request is aborted.
 */
export class Slot {
  constructor(changed) {
    this.changed = changed;
    this.key = null; // of the question that is wanted
    this.shown = null; // {key, rows, parts, summary, error, done, capped, ms}
    this.loading = false;
    this.since = 0;
    this.abort = null;
  }

  // Something of another question than the wanted one is on the screen.
  get stale() {
    return this.loading && this.shown !== null && this.shown.key !== this.key;
  }

  clear() {
    this.abort?.abort();
    Object.assign(this, { key: null, shown: null, loading: false, abort: null });
  }

  put(shown) {
    this.abort?.abort();
    Object.assign(this, { key: shown.key, shown, loading: false, abort: null });
    this.changed();
  }

  // ask(onItems, signal) does the request. Resolves to the answer, or to null when it was dropped.
  async want(key, ask, cap = Infinity) {
    if (this.key === key) return null;
    this.abort?.abort();
    const abort = new AbortController();
    const started = performance.now();
    Object.assign(this, { key, loading: true, since: started, abort });
    const answer = { key, rows: [], parts: {}, summary: null, error: null, done: false, capped: false, ms: 0 };
    const show = () => {
      if (this.key !== key) return;
      this.shown = answer;
      this.changed();
    };
    this.changed();
    try {
      await ask((items) => {
        if (this.key !== key) return false;
        for (const item of items) {
          if (item.row && answer.rows.length < cap) answer.rows.push(item.row);
          else if (item.row) answer.capped = true;
          else if (item.part) answer.parts[item.part.name] = item.part;
          else if (item.summary) answer.summary = item.summary;
        }
        if (items.length) show();
        return !answer.capped;
      }, abort.signal);
    } catch (e) {
      if (e.name === "AbortError") return null;
      answer.error = e;
    }
    if (this.key !== key) return null;
    answer.done = true;
    answer.ms = Math.round(performance.now() - started);
    this.loading = false;
    show();
    return answer;
  }
}
