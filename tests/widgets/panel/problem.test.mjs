import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { ProblemBox } from "../../../nbtune/widgets/panel/problem.js";
import { openPage } from "../page.mjs";

beforeEach(openPage);

const PROBLEM = {
  title: "The model raised an error at step 1",
  text: "shapes cannot be multiplied",
  where: "In[3], line 2",
  traceback: "Traceback …",
};

function shown(problem) {
  const box = new ProblemBox();
  box.draw(problem);
  return box;
}

test("an error is said at once, with its place, and its traceback behind a link", () => {
  const { el, alert } = shown(PROBLEM);
  assert.ok(!el.hidden);
  assert.equal(alert.getAttribute("role"), "alert");
  const [title, text, where] = alert.children;
  assert.equal(title.textContent, "✕ The model raised an error at step 1");
  assert.equal(title.firstChild.ariaHidden, "true");
  assert.deepEqual([text.localName, text.textContent], ["code", "shapes cannot be multiplied"]);
  assert.equal(where.textContent, "In[3], line 2 ▸ Show the traceback");
  assert.ok(el.querySelector("pre").hidden);
  assert.deepEqual([where.querySelector("button").ariaExpanded, el.querySelector("pre").tabIndex], ["false", 0]);
});

test("the link shows the traceback and hides it again", () => {
  const { el } = shown(PROBLEM);
  const link = el.querySelector("button");
  const state = () => [el.querySelector("pre").hidden, link.ariaExpanded, link.textContent];
  link.click();
  assert.deepEqual(state(), [false, "true", "▾ Hide the traceback"]);
  assert.equal(el.querySelector("pre").textContent, "Traceback …");
  link.click();
  assert.deepEqual(state(), [true, "false", "▸ Show the traceback"]);
});

test("a problem without text, place or traceback is its title alone", () => {
  const { el, alert } = shown({ title: "The settings do not work", text: "", where: "", traceback: "" });
  assert.equal(alert.textContent, "✕ The settings do not work");
  assert.equal(el.querySelectorAll("code, pre, button").length, 0);
});

test("a box without a problem yet is hidden", () => {
  assert.ok(new ProblemBox().el.hidden);
});

test("a new problem replaces the one before, and none hides the box", () => {
  const box = shown(PROBLEM);
  box.draw({ ...PROBLEM, title: "Another" });
  assert.equal(box.el.querySelectorAll("pre").length, 1);
  assert.equal(box.alert.children.length, 3);
  box.draw(null);
  assert.ok(box.el.hidden);
  assert.deepEqual([box.alert.textContent, box.el.querySelectorAll("pre").length], ["", 0]);
});
