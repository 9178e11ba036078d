// Recorded text made safe to look at: what would be invisible or would reorder its surroundings gets a visible form.

const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return String(text).replace(unseen, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code); // control pictures
    if (code === 0x7f) return "\u2421";
    return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
}

// 1234567 -> 1.2M: for gutters and labels.
export function short(n) {
  n = Number(n);
  if (n < 10000) return String(n);
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (n >= size) return (n / size >= 100 ? Math.floor(n / size) : Math.floor((n / size) * 10) / 10) + unit;
  return String(n);
}

// 1234567 -> 1 234 567
export function grouped(n) {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

export function plural(n, one, many = one + "s") {
  return `${grouped(n)} ${n === 1 ? one : many}`;
}
