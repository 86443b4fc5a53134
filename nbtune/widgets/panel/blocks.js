/* What stands in a panel's stage beside plots: tables, keys and captions, from plain data. */

import { element } from "./elements.js";

/** Text that screen readers hear in place of what is seen. */
function spoken(text) {
  return element("span", "nbtune-unseen", { textContent: text });
}

/** A sign for a colour (its token) or a pattern (by name, see blocks.css). */
function swatch(mark) {
  const sign = element("span", "nbtune-swatch", { ariaHidden: "true" });
  sign.dataset.mark = mark;
  sign.style.setProperty("--nbtune-mark", `var(--nbtune-${mark.replaceAll("_", "-")})`);
  return sign;
}

/**
 * A bar of `share` of the widest, growing away from the middle of a back-to-back table, with its text at the end; in a
 * colour or a pattern (`mark`), with a `line` across at another share.
 */
function cellBar({ share, side, colour, mark, line }, seen) {
  const bar = element("span", `nbtune-cell-bar nbtune-${side}`);
  const width = (part) => `calc((100% - 56px) * ${part})`;
  const fill = element("span", "nbtune-cell-fill", { ariaHidden: "true" });
  fill.style.width = width(share);
  if (mark) fill.dataset.mark = mark;
  else fill.style.background = `var(--nbtune-${colour})`;
  bar.append(fill, seen);
  if (line !== undefined) {
    const across = element("span", "nbtune-cell-line", { ariaHidden: "true" });
    across.style.left = width(line);
    bar.append(across);
  }
  return bar;
}

/** A button in place of a cell's text, which asks for `value` of `name`. */
function picker({ name, value }, text) {
  const button = element("button", "nbtune-button nbtune-pick", { type: "button", textContent: text });
  button.name = `${name} ${value}`;
  button.addEventListener("click", () => {
    button.dispatchEvent(new CustomEvent("nbtune-pick", { bubbles: true, detail: { name, value } }));
  });
  return button;
}

/** Two buttons around a cell's text that ask for the value before and after the one shown. */
function stepped({ name, back, next }, seen) {
  const button = (sign, label, value) => {
    const step = element("button", "nbtune-step", { type: "button", textContent: sign, ariaLabel: label });
    step.name = `${name} ${label}`;
    step.ariaDisabled = String(value === null);
    const detail = { name, value };
    step.addEventListener("click", () => {
      if (value !== null) step.dispatchEvent(new CustomEvent("nbtune-pick", { bubbles: true, detail }));
    });
    return step;
  };
  seen.setAttribute("aria-live", "polite");
  return [button("‹", `smaller ${name}`, back), seen, button("›", `larger ${name}`, next)];
}

/** {text} and, where it has them: detail (a second line), spoken, swatch, bar, steps, pick, style, header, spans. */
function tableCell({ text, detail, spoken: words, swatch: mark, bar, steps, pick, style = "", header, ...spans }) {
  const names = style.split(" ").filter(Boolean);
  const el = element(header ? "th" : "td", names.map((name) => `nbtune-${name}`).join(" "));
  if (header) el.scope = header;
  el.rowSpan = spans.span ?? 1;
  el.colSpan = spans.span_columns ?? 1;
  const seen = element("span", "nbtune-cell-text", { textContent: text });
  if (words) seen.ariaHidden = "true";
  if (mark) el.append(swatch(mark));
  if (pick) el.append(picker(pick, text));
  else el.append(...(bar ? [cellBar(bar, seen)] : steps ? stepped(steps, seen) : [seen]));
  if (detail) el.append(element("span", "nbtune-cell-detail", { textContent: detail }));
  if (words) el.append(spoken(words));
  return el;
}

/** {caption, head, body, foot}, rows of cells each; the caption is for screen readers alone. */
export function drawTable(el, { caption, head = [], body = [], foot = [] }) {
  const focused = el.contains(document.activeElement) ? document.activeElement.name : "";
  const table = element("table", "nbtune-table");
  table.append(element("caption", "nbtune-unseen", { textContent: caption }));
  for (const [part, rows] of [
    ["thead", head],
    ["tbody", body],
    ["tfoot", foot],
  ]) {
    const section = element(part, "");
    for (const cells of rows) {
      const row = element("tr", "");
      row.append(...cells.map(tableCell));
      section.append(row);
    }
    if (rows.length) table.append(section);
  }
  el.replaceChildren(table);
  if (focused) el.querySelector(`[name="${focused}"]`)?.focus({ preventScroll: true });
}

/** [[mark, text], …]: what the marks of a plot mean; "" for text alone. */
function drawKey(el, entries) {
  const spans = entries.map(([mark, text]) => {
    const entry = element("span", "nbtune-key-entry");
    entry.append(...(mark ? [swatch(mark)] : []), text);
    return entry;
  });
  el.replaceChildren(...spans);
}

/** Pieces [text, style], as of the sentence. */
function drawText(el, pieces) {
  const spans = pieces.map(([textContent, style]) => element("span", style && `nbtune-${style}`, { textContent }));
  el.replaceChildren(...spans);
}

export const BLOCKS = { table: drawTable, key: drawKey, text: drawText };
