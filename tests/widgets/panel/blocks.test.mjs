import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { BLOCKS } from "../../../nbtune/widgets/panel/blocks.js";
import { listener, openPage } from "../page.mjs";

beforeEach(openPage);

/** A block on the page that shows `content`. */
function shown(kind, content) {
  const el = document.createElement("div");
  document.body.append(el);
  BLOCKS[kind](el, content);
  return el;
}

/** A table of one cell, and that cell. */
function cell(content) {
  return shown("table", { caption: "", body: [[content]] }).querySelector("th, td");
}

test("a table has a caption to hear and the parts that have rows", () => {
  const row = [{ text: "k", header: "row" }, { text: "8" }];
  const table = shown("table", { caption: "What was found", head: [[{ text: "" }]], body: [row, row] }).firstChild;
  assert.equal(table.querySelector("caption").textContent, "What was found");
  assert.deepEqual(
    [...table.children].map((part) => [part.localName, part.querySelectorAll("tr").length]),
    [
      ["caption", 0],
      ["thead", 1],
      ["tbody", 2],
    ],
  );
  assert.deepEqual(
    [...table.querySelectorAll("tbody tr:first-of-type > *")].map(({ localName }) => localName),
    ["th", "td"],
  );
});

test("a cell says of what it is the head, and how many it spans", () => {
  const head = cell({ text: "image side", header: "rowgroup", span: 3, span_columns: 2 });
  assert.deepEqual([head.scope, head.rowSpan, head.colSpan], ["rowgroup", 3, 2]);
  const plain = cell({ text: "8" });
  assert.deepEqual([plain.localName, plain.rowSpan, plain.colSpan], ["td", 1, 1]);
});

test("a cell's styles become class names of ours", () => {
  assert.equal(cell({ text: "", style: "heat  heat-2 largest" }).className, "nbtune-heat nbtune-heat-2 nbtune-largest");
});

test("a cell with words for the ear hides what the eye sees from it", () => {
  const el = cell({ text: "0.5", spoken: "half a gibibyte" });
  assert.equal(el.querySelector(".nbtune-cell-text").ariaHidden, "true");
  assert.equal(el.querySelector(".nbtune-unseen").textContent, "half a gibibyte");
  assert.equal(cell({ text: "0.5" }).querySelector(".nbtune-cell-text").ariaHidden, null);
});

test("a cell's second line stands below its text, its swatch before it", () => {
  const el = cell({ text: "Conv2d", detail: "12 of them", swatch: "part_activations" });
  assert.deepEqual(
    [...el.children].map(({ className }) => className),
    ["nbtune-swatch", "nbtune-cell-text", "nbtune-cell-detail"],
  );
  const sign = el.firstChild;
  assert.deepEqual([sign.ariaHidden, sign.dataset.mark], ["true", "part_activations"]);
  assert.equal(sign.style.getPropertyValue("--nbtune-mark"), "var(--nbtune-part-activations)");
});

test("a bar is as long as its share of what the text leaves", () => {
  const el = cell({ text: "25 %", bar: { side: "left", share: 0.25, colour: "part-parameters" } });
  const fill = el.querySelector(".nbtune-cell-bar.nbtune-left > .nbtune-cell-fill");
  assert.equal(fill.style.width, "calc((100% - 56px) * 0.25)");
  assert.deepEqual([fill.style.background, fill.ariaHidden], ["var(--nbtune-part-parameters)", "true"]);
  assert.equal(fill.nextSibling.textContent, "25 %");
});

test("a bar may have a pattern, and a line across at a share of its own", () => {
  const el = cell({ text: "7.6", bar: { side: "right", share: 0.5, mark: "striped", line: 0.75 } });
  const [fill, text, line] = el.querySelector(".nbtune-cell-bar").children;
  assert.deepEqual([fill.dataset.mark, fill.style.background, text.textContent], ["striped", "", "7.6"]);
  assert.deepEqual([line.className, line.style.left], ["nbtune-cell-line", "calc((100% - 56px) * 0.75)"]);
  const plain = cell({ text: "7.6", bar: { side: "right", share: 0.5, colour: "part-inputs" } });
  assert.equal(plain.querySelector(".nbtune-cell-line"), null);
});

test("a cell may be a button that asks for its value", () => {
  const el = cell({ text: "Try", pick: { name: "changes", value: 3 } });
  const onPick = listener();
  document.body.addEventListener("nbtune-pick", ({ detail }) => onPick(detail));
  const button = el.querySelector("button.nbtune-pick");
  assert.deepEqual([button.textContent, button.name, button.type], ["Try", "changes 3", "button"]);
  button.click();
  assert.deepEqual(onPick.calls, [[{ name: "changes", value: 3 }]]);
});

test("steps ask for the value before and after, and for none where there is none", () => {
  const el = cell({ text: "k = 8", steps: { name: "k", back: 4, next: null } });
  const onPick = listener();
  document.body.addEventListener("nbtune-pick", ({ detail }) => onPick(detail));
  const [back, next] = el.querySelectorAll("button");
  for (const button of [back, next]) button.click();
  assert.deepEqual(onPick.calls, [[{ name: "k", value: 4 }]]);
  assert.deepEqual([back.ariaLabel, back.ariaDisabled], ["smaller k", "false"]);
  assert.deepEqual([next.ariaLabel, next.ariaDisabled], ["larger k", "true"]);
  assert.equal(el.querySelector(".nbtune-cell-text").getAttribute("aria-live"), "polite");
});

test("a table that is drawn again keeps the focus where it was", () => {
  const content = { caption: "", body: [[{ text: "k = 8", steps: { name: "k", back: 4, next: 16 } }]] };
  const el = shown("table", content);
  const before = el.querySelectorAll("button")[1];
  before.focus();
  BLOCKS.table(el, content);
  const after = el.querySelectorAll("button")[1];
  assert.ok(after !== before && document.activeElement === after);
  document.activeElement.blur();
  BLOCKS.table(el, content);
  assert.ok(!el.contains(document.activeElement));
});

test("a key is marks with what they mean, and words alone", () => {
  const el = shown("key", [
    ["", "GiB at the peak"],
    ["hatched", "does not fit"],
  ]);
  const entries = [...el.children].map((entry) => [
    entry.querySelector(".nbtune-swatch")?.dataset.mark,
    entry.textContent,
  ]);
  assert.deepEqual(entries, [
    [undefined, "GiB at the peak"],
    ["hatched", "does not fit"],
  ]);
});

test("a text is pieces in their styles, and drawn anew each time", () => {
  const el = shown("text", [["a", ""]]);
  BLOCKS.text(el, [
    ["yours: ", "strong"],
    ["η = 0.1", ""],
  ]);
  const pieces = [...el.children].map(({ className, textContent }) => [className, textContent]);
  assert.deepEqual(pieces, [
    ["nbtune-strong", "yours: "],
    ["", "η = 0.1"],
  ]);
});
