import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { FIELDS, entries, inShort, limitShare, radioGroup } from "../../../nbtune/widgets/panel/fields.js";
import { assertSame, hand, listener, openPage, stopClocks } from "../page.mjs";

beforeEach(openPage);

/** A field on the page, holding `text`, and what it told. */
function shown(field, text) {
  const onChange = listener();
  const made = FIELDS[field.kind]({ name: "f", label: "the field", ...field }, onChange);
  document.body.append(made.el);
  made.write(text);
  return { ...made, told: onChange.calls, find: (selector) => made.el.querySelector(selector) };
}

const CARD = {
  kind: "choice",
  options: [
    ["", "this machine"],
    ["16 GB", "a card"],
  ],
  other: "other size …",
  example: "10 GB",
};
const OPTIONS = [
  ["a", "first"],
  ["b", "second"],
  ["c", "third"],
];

test("each kind of text field brings up the keyboard that suits it", () => {
  const keyboards = ["integer", "number", "text"].map((kind) => shown({ kind }, "").find("input").inputMode);
  assert.deepEqual(keyboards, ["numeric", "decimal", "text"]);
});

test("a text field is as wide as its text, and tells that it changes and that it has changed", () => {
  const { find, read, told } = shown({ kind: "text" }, "8, 32");
  const input = find("input");
  assert.equal(input.style.width, "calc(5ch + 24px)");
  hand.type(input, "8, 32, 128");
  assert.equal(input.style.width, "calc(10ch + 24px)");
  hand.choose(input, "8, 32, 128");
  assert.equal(read(), "8, 32, 128");
  assert.deepEqual(told, [[false], [true]]);
});

test("what is being typed is not taken away by an older answer, until it is whole", () => {
  const ends = [(input) => hand.press(input, "Enter"), (input) => input.blur(), (input) => hand.choose(input, "12")];
  for (const end of ends) {
    const { find, read, write } = shown({ kind: "number" }, "1");
    hand.type(find("input"), "12");
    hand.press(find("input"), "3");
    write("1");
    assert.equal(read(), "12");
    end(find("input"));
    write("1");
    assert.equal(read(), "1");
  }
});

test("a locked text field is read-only, not disabled", () => {
  const { find, lock } = shown({ kind: "text" }, "");
  lock(true);
  assert.ok(find("input").readOnly && !find("input").disabled);
  lock(false);
  assert.ok(!find("input").readOnly);
});

test("a picker lists its options, what it holds besides, and the way to type another", () => {
  const texts = (value, field = CARD) => entries(field, value).map(([, text]) => text);
  assert.deepEqual(texts(""), ["this machine", "a card", "other size …"]);
  assert.deepEqual(texts("10 GB"), ["this machine", "a card", "10 GB", "other size …"]);
  assert.deepEqual(texts("", { options: CARD.options }), ["this machine", "a card"]);
});

test("a choice is read as its value and shown as its text", () => {
  const { find, read, told } = shown(CARD, "16 GB");
  const picker = find("select");
  assert.equal(picker.selectedOptions[0].textContent, "a card");
  assert.ok("givesWay" in picker.dataset && !("givesWay" in shown({ ...CARD, other: "" }, "").find("select").dataset));
  hand.choose(picker, "");
  assert.equal(read(), "");
  assert.deepEqual(told, [[true]]);
});

/** A picker whose last entry was chosen, and the place to type that stands in its stead. */
function other() {
  const field = shown(CARD, "16 GB");
  const picker = field.find("select");
  hand.choose(picker, picker.options[2].value);
  return { ...field, picker, typed: field.find("input") };
}

