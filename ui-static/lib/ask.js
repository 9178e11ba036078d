// The line of text that is a question: the ask box, the URL and the command line spell it alike.
//
//   blame EXPR [--at MOMENT] [--frame N]   all writes to it; EXPR alone is the same
//   print LOCATION 'text {expr}' [--if EXPR]
//   calls FUNCTION      lines FILE:LINE      : SELECT ...      42:7 (a moment)      file.c:42 (a place)
//
// A question about a name carries the moment and frame in which the name is read, so that walking to another moment
// does not change what was asked.
import { isAt } from "./moments.js";

// Words with their offsets; single and double quotes as in a shell.
export function words(text) {
  const found = [];
  let i = 0;
  while (i < text.length) {
    if (/\s/.test(text[i])) {
      i++;
      continue;
    }
    const from = i;
    let word = "";
    let quoted = false;
    while (i < text.length && !/\s/.test(text[i])) {
      const quote = text[i];
      if (quote === "'" || quote === '"') {
        quoted = true;
        const end = text.indexOf(quote, i + 1);
        if (end < 0) return { error: `${quote} is not closed`, offset: i };
        word += text.slice(i + 1, end);
        i = end + 1;
      } else if (quote === "\\" && i + 1 < text.length) {
        word += text[i + 1];
        i += 2;
      } else word += text[i++];
    }
    found.push({ word, from, to: i, quoted });
  }
  return { found };
}

export function quote(text) {
  if (text !== "" && /^[\w.:/@%+,=$-]+$/.test(text)) return text;
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

const wrong = (message, offset, what_to_do, suggest = null) => ({
  error: { message, offset, what_to_do, suggest, kind: "question" },
});

// Options --name VALUE taken out of the words; the rest in order.
function options(found, names) {
  const taken = {};
  const rest = [];
  for (let i = 0; i < found.length; i++) {
    const name = found[i].word.startsWith("--") && !found[i].quoted ? found[i].word.slice(2) : null;
    if (name && names.includes(name)) {
      if (!found[i + 1]) return wrong(`--${name} needs a value`, found[i].from, `for example ${examples[name]}`);
      taken[name] = found[++i].word;
    } else rest.push(found[i]);
  }
  return { taken, rest };
}

const examples = { at: "--at 42:7", frame: "--frame 1", if: "--if 'n == 0'" };

function parseBlame(text, from, context) {
  // The expression is the rest of the line as it stands, up to the options.
  let body = text.slice(from);
  let at = context.at;
  let frame = context.frame || 0;
  for (;;) {
    const option = /\s--(at|frame)\s+(\S+)\s*$/.exec(body);
    if (!option) break;
    if (option[1] === "at") {
      if (!isAt(option[2]))
        return wrong(`'${option[2]}' is not a moment`, from + option.index + option[0].indexOf(option[2]), "a moment is EVENT:STEPS");
      at = option[2];
    } else frame = Number(option[2]) || 0;
    body = body.slice(0, option.index);
  }
  body = body.replace(/\s--all(?=\s|$)/, "").trim();
  const whole = /^'([^']*)'$/.exec(body);
  const expr = whole ? whole[1] : body;
  if (!expr) return wrong("blame what?", text.length, "for example blame cache.value[3]");
  return makeBlame(expr, at, frame);
}

export function makeBlame(expr, at, frame = 0) {
  const options = (at ? ` --at ${at}` : "") + (frame ? ` --frame ${frame}` : "");
  return {
    kind: "blame",
    fields: { expr },
    line: `blame ${expr}${options}`,
    label: `blame ${expr}`,
    question: { q: "blame", expr, all: true, after: true, order: "asc", ...(at && { at }), ...(frame && { frame }) },
    cli: `urd blame ${quote(expr)}${options} --all`,
  };
}

