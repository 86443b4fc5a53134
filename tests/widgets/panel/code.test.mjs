import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Code } from "../../../nbtune/widgets/panel/code.js";
import { openPage } from "../page.mjs";

beforeEach(openPage);

const settled = () => new Promise((done) => setTimeout(done));

test("nothing to write is not shown", () => {
  const code = new Code();
  assert.equal(code.el.hidden, true);
  code.draw({ title: "schedule", text: "x = 1" });
  assert.equal(code.el.hidden, false);
  code.draw({});
  assert.equal(code.el.hidden, true);
});

test("the text unfolds, and stays so when it changes", () => {
  const code = new Code();
  code.draw({ title: "schedule", text: "x = 1" });
  assert.equal(code.body.hidden, true);
  assert.ok(code.more.textContent.includes("▸") && code.more.textContent.includes("schedule"));
  code.more.click();
  assert.deepEqual([code.body.hidden, code.more.ariaExpanded], [false, "true"]);
  code.draw({ title: "schedule", text: "x = 2" });
  assert.deepEqual([code.body.hidden, code.text.textContent], [false, "x = 2"]);
});

test("what is copied is the text, and it is said; where a page may not, the text is selected", async () => {
  const code = new Code();
  code.draw({ title: "schedule", text: "x = 1\ny = 2" });
  const copied = [];
  const give = (clipboard) => Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
  give({ writeText: async (text) => copied.push(text) });
  code.copier.click();
  await settled();
  assert.deepEqual([copied, code.copier.textContent], [["x = 1\ny = 2"], "Copied"]);
  give(undefined);
  document.body.append(code.el);
  code.copier.click();
  await settled();
  assert.equal(code.copier.textContent, "Selected");
  assert.equal(document.getSelection().anchorNode, code.text);
});
