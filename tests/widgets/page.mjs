/* A page without a browser, for the tests of the panel's own JavaScript. It lays nothing out and loads nothing.
   The widgets' files read document and the like when they are called, so that a page may be opened after their import. */

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Window } = createRequire(new URL("../../nbtune/lab/package.json", import.meta.url))("happy-dom");

const NAMES = ["document", "CustomEvent", "Event", "KeyboardEvent", "MutationObserver", "getComputedStyle"];
const ARIA = ["Checked", "Disabled", "Expanded", "Hidden", "Label", "Pressed"];

/** Make a new, empty page the one that all code sees; returns its window, whose `prefers` answers media queries. */
export function openPage() {
  const page = new Window({ width: 1000, height: 1000 });
  for (const name of NAMES) globalThis[name] = page[name];
  globalThis.getComputedStyle = page.getComputedStyle.bind(page);
  globalThis.requestAnimationFrame = (draw) => setTimeout(draw);
  page.prefers = new Set();
  globalThis.matchMedia = (query) => Object.assign(new page.EventTarget(), { matches: page.prefers.has(query) });
  for (const name of ARIA) reflect(page.Element.prototype, `aria${name}`, `aria-${name.toLowerCase()}`);
  return page;
}

/** Browsers show these properties as attributes; happy-dom 21 does not. */
function reflect(prototype, property, attribute) {
  Object.defineProperty(prototype, property, {
    configurable: true,
    get() {
      return this.getAttribute(attribute);
    },
    set(value) {
      this.setAttribute(attribute, value);
    },
  });
}

/** Stop all clocks; the function returned lets so many milliseconds pass. */
export function stopClocks(test) {
  let now = 0;
  test.mock.timers.enable({ apis: ["setTimeout"] });
  test.mock.method(performance, "now", () => now);
  return (milliseconds) => {
    now += milliseconds;
    test.mock.timers.tick(milliseconds);
  };
}

/** Whether both are one element. assert.equal would print both with the whole page around them when they are not. */
export function assertSame(actual, expected) {
  assert.ok(actual === expected, `${actual?.outerHTML} is not ${expected?.outerHTML}`);
}

/** What was called how often with what. */
export function listener() {
  const calls = [];
  return Object.assign((...given) => calls.push(given), { calls });
}

/** Do to an element what a hand does; keys and clicks reach all that is around it. */
export const hand = {
  press: (el, key, more = {}) => {
    const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
    el.dispatchEvent(event);
    return event;
  },
  type: (el, text) => {
    el.focus();
    el.value = text;
    el.dispatchEvent(new Event("input", { bubbles: true }));
  },
  choose: (el, value) => {
    el.value = value;
    el.dispatchEvent(new Event("change", { bubbles: true }));
  },
};