export function makePrint(location, text, condition = "") {
  const tail = condition ? ` --if ${quote(condition)}` : "";
  const body = `print ${quote(location)} '${text.replace(/'/g, `'\\''`)}'${tail}`;
  return {
    kind: "print",
    fields: { location, text, condition },
    line: body,
    label: `print ${location}`,
    question: { q: "print", location, text, ...(condition && { if: condition }) },
    cli: `urd ${body}`,
  };
}

export function makeSimple(kind, field, value) {
  return {
    kind,
    fields: { [field]: value },
    line: `${kind} ${value}`,
    label: `${kind} ${value}`,
    question: { q: kind, [field]: value },
    cli: `urd ${kind} ${quote(value)}`,
  };
}

function parsePrint(text) {
  const split = words(text);
  if (split.error) return wrong(split.error, split.offset, "close the quote");
  const o = options(split.found.slice(1), ["if", "at", "frame"]);
  if (o.error) return o;
  const [location, format, ...more] = o.rest;
  if (!location || !format)
    return wrong(location ? "print what?" : "print where?", text.length, "for example print isqrt.c:25 'stored {n}'");
  if (more.length) return wrong(`what is '${more[0].word}'?`, more[0].from, "put the text in quotes");
  return makePrint(location.word, format.word, o.taken.if ?? "");
}

// context: {at, frame}. Returns a question, {kind: "moment", at}, {kind: "place", file, line}, or {error}.
export function parseAsk(input, context = {}) {
  const text = input.trim();
  if (!text) return wrong("there is nothing to ask", 0, "type a name, a moment, or ? for help");
  if (text[0] === ":") {
    const sql = text.slice(1).trim();
    if (!sql) return wrong("which SQL?", 1, "for example : SELECT * FROM events LIMIT 10");
    return { kind: "sql", fields: { sql }, line: `: ${sql}`, label: "SQL", question: { q: "sql", sql }, cli: `urd sql ${quote(sql)}` };
  }
  if (isAt(text)) return { kind: "moment", at: text };
  const verb = /^(blame|print|calls|lines|sql|goto)(\s+|$)/.exec(text);
  if (verb) {
    const rest = text.slice(verb[0].length).trim();
    switch (verb[1]) {
      case "blame":
        return parseBlame(text, verb[0].length, context);
      case "print":
        return parsePrint(text);
      case "sql":
        return parseAsk(`: ${rest.replace(/^'(.*)'$/s, "$1")}`, context);
      case "goto":
        return isAt(rest) ? { kind: "moment", at: rest } : wrong(`'${rest}' is not a moment`, verb[0].length, "a moment is EVENT:STEPS");
      default:
        if (!rest) return wrong(`${verb[1]} of what?`, text.length, verb[1] === "calls" ? "for example calls store" : "for example lines isqrt.c:25");
        return makeSimple(verb[1], verb[1] === "calls" ? "function" : "location", rest.replace(/^'(.*)'$/s, "$1"));
    }
  }
  const place = /^([\w./+-]*\.[A-Za-z+]+):(\d+)$/.exec(text);
  if (place) return { kind: "place", file: place[1], line: Number(place[2]) };
  return parseBlame(`blame ${text}`, 6, context);
}

// Which of a question's fields an error's offset points into, for the caret: {text, offset} or null.
export function caretOf(question, error) {
  if (!question || error.offset === null || error.offset === undefined) return null;
  const fields = Object.values(question.fields).filter((f) => typeof f === "string" && f);
  if (fields.length === 1) return error.offset <= fields[0].length ? { text: fields[0], offset: error.offset } : null;
  const word = /'([^']+)'/.exec(error.message)?.[1];
  const { text, condition, location } = question.fields;
  for (const field of [text, condition, location])
    if (field && word && field.startsWith(word, error.offset)) return { text: field, offset: error.offset };
  return null;
}

// The question's line with the suggestion put in the place of the wrong word, or null.
export function mended(question, error) {
  const caret = caretOf(question, error);
  if (!caret || !error.suggest) return null;
  const bad = /^[\w$.]*/.exec(caret.text.slice(caret.offset))[0];
  const good = caret.text.slice(0, caret.offset) + error.suggest + caret.text.slice(caret.offset + bad.length);
  return question.line.replace(caret.text, () => good);
}
