import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Answer, unbroken } from "../../../nbtune/widgets/panel/answer.js";
import { assertSame, listener, openPage } from "../page.mjs";

beforeEach(openPage);

test("a symbol, its sign and its number stay on one line", () => {
  assert.equal(unbroken("at k = 8 use η = 0.1"), "at k\u00a0=\u00a08 use η\u00a0=\u00a00.1");
  assert.equal(unbroken("2/λmax = 5, loss = 3"), "2/λmax\u00a0=\u00a05, loss = 3");
});

test("at first there is a place for a sentence alone", () => {
  const { el } = new Answer(listener());
  assert.deepEqual(
    [...el.children].map(({ hidden }) => hidden),
    [false, true, true, true, true],
  );
});

test("a sentence is pieces in their styles, said politely", () => {
  const answer = new Answer(listener());
  answer.drawSentence([
    ["Use η = 0.1", "answer"],
    [" below 2/λmax", ""],
  ]);
  assert.equal(answer.sentence.getAttribute("aria-live"), "polite");
  const [use, limit] = answer.sentence.children;
  assert.deepEqual([use.className, use.textContent], ["nbtune-answer", "Use η\u00a0=\u00a00.1"]);
  assert.deepEqual([limit.className, limit.querySelector("sub").textContent], ["", "max"]);
});

test("a sentence that did not change is not written, and so not read aloud, again", () => {
  const answer = new Answer(listener());
  answer.drawSentence([["Ready.", ""]]);
  const [span] = answer.sentence.children;
  answer.drawSentence([["Ready.", ""]]);
  assertSame(answer.sentence.firstChild, span);
  answer.drawSentence([["Ready.", "strong"]]);
  assert.ok(answer.sentence.firstChild !== span);
});

test("what to try next is a button that is there while there is something to try", () => {
  const onNext = listener();
  const answer = new Answer(onNext);
  answer.drawSuggestion({ label: "Try from 1e-6", values: { lr_min: "1e-6" } });
  assert.deepEqual([answer.next.hidden, answer.next.textContent], [false, "Try from 1e-6"]);
  answer.next.click();
  answer.drawSuggestion(null);
  assert.deepEqual([answer.next.hidden, answer.next.textContent], [true, ""]);
  answer.next.click();
  assert.deepEqual(onNext.calls, [["try", { values: { lr_min: "1e-6" } }]]);
  answer.drawSuggestion({ label: "Undo", sends: "undo" });
  answer.next.click();
  assert.deepEqual(onNext.calls[1], ["undo", undefined]);
});

test("notes are folded behind a button that counts them", () => {
  const answer = new Answer(listener());
  const state = () => [answer.more.hidden, answer.more.textContent, answer.more.ariaExpanded, answer.notes.hidden];
  answer.drawNotes(["one", "two"]);
  assert.deepEqual(state(), [false, "▸ 2 notes", "false", true]);
  answer.more.click();
  assert.deepEqual(state(), [false, "▾ 2 notes", "true", false]);
  assert.deepEqual(
    [...answer.notes.children].map(({ textContent }) => textContent),
    ["one", "two"],
  );
});

test("unfolded notes stay unfolded while there are some, and none close them", () => {
  const answer = new Answer(listener());
  answer.drawNotes(["one"]);
  answer.more.click();
  answer.drawNotes(["another"]);
  assert.deepEqual([answer.more.textContent, answer.notes.hidden], ["▾ 1 note", false]);
  answer.drawNotes([]);
  answer.drawNotes(["a third"]);
  assert.deepEqual([answer.more.hidden, answer.notes.hidden], [false, true]);
});
