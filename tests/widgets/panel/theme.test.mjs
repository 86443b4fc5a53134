import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { isDark, surface, watchTheme } from "../../../nbtune/widgets/panel/theme.js";
import { listener, openPage } from "../page.mjs";

let page;
beforeEach(() => (page = openPage()));

/** A place on a page whose html, body and Lab's own surface have these colours. */
function place({ html = "", body = "", lab = "" }) {
  document.documentElement.style.backgroundColor = html;
  document.body.style.backgroundColor = body;
  document.documentElement.style.setProperty("--jp-layout-color0", lab);
  return document.body.appendChild(document.createElement("div"));
}

test("dark is what lies below a fifth of white's light", () => {
  const dark = [
    [0, 0, 0],
    [17, 17, 17],
    [0, 0, 255],
    [123, 123, 123],
  ];
  const light = [
    [255, 255, 255],
    [0, 255, 0],
    [255, 0, 0],
    [124, 124, 124],
  ];
  assert.deepEqual(dark.map(isDark), [true, true, true, true]);
  assert.deepEqual(light.map(isDark), [false, false, false, false]);
});

test("the surface is Lab's own, else the body's, else the page's, else white", () => {
  const colours = { html: "rgb(1, 1, 1)", body: "rgb(2, 2, 2)", lab: "rgb(3, 3, 3)" };
  assert.deepEqual(surface(place(colours)), [3, 3, 3]);
  assert.deepEqual(surface(place({ ...colours, lab: "" })), [2, 2, 2]);
  assert.deepEqual(surface(place({ ...colours, lab: "", body: "rgba(2, 2, 2, 0)" })), [1, 1, 1]);
  assert.deepEqual(surface(place({})), [255, 255, 255]);
});

test("a half-transparent surface counts, a transparent one does not", () => {
  assert.deepEqual(surface(place({ html: "rgb(1, 1, 1)", body: "rgba(9, 9, 9, 0.5)" })), [9, 9, 9]);
  assert.deepEqual(surface(place({ html: "rgb(1, 1, 1)", body: "transparent" })), [1, 1, 1]);
});

/** How often a watcher reacts to what is done to the page, after its signal was or was not ended. */
async function reactions(change, isEnded = false) {
  const react = listener();
  const ended = new AbortController();
  watchTheme(react, ended.signal);
  if (isEnded) ended.abort();
  change();
  await page.happyDOM.waitUntilComplete();
  await new Promise((done) => setTimeout(done));
  return react.calls.length;
}

test("a change of Lab's theme, or of the page's class, is seen until the view is gone", async () => {
  const changes = [
    () => (document.body.dataset.jpThemeLight = "false"),
    () => (document.body.dataset.jpThemeName = "Another"),
    () => (document.documentElement.className = "dark"),
  ];
  for (const change of changes) assert.equal(await reactions(change), 1, change);
  assert.equal(await reactions(() => (document.body.dataset.jpThemeLight = "true"), true), 0);
  assert.equal(await reactions(() => (document.body.title = "no theme")), 0);
});

test("a change of what the reader prefers is seen until the view is gone", async () => {
  const scheme = new page.EventTarget();
  globalThis.matchMedia = (query) => (query === "(prefers-color-scheme: dark)" ? scheme : null);
  const change = () => scheme.dispatchEvent(new Event("change"));
  assert.equal(await reactions(change), 1);
  assert.equal(await reactions(change, true), 0);
});
