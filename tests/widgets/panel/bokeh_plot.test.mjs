import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import plot, { column, isSame } from "../../../nbtune/widgets/panel/bokeh_plot.js";
import { listener, openPage, stopClocks } from "../page.mjs";

const VERSIONS = Symbol.for("nbtune.bokehjs");

let page;
beforeEach(() => (page = openPage()));
afterEach(() => delete globalThis[VERSIONS]);

/** Float64 numbers as the kernel sends them: bytes somewhere inside a longer message. */
function sent(...numbers) {
  const message = new ArrayBuffer(8 * numbers.length + 3);
  const view = new DataView(message, 3);
  numbers.forEach((number, place) => view.setFloat64(8 * place, number, true));
  return view;
}

test("bytes become numbers, a list stays as it is", () => {
  assert.deepEqual([...column(sent(1.5, -2, NaN, 1e300))], [1.5, -2, NaN, 1e300]);
  const texts = ["a", "b"];
  assert.equal(column(texts), texts);
});

test("columns are the same when all their names and values are", () => {
  const columns = () => ({ x: sent(1, NaN), text: ["a", NaN] });
  assert.ok(isSame(columns(), columns()));
  const others = [
    undefined,
    { x: sent(1, NaN) },
    { ...columns(), more: [] },
    { x: sent(1, NaN), y: ["a", NaN] },
    { ...columns(), x: sent(1, 2) },
    { ...columns(), x: sent(1) },
    { ...columns(), x: [1, NaN] },
    { ...columns(), text: ["a"] },
    { ...columns(), text: ["a", "b"] },
  ];
  for (const other of others) assert.ok(!isSame(other, columns()), JSON.stringify(other));
});

/** BokehJS as far as a view uses it: documents of one figure, one source and one line, whose settings are noted. */
class BokehJS {
  constructor() {
    Object.assign(this, { documents: [], read: [], ready: Promise.resolve(), clearViews: listener() });
    const Document = { from_json: (json) => this.document(json) };
    this.require = () => ({ Document });
    const show = (doc, place) => (doc.place = place) && this.ready.then(() => ({ clear: this.clearViews }));
    this.embed = { add_document_standalone: show };
  }

  model(type, more = {}) {
    const noted = [];
    return { type, tags: [], noted, setv: (values) => noted.push(values), ...more };
  }

  document(json) {
    const source = this.model("ColumnDataSource", { name: "raw" });
    source.get_length = () => source.noted.at(-1)?.data.x.length ?? 0;
    const figure = this.model("Figure", { x_range: this.model("Range"), y_range: this.model("Range") });
    figure.on_event = (event, react) => (figure[event] = react);
    const line = this.model("Line", { tags: ["a tag of the user's", { theme: { line_color: "data" } }] });
    const doc = {
      json,
      source,
      figure,
      line,
      all_models: [figure, source, line],
      roots: () => [figure],
      clear: listener(),
    };
    this.documents.push(doc);
    this.read.push(doc);
    return doc;
  }
}

const DATA = { columns: { raw: { x: sent(1, 2) } }, x_range: null, y_range: [0, 1], label: "two points", sequence: 1 };
const TOKENS = { light: { data: "#0072B2" }, dark: { data: "#56B4E9" } };

/** A plot on the page, as of a model that holds `DATA`, and how the model changes; without `bokeh` the page loads it. */
async function shown({ signal, bokeh = new BokehJS() } = {}) {
  const values = { bokehjs: "IPY_MODEL_js", document: { roots: [] }, data: DATA, tokens: TOKENS };
  const heard = {};
  const shared = { get: (name) => ({ version: "3.9", gzipped: gzipSync("the code") })[name] };
  const model = {
    widget_manager: { get_model: async (id) => id === "js" && shared },
    get: (name) => values[name],
    on: (event, react) => (heard[event] = react),
    off: (event, react) => heard[event] === react && delete heard[event],
  };
  const set = (changes) => {
    Object.assign(values, changes);
    for (const name of Object.keys(changes)) heard[`change:${name}`]?.();
  };
  if (bokeh) globalThis[VERSIONS] = new Map([["3.9", Promise.resolve(bokeh)]]);
  const el = document.body.appendChild(document.createElement("div"));
  const end = await plot.render({ model, el, signal });
  return { bokeh, doc: bokeh?.read.at(-1), el, end, heard, set };
}

