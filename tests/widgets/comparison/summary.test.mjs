import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import "../../../nbtune/widgets/comparison/summary.js";
import { BLOCKS } from "../../../nbtune/widgets/panel/blocks.js";
import { assertSame, listener, openPage } from "../page.mjs";

beforeEach(openPage);

/** The comparison's table of two batch sizes, with one number each, the first of them picked or not. */
function table(numbers, isPicked = false) {
  const heads = [8, 32].map((k) => ({ text: `● k = ${k}`, spoken: `k = ${k}`, header: "col" }));
  const cells = numbers.map((text) => ({ text, style: "number" }));
  return {
    caption: "What was found",
    head: [[{ text: "" }, ...heads]],
    body: [[{ text: "lowest loss", header: "row" }, ...cells]],
    picks: [
      [8, isPicked],
      [32, false],
    ],
  };
}

function shown(content) {
  const el = document.createElement("div");
  document.body.append(el);
  BLOCKS.summary(el, content);
  return el;
}

test("each head is a button that asks for its batch size", () => {
  const el = shown(table(["0.5", "0.4"], true));
  const onPick = listener();
  document.body.addEventListener("nbtune-pick", ({ detail }) => onPick(detail));
  const buttons = [...el.querySelectorAll("thead th > button")];
  assert.deepEqual(
    buttons.map(({ name, ariaPressed }) => [name, ariaPressed]),
    [
      ["k=8", "true"],
      ["k=32", "false"],
    ],
  );
  assert.equal(buttons[1].querySelector(".nbtune-unseen").textContent, "k = 32");
  buttons[1].click();
  assert.deepEqual(onPick.calls, [[{ value: 32 }]]);
});

test("numbers change while the heads outlive them", () => {
  const el = shown(table(["0.5", "0.4"]));
  const head = el.querySelector("thead");
  BLOCKS.summary(el, table(["0.3", "0.2"]));
  assertSame(el.querySelector("thead"), head);
  assert.deepEqual(
    [...el.querySelectorAll("tbody td")].map(({ textContent }) => textContent),
    ["0.3", "0.2"],
  );
});

test("a pick draws the heads anew, and the focus stays with its batch size", () => {
  const el = shown(table(["0.5", "0.4"]));
  const before = el.querySelector("[name='k=8']");
  before.focus();
  BLOCKS.summary(el, table(["0.5", "0.4"], true));
  const after = el.querySelector("[name='k=8']");
  assert.ok(after !== before && document.activeElement === after);
  assert.equal(after.ariaPressed, "true");
});
