// Asking the server: NDJSON in, rows as they come. A question that is no longer wanted is aborted, which stops it.

export class AskError extends Error {
  constructor(fields) {
    super(fields.message);
    Object.assign(this, { what_to_do: null, offset: null, suggest: null, kind: "failed" }, fields);
  }
}

const gone = () => new AskError({ message: "The server is gone.", what_to_do: "start it again: urd serve", kind: "gone" });

async function stream(response, onItems) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    if (lines.length && onItems(lines.filter(Boolean).map((line) => JSON.parse(line))) === false) {
      await reader.cancel();
      return;
    }
    if (done) return;
  }
}

/* Ask; items arrive in batches: {row}, {part}, {summary}. onItems may return false: enough. Throws AskError, or AbortError. */
export async function ask(request, onItems, signal) {
  let ended = false;
  let error = null;
  try {
    const response = typeof request === "string"
      ? await fetch(request, { signal })
      : await fetch("/api/v1/ask", { method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
    if (!response.headers.get("Content-Type")?.includes("ndjson")) throw new AskError((await response.json()).error);
    await stream(response, (items) => {
      const last = items[items.length - 1];
      if (last.error) {
        error = new AskError(last.error);
        items.pop();
      }
      if (last.error || last.summary) ended = true;
      const enough = onItems(items) === false;
      if (enough) ended = true;
      return !enough;
    });
  } catch (e) {
    if (e.name === "AbortError" || e instanceof AskError) throw e;
    throw gone();
  }
  if (error) throw error;
  if (!ended) throw gone();
}