test("a plot is drawn from the model's document and data, and described", async () => {
  const { bokeh, doc, el } = await shown();
  assert.deepEqual([doc.json, el.contains(doc.place)], [{ roots: [] }, true]);
  assert.deepEqual(doc.figure.noted, [{ sizing_mode: "stretch_width" }]);
  assert.deepEqual([...doc.source.noted[0].data.x], [1, 2]);
  assert.deepEqual([doc.figure.x_range.noted, doc.figure.y_range.noted], [[], [{ start: 0, end: 1 }]]);
  assert.deepEqual([el.getAttribute("role"), el.ariaLabel], ["img", "two points"]);
  assert.deepEqual({ ...el.dataset }, { points: "2", sequence: "1", theme: "light" });
  assert.equal(bokeh.clearViews.calls.length, 0);
});

test("changes until the next drawing are drawn once, the last of them", async (t) => {
  const pass = stopClocks(t);
  const { doc, el, set } = await shown();
  set({ data: { ...DATA, columns: { raw: { x: sent(1, 2, 3) } }, sequence: 2 } });
  set({ data: { ...DATA, columns: { raw: { x: sent(1, 2, 3, 4) } }, x_range: [-5, 1], sequence: 3 } });
  assert.equal(el.dataset.sequence, "1");
  pass(16);
  assert.deepEqual([el.dataset.sequence, el.dataset.points, doc.source.noted.length], ["3", "4", 2]);
  assert.deepEqual(doc.figure.x_range.noted, [{ start: -5, end: 1 }]);
});

test("columns that stay are not set again", async (t) => {
  const pass = stopClocks(t);
  const { doc, el, set } = await shown();
  set({ data: { ...DATA, columns: { raw: { x: sent(1, 2) }, unknown: { x: [] } }, label: "still two", sequence: 2 } });
  pass(16);
  assert.deepEqual([doc.source.noted.length, el.ariaLabel, el.dataset.sequence], [1, "still two", "2"]);
});

test("what changed since is drawn over the rest, and the whole that comes after it stands alone", async (t) => {
  const pass = stopClocks(t);
  const { doc, el, set } = await shown();
  const more = { x_range: null, y_range: [0, 2] };
  set({ since: { columns: { raw: { x: sent(1, 2, 3) } }, label: "three", sequence: 2, ...more } });
  pass(16);
  assert.deepEqual([el.dataset.points, el.ariaLabel, el.dataset.sequence], ["3", "three", "2"]);
  assert.deepEqual(doc.figure.y_range.noted.at(-1), { start: 0, end: 2 });
  set({ since: { columns: {}, label: "two again", sequence: 3, ...more } });
  pass(16);
  assert.deepEqual([el.dataset.points, el.ariaLabel], ["2", "two again"]);
  set({ data: { ...DATA, columns: { raw: { x: sent(5) } }, sequence: 4 }, since: {} });
  pass(16);
  assert.deepEqual([el.dataset.points, el.ariaLabel, el.dataset.sequence], ["1", "two points", "4"]);
});

test("a reader who prefers reduced motion sees two drawings a second", async (t) => {
  const pass = stopClocks(t);
  page.prefers.add("(prefers-reduced-motion: reduce)");
  const { el, set } = await shown();
  const drawn = [];
  for (let sequence = 2; sequence < 102; sequence++) {
    set({ data: { ...DATA, sequence } });
    pass(10);
    drawn.push(el.dataset.sequence);
  }
  assert.equal(new Set(drawn).size, 3); // the first, and one each half second
});

test("another document replaces the one before, and is filled at once", async () => {
  const { bokeh, doc, set } = await shown();
  set({ document: { roots: ["another"] } });
  const [, another] = bokeh.read;
  assert.deepEqual([another.json, doc.clear.calls.length], [{ roots: ["another"] }, 1]);
  assert.deepEqual([...another.source.noted[0].data.x], [1, 2]);
  assert.deepEqual(bokeh.documents, [another]);
});

test("a document that is replaced before its views were made loses them", async () => {
  const { bokeh, set } = await shown();
  let arrive;
  bokeh.ready = new Promise((resolve) => (arrive = resolve));
  set({ document: { roots: ["never seen"] } });
  set({ document: { roots: ["another"] } });
  arrive();
  await new Promise((done) => setImmediate(done));
  assert.equal(bokeh.clearViews.calls.length, 1);
});

