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
  const { bar, done, el } = shown({
    fraction: 0.25,
    text: "25 of 100 steps · 2 s left",
    short: "25 of 100",
    kind: "running",
  });
  assert.equal(done.style.width, "25%");
  assert.deepEqual([bar.role, bar.getAttribute("aria-valuenow"), bar.dataset.kind], ["progressbar", "25", "running"]);
  assert.equal(bar.getAttribute("aria-valuetext"), "25 of 100 steps · 2 s left");
  const [long, short] = el.querySelectorAll("span");
  assert.deepEqual([long.textContent, long.ariaHidden], ["25 of 100 steps · 2 s left", null]);
  assert.deepEqual([short.textContent, short.ariaHidden], ["25 of 100", "true"]);
});

test("without short words the long ones stand for them", () => {
  assert.equal(shown({ fraction: 0, text: "at rest", kind: "idle" }).short.textContent, "at rest");
});

test("a tool whose plots are its progress has no bar", () => {
  const progress = shown({});
  assert.ok(progress.el.hidden);
  progress.draw({ fraction: 0, text: "", kind: "running" });
  assert.ok(!progress.el.hidden);
});