test("the last entry of a picker gives its place to a text, and Enter takes that for the choice", (t) => {
  const pass = stopClocks(t);
  assert.ok(shown(CARD, "").find("input").hidden);
  const { picker, typed, read, told } = other();
  assert.ok(picker.hidden && !typed.hidden && document.activeElement === typed);
  assert.equal(typed.placeholder, "10 GB");
  assert.equal(typed.ariaLabel, "the field: other size …");
  assert.equal(read(), "16 GB");
  hand.type(typed, " 24 GB ");
  assert.ok(!hand.press(typed, "x").defaultPrevented && !typed.hidden);
  const key = hand.press(typed, "Enter");
  assert.ok(key.defaultPrevented);
  assert.equal(read(), "24 GB");
  assert.equal(picker.selectedOptions[0].textContent, "24 GB");
  assert.ok(!picker.hidden && typed.hidden && document.activeElement === picker);
  pass(1000);
  assert.deepEqual(told, [[true]]);
  hand.choose(picker, picker.options[3].value);
  assert.equal(typed.value, "", "nothing is left of what was typed before");
});

test("Escape, or nothing typed, leaves the choice as it was, and neither key goes on to the panel", () => {
  for (const [text, key] of [
    ["24 GB", "Escape"],
    ["  ", "Enter"],
  ]) {
    const heard = listener();
    document.body.addEventListener("keydown", heard);
    const { picker, typed, read, told } = other();
    hand.type(typed, text);
    hand.press(typed, key);
    assert.equal(read(), "16 GB");
    assert.equal(picker.value, "16 GB");
    assert.deepEqual([told, heard.calls.length, picker.hidden], [[], 0, false]);
  }
});

test("a text that is left counts; one that is taken off the page with its view does not", (t) => {
  const pass = stopClocks(t);
  const left = other();
  hand.type(left.typed, "24 GB");
  left.typed.blur();
  pass(0);
  assert.equal(left.read(), "24 GB");
  const removed = other();
  hand.type(removed.typed, "2");
  removed.typed.blur();
  removed.el.remove();
  pass(0);
  assert.equal(removed.read(), "16 GB");
});

test("nothing happens to a locked picker but that the focus comes and goes", () => {
  const { find, lock } = shown(CARD, "");
  const isStopped = (key) => hand.press(find("select"), key).defaultPrevented;
  assert.deepEqual(["a", "Tab"].map(isStopped), [false, false]);
  lock(true);
  assert.deepEqual(["a", "ArrowDown", "Tab", "Escape", "Shift"].map(isStopped), [true, true, false, false, false]);
  assert.equal(find("select").ariaDisabled, "true");
});

test("of a group of buttons one is chosen and the only one that Tab finds", () => {
  const { el, choose } = radioGroup("mode", "view", OPTIONS, listener());
  const state = () => [...el.children].map((button) => [button.ariaChecked, button.tabIndex]);
  choose("b");
  assert.deepEqual(state(), [
    ["false", -1],
    ["true", 0],
    ["false", -1],
  ]);
  choose("of another tool");
  assert.deepEqual(state(), [
    ["false", 0],
    ["false", -1],
    ["false", -1],
  ]);
  assert.equal(el.getAttribute("role"), "radiogroup");
  assert.equal(el.ariaLabel, "view");
});

test("arrows go round the group and pick what they reach", () => {
  const onPick = listener();
  const { el } = radioGroup("mode", "view", OPTIONS, onPick);
  document.body.append(el);
  el.children[2].focus();
  const keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "x"];
  const stopped = keys.map((key) => hand.press(document.activeElement, key).defaultPrevented);
  assert.deepEqual(onPick.calls, [["a"], ["b"], ["a"], ["c"]]);
  assert.deepEqual(stopped, [true, true, true, true, false]);
  assertSame(document.activeElement, el.children[2]);
});

test("segments tell a new choice once, and none while locked", () => {
  const { el, read, lock, told } = shown({ kind: "segments", options: OPTIONS }, "a");
  const [first, second] = el.querySelectorAll("[role=radio]");
  first.click();
  assert.deepEqual(told, []);
  second.click();
  assert.deepEqual([read(), second.ariaChecked, told], ["b", "true", [[true]]]);
  lock(true);
  first.click();
  assert.deepEqual([read(), first.ariaDisabled, told.length], ["b", "true", 1]);
});

test("a switch is on or empty, and a click on a locked one is stopped", () => {
  const { find, read, write, lock, told } = shown({ kind: "switch" }, "");
  const box = find("input");
  assert.equal(read(), "");
  box.click();
  assert.deepEqual([read(), told], ["on", [[true]]]);
  lock(true);
  box.click();
  assert.equal(read(), "on");
  write("");
  assert.equal(read(), "");
});