test("what is drawn has the colours of the page's theme, also after a change", async () => {
  document.body.style.backgroundColor = "rgb(17, 17, 17)";
  const { doc, el } = await shown();
  assert.deepEqual([el.dataset.theme, doc.line.noted], ["dark", [{ line_color: "#56B4E9" }]]);
  document.body.style.backgroundColor = "rgb(255, 255, 255)";
  document.body.dataset.jpThemeLight = "true";
  await page.happyDOM.waitUntilComplete();
  await new Promise((done) => setTimeout(done));
  assert.deepEqual([el.dataset.theme, doc.line.noted.at(-1)], ["light", { line_color: "#0072B2" }]);
});

test("a model may ask for the page's own background", async () => {
  const bokeh = new BokehJS();
  const box = bokeh.model("Box", { tags: [{ theme: { fill_color: "background" } }] });
  const { document: read } = bokeh;
  bokeh.document = (json) => {
    const doc = read.call(bokeh, json);
    doc.all_models.push(box);
    return doc;
  };
  document.body.style.backgroundColor = "rgb(250, 240, 230)";
  await shown({ bokeh });
  assert.deepEqual(box.noted, [{ fill_color: "rgb(250, 240, 230)" }]);
});

test("a tap is handed to the panel with where it was", async () => {
  const { doc, el } = await shown();
  const onPick = listener();
  document.body.addEventListener("nbtune-pick", ({ target, detail }) => onPick(target === el, detail));
  doc.figure.tap({ x: 0.25, y: 3 });
  assert.deepEqual(onPick.calls, [[true, { value: 0.25 }]]);
});

test("a view that ends leaves no document, no listener and no drawing behind", async (t) => {
  const pass = stopClocks(t);
  const { bokeh, doc, el, end, heard, set } = await shown();
  set({ data: { ...DATA, sequence: 2 } });
  end();
  pass(1000);
  document.body.dataset.jpThemeLight = "false";
  document.body.style.backgroundColor = "rgb(17, 17, 17)";
  await page.happyDOM.waitUntilComplete();
  pass(1000);
  assert.equal(el.dataset.theme, "light");
  assert.deepEqual([bokeh.documents, doc.clear.calls.length, heard], [[], 1, {}]);
  assert.equal(el.dataset.sequence, "1");
});

test("a view that ended before BokehJS was there draws nothing", async () => {
  const { bokeh } = await shown({ signal: AbortSignal.abort() });
  assert.deepEqual(bokeh.read, []);
});

/** Let scripts that come into the page do `run` instead; returns what they say and what Bokeh was meanwhile. */
function scripts(t, run) {
  const seen = [];
  t.mock.method(URL, "createObjectURL", (blob) => (seen.push({ code: blob.text(), type: blob.type }), "blob:1"));
  document.head.append = (script) => {
    seen.at(-1).Bokeh = globalThis.Bokeh;
    queueMicrotask(() => run(script));
  };
  t.after(() => delete globalThis.Bokeh);
  return seen;
}

test("BokehJS is loaded once per page, and another's is put back", async (t) => {
  const ours = new BokehJS();
  const seen = scripts(t, (script) => {
    globalThis.Bokeh = ours;
    script.onload();
  });
  const others = (globalThis.Bokeh = { version: "2.4" });
  await shown({ bokeh: null });
  await shown({ bokeh: null });
  assert.equal(ours.read.length, 2);
  assert.deepEqual([seen.length, seen[0].Bokeh, seen[0].type], [1, undefined, "text/javascript"]);
  assert.equal(await seen[0].code, "the code");
  assert.equal(globalThis.Bokeh, others);
});

test("a page where nobody else has BokehJS stays without", async (t) => {
  scripts(t, (script) => {
    globalThis.Bokeh = new BokehJS();
    script.onload();
  });
  await shown({ bokeh: null });
  assert.ok(!("Bokeh" in globalThis));
});

test("a BokehJS that could not be loaded is told, and tried again by the next view", async (t) => {
  const seen = scripts(t, (script) => script.onerror());
  await assert.rejects(shown({ bokeh: null }), /BokehJS could not be loaded/);
  await assert.rejects(shown({ bokeh: null }), /BokehJS could not be loaded/);
  assert.equal(seen.length, 2);
});
