import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Press, SETTLE_MS } from "../../../nbtune/widgets/panel/press.js";
import { hand, openPage, stopClocks } from "../page.mjs";

beforeEach(openPage);

/** A button that says what `words.now` says, and its press. */
function shown() {
  const button = document.body.appendChild(document.createElement("button"));
  const words = { now: "start" };
  return { button, words, press: new Press(button, () => words.now) };
}

const down = (button) => button.dispatchEvent(new Event("pointerdown", { bubbles: true }));

test("a click asks for what the button said when it was pressed, by pointer or by key", () => {
  const { button, words, press } = shown();
  for (const begin of [down, (el) => hand.press(el, " "), (el) => hand.press(el, "Enter")]) {
    words.now = "stop";
    begin(button);
    words.now = "start";
    assert.equal(press.take(), "stop");
    assert.equal(press.take(), "start"); // without a press of its own
  }
});

test("other keys are no press", () => {
  const { button, words, press } = shown();
  words.now = "stop";
  hand.press(button, "Tab");
  words.now = "start";
  assert.equal(press.take(), "start");
});

test("a press just after a run has ended by itself is still meant for its Stop", (t) => {
  const pass = stopClocks(t);
  const { button, press } = shown();
  press.settle();
  down(button);
  assert.ok(press.isSettling);
  assert.equal(press.take(), "stop");
  pass(SETTLE_MS);
  down(button);
  assert.ok(!press.isSettling);
  assert.equal(press.take(), "start");
});