test("the limit of a slider is a share of its length", () => {
  const share = (limit) => limitShare({ min: -3, max: 1, limit });
  assert.deepEqual([-2, -9, 5, undefined].map(share), [0.25, 0, 1, 1]);
});

const SLIDER = { kind: "slider", min: 0, max: 10, step: 0.5, limit: 5, limit_text: "2/λmax = 5" };

/** A slider, and what a hand that drags it to a value does. */
function slider(text) {
  const field = shown(SLIDER, text);
  const range = field.find("[type=range]");
  const drag = (value) => {
    range.value = value;
    range.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { ...field, range, drag, typed: field.find("[type=text]") };
}

test("a slider shows its number beside it and its limit with max set low", () => {
  const { find, range, typed } = slider("2.5");
  assert.deepEqual([range.value, typed.value], ["2.5", "2.5"]);
  assert.equal(find(".nbtune-slider").style.getPropertyValue("--nbtune-limit"), "0.5");
  assert.equal(find(".nbtune-limit").textContent, "2/λmax = 5");
  assert.equal(find(".nbtune-limit > sub").textContent, "max");
  assert.equal(range.ariaLabel, "the field");
  assert.ok(!find(".nbtune-limit").hidden);
  const { find: free } = shown({ ...SLIDER, limit: undefined, limit_text: undefined }, "1");
  assert.deepEqual([free(".nbtune-limit").hidden, free(".nbtune-limit").textContent], [true, ""]);
});

test("a fast hand is told at once, then once per answer, at last where it stopped", (t) => {
  const pass = stopClocks(t);
  const { drag, read, write, told } = slider("1");
  for (const value of ["2", "3", "4"]) drag(value);
  assert.deepEqual([read(), told.length], ["4", 1]);
  write("2"); // the answer to the first
  assert.deepEqual([read(), told.length], ["4", 2]);
  write("4");
  pass(200);
  drag("5");
  assert.deepEqual([read(), told], ["5", [[true], [true], [true]]]);
  pass(150); // the first waits for its answer no more
  drag("6");
  assert.equal(told.length, 3);
});

test("a slider whose answer does not come tells its value after a while", (t) => {
  const pass = stopClocks(t);
  const { drag, told } = slider("1");
  drag("2");
  drag("3");
  pass(299);
  assert.equal(told.length, 1);
  pass(1);
  assert.equal(told.length, 2);
  pass(1000);
  assert.equal(told.length, 2);
  drag("4");
  assert.equal(told.length, 3);
});

test("another value than the hand's is taken over once the hand has rested", (t) => {
  const pass = stopClocks(t);
  const { drag, read, range, write } = slider("1");
  drag("2");
  pass(499);
  write("7");
  assert.equal(read(), "2");
  pass(1);
  write("7");
  assert.deepEqual([read(), range.value], ["7", "7"]);
});

test("a number that is typed moves the slider, and is not told a second time by it", (t) => {
  const pass = stopClocks(t);
  const { range, typed, told } = slider("1");
  hand.choose(typed, "6");
  pass(1000);
  assert.equal(range.value, "6");
  assert.deepEqual(told, [[true]]);
});

test("a locked slider and its number keep still", () => {
  const { lock, range, typed } = slider("1");
  lock(true);
  assert.ok(typed.readOnly && hand.press(range, "ArrowRight").defaultPrevented);
});

test("the folded settings show labels for values, and nothing for a switch that is off", () => {
  assert.equal(inShort({ kind: "number", short: " to {}" }, "10"), " to 10");
  assert.equal(inShort({ ...CARD, short: "{}" }, "16 GB"), "a card");
  assert.equal(inShort({ ...CARD, short: "{}" }, "$& 10 GB"), "$& 10 GB");
  assert.equal(inShort({ kind: "switch", short: " · mixed precision" }, ""), "");
  assert.equal(inShort({ kind: "switch", short: " · mixed precision" }, "on"), " · mixed precision");
});
