// The state of the page and its URL. Equal states have equal URLs: parameters in one order, defaults left out.
import { parseAsk } from "./ask.js";
import { isAt } from "./moments.js";

export const views = ["history", "prints", "calls", "lines", "output", "events", "sql"];

// The tab in which a question is answered; without a question, what the run printed.
export const viewOf = Object.freeze({ blame: "history", print: "prints", calls: "calls", lines: "lines", sql: "sql" });
const ownView = (state) => viewOf[state.ask ? parseAsk(state.ask).kind : ""] ?? "output";

export const start = Object.freeze({
  at: null, // a moment, or null: where the run failed, or its end
  frame: 0,
  ask: null, // the question's line
  lanes: Object.freeze([]), // lines of other questions that stay on the timeline, one of a kind
  src: null, // "file:line" that is looked at instead of the moment's own
  range: null, // [from, to] clocks of the timeline, null: all
  view: "output",
});

export function fromUrl(search) {
  const p = new URLSearchParams(search);
  const state = { ...start };
  if (isAt(p.get("at"))) state.at = p.get("at");
  if (/^\d{1,6}$/.test(p.get("frame") ?? "")) state.frame = Number(p.get("frame"));
  state.ask = p.get("ask")?.slice(0, 8000) || null;
  state.lanes = p.getAll("lane").slice(0, 6);
  state.src = p.get("src") || null;
  const range = /^(\d{1,15})~(\d{1,15})$/.exec(p.get("range") ?? "");
  if (range && Number(range[1]) < Number(range[2])) state.range = [Number(range[1]), Number(range[2])];
  state.view = views.includes(p.get("view")) ? p.get("view") : ownView(state);
  return state;
}

export function toUrl(state) {
  const p = new URLSearchParams();
  if (state.at) p.set("at", state.at);
  if (state.frame) p.set("frame", state.frame);
  if (state.ask) p.set("ask", state.ask);
  for (const lane of [...state.lanes].sort()) p.append("lane", lane);
  if (state.src) p.set("src", state.src);
  if (state.range) p.set("range", state.range.map(Math.round).join("~"));
  if (state.view !== ownView(state)) p.set("view", state.view);
  const text = p.toString().replaceAll("%3A", ":").replaceAll("%7E", "~").replaceAll("%2C", ",").replaceAll("%40", "@");
  return text ? `/?${text}` : "/";
}

// Does a change from a to b make an entry in the browser's history? Moments, frames and questions do.
export function pushes(a, b) {
  return a.at !== b.at || a.frame !== b.frame || a.ask !== b.ask;
}

// The state at another moment: the frame and a source that was looked up belong to the moment that is left.
export function atMoment(state, at) {
  return { ...state, at, frame: 0, src: null };
}
