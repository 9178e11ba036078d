// C-like source in four colours: keyword, string, comment, number. The background belongs to execution.
// A line's colours need only to know whether it begins in a comment, so a jump into a long file colours at once.

const words = new Set(`alignas alignof auto bool break case catch char class const constexpr continue default delete do double else enum
explicit extern false float for friend goto if inline int int8_t int16_t int32_t int64_t long namespace new nullptr operator private
protected public register restrict return short signed sizeof size_t ssize_t static struct switch template this throw true try typedef
typename uint8_t uint16_t uint32_t uint64_t union unsigned using virtual void volatile while _Bool NULL fn let mut pub impl use match
def import from lambda None True False func package var type range`.split(/\s+/));

const token = /(\/\/.*$)|(\/\*)|("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|(\b\d[\w.]*)|([A-Za-z_]\w*)|(^\s*#\s*\w+)/g;

// For every line, whether it begins inside a block comment.
export function commentStarts(lines) {
  const starts = new Uint8Array(lines.length + 1);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (!starts[i] && !line.includes("/*")) continue;
    starts[i + 1] = scan(line, starts[i] === 1, null) ? 1 : 0;
  }
  return starts;
}

function scan(line, inComment, emit) {
  let at = 0;
  if (inComment) {
    const end = line.indexOf("*/");
    emit?.("comment", line.slice(0, end < 0 ? line.length : end + 2));
    if (end < 0) return true;
    at = end + 2;
  }
  token.lastIndex = at;
  for (;;) {
    const m = token.exec(line);
    if (!m) break;
    if (m.index > at) emit?.(null, line.slice(at, m.index));
    if (m[2]) {
      const end = line.indexOf("*/", m.index + 2);
      emit?.("comment", line.slice(m.index, end < 0 ? line.length : end + 2));
      if (end < 0) return true;
      at = token.lastIndex = end + 2;
      continue;
    }
    emit?.(m[1] ? "comment" : m[3] ? "string" : m[4] ? "number" : m[6] || words.has(m[0]) ? "keyword" : null, m[0]);
    at = token.lastIndex;
  }
  if (at < line.length) emit?.(null, line.slice(at));
  return false;
}

// [[colour or null, text]...]
export function colours(line, inComment) {
  const out = [];
  scan(line, inComment, (colour, text) => {
    if (text) out.push([colour, text]);
  });
  return out;
}

// Names that a line mentions, in order, once each; not those in strings and comments.
export function names(line, inComment) {
  const out = new Set();
  for (const [colour, text] of colours(line, inComment)) if (!colour && /^[A-Za-z_]\w*$/.test(text)) out.add(text);
  return [...out];
}
