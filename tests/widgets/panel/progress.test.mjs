import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Progress, percentOf } from "../../../nbtune/widgets/panel/progress.js";
import { openPage } from "../page.mjs";

beforeEach(openPage);

function shown(content) {
  const progress = new Progress();
  progress.draw(content);
  return progress;
}

test("a share is told in percent to a tenth, and never as more than all", () => {
  assert.deepEqual([0, 1 / 3, 0.99999, 1.2].map(percentOf), [0, 33.3, 100, 100]);
});

test("a bar says how far it is to the eye and to the ear", () => {
  const text = "25 of 100 steps · 2 s left";
  const { bar, el } = shown({ fraction: 0.25, text, short: "25 of 100", kind: "running" });
  assert.equal(el.querySelector(".nbtune-bar > .nbtune-bar-done").style.width, "25%");
  assert.equal(bar.dataset.kind, "running");
  const told = ["role", "aria-label", "aria-valuemin", "aria-valuenow", "aria-valuemax", "aria-valuetext"];
  const said = ["progressbar", "progress of the run", "0", "25", "100", text];
  assert.deepEqual(
    told.map((name) => bar.getAttribute(name)),
    said,
  );
  const [long, short] = el.querySelectorAll("span");
  assert.deepEqual([long.textContent, long.ariaHidden], [text, null]);
  assert.deepEqual([short.textContent, short.ariaHidden], ["25 of 100", "true"]);
});

test("without short words the long ones stand for them", () => {
  assert.equal(shown({ fraction: 0, text: "at rest", kind: "idle" }).short.textContent, "at rest");
});

test("a tool whose plots are its progress has no bar", () => {
  const progress = shown({ fraction: 0.5, text: "half", kind: "running" });
  progress.draw({});
  assert.deepEqual([progress.el.hidden, progress.long.textContent], [true, "half"]);
  progress.draw({ fraction: 0, text: "", kind: "running" });
  assert.ok(!progress.el.hidden);
});
