/* A view of a Bokeh figure: its own document, filled from the model's synced `data` and what changed `since`,
   coloured by the page's theme. */

import { isDark, surface, watchTheme } from "./theme.js";

const CALM_MS = 500; // between two drawings where the reader prefers reduced motion
const FRAME_MS = 16; // between two drawings where nobody does
const CHANGES = ["data", "since"]; // what a plot shows: all of its sources, and those that changed after

/** BokehJS of one version, once per page. A global, since each widget model evaluates its own copy of this module. */
function loadBokeh(shared) {
  const key = Symbol.for("nbtune.bokehjs");
  const versions = (globalThis[key] ??= new Map());
  const version = shared.get("version");
  if (!versions.has(version)) {
    const loading = evaluate(shared.get("gzipped"));
    loading.catch(() => versions.delete(version)); // the next view tries again
    versions.set(version, loading);
  }
  return versions.get(version);
}

async function evaluate(gzipped) {
  const unpacked = new Blob([gzipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = await new Response(unpacked).blob();
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const script = Object.assign(document.createElement("script"), { src: url });
  // Another extension's BokehJS may be there, of another version: it gets its place back.
  let others;
  try {
    return await new Promise((resolve, reject) => {
      script.onload = () => resolve(globalThis.Bokeh);
      script.onerror = () => reject(new Error("BokehJS could not be loaded"));
      others = Object.getOwnPropertyDescriptor(globalThis, "Bokeh");
      delete globalThis.Bokeh;
      document.head.append(script);
    });
  } finally {
    if (others) Object.defineProperty(globalThis, "Bokeh", others);
    else delete globalThis.Bokeh;
    script.remove();
    URL.revokeObjectURL(url);
  }
}

/** Bytes of little-endian float64 (a DataView), or a list as it is. */
export function column(values) {
  if (Array.isArray(values)) return values;
  const bytes = values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength);
  return new Float64Array(bytes);
}

/** Whether two sets of columns hold the same. */
export function isSame(before, after) {
  const names = Object.keys(after);
  return (
    before && Object.keys(before).length === names.length && names.every((name) => isEqual(before[name], after[name]))
  );
}

function isEqual(a, b) {
  if (!a || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
  if (a.byteLength !== b.byteLength) return false;
  for (let i = 0; i < a.byteLength; i++) if (a.getUint8(i) !== b.getUint8(i)) return false;
  return true;
}

class PlotView {
  constructor(Bokeh, model, el) {
    Object.assign(this, { Bokeh, model, el, plotEl: document.createElement("div"), pending: 0, drawnAt: 0 });
    el.append(this.plotEl);
    el.setAttribute("role", "img");
  }

  async build() {
    this.dispose();
    const { Document } = this.Bokeh.require("document");
    const doc = (this.document = Document.from_json(structuredClone(this.model.get("document"))));
    this.models = [...doc.all_models];
    this.shown = new Map();
    this.sources = new Map(this.models.filter((m) => m.type === "ColumnDataSource").map((m) => [m.name, m]));
    this.figure = doc.roots()[0];
    this.figure.setv({ sizing_mode: "stretch_width" });
    this.figure.on_event("tap", ({ x: value }) => {
      this.el.dispatchEvent(new CustomEvent("nbtune-pick", { bubbles: true, detail: { value } }));
    });
    this.recolour();
    this.apply();
    const views = await this.Bokeh.embed.add_document_standalone(doc, this.plotEl);
    if (this.document !== doc) views.clear(); // disposed of while its views were made
  }

  dispose() {
    const { document: doc, Bokeh } = this;
    this.document = undefined;
    doc?.clear(); // removes the root's view from the page
    const place = Bokeh.documents.indexOf(doc); // BokehJS would keep it for good
    if (place >= 0) Bokeh.documents.splice(place, 1);
    this.plotEl.replaceChildren();
  }

  /** Draw soon, once for all changes until then. */
  schedule() {
    if (this.pending) return;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    // BokehJS paints in the next frame by itself: a frame of our own in between would only come later.
    const wait = Math.max(0, this.drawnAt + (isCalm ? CALM_MS : FRAME_MS) - performance.now());
    this.pending = setTimeout(() => {
      this.pending = 0;
      this.drawnAt = performance.now();
      this.apply();
    }, wait);
  }

  apply() {
    if (!this.document) return;
    const [data, since] = CHANGES.map((name) => this.model.get(name));
    const { x_range, y_range, label, sequence } = { ...data, ...since };
    const columns = { ...data.columns, ...since?.columns };
    for (const [name, values] of Object.entries(columns)) this.fill(name, values);
    if (x_range) this.figure.x_range.setv({ start: x_range[0], end: x_range[1] });
    if (y_range) this.figure.y_range.setv({ start: y_range[0], end: y_range[1] });
    this.el.setAttribute("aria-label", label);
    this.el.dataset.points =
      ["raw", "hit", "alive"]
        .map((name) => this.sources.get(name))
        .find(Boolean)
        ?.get_length() ?? 0;
    this.el.dataset.sequence = sequence;
  }

  /** Give a source its columns, unless it has them: what stays costs a redraw of its own. */
  fill(name, values) {
    if (isSame(this.shown.get(name), values)) return;
    this.shown.set(name, values);
    const entries = Object.entries(values).map(([key, value]) => [key, column(value)]);
    this.sources.get(name)?.setv({ data: Object.fromEntries(entries) });
  }

  recolour() {
    const rgb = surface(this.el);
    const theme = isDark(rgb) ? "dark" : "light";
    const tokens = { ...this.model.get("tokens")[theme], background: `rgb(${rgb.join(", ")})` };
    this.el.dataset.theme = theme;
    if (!this.document) return;
    for (const model of this.models) {
      const named = Object.entries(model.tags.find((tag) => tag?.theme)?.theme ?? {});
      if (named.length) model.setv(Object.fromEntries(named.map(([property, token]) => [property, tokens[token]])));
    }
  }
}

async function render({ model, el, signal }) {
  const shared = await model.widget_manager.get_model(model.get("bokehjs").slice("IPY_MODEL_".length));
  const view = new PlotView(await loadBokeh(shared), model, el);
  if (signal?.aborted) return;
  const ended = new AbortController();
  const onData = () => view.schedule();
  const onDocument = () => view.build();
  for (const name of CHANGES) model.on(`change:${name}`, onData);
  model.on("change:document", onDocument);
  watchTheme(() => view.recolour(), ended.signal);
  await view.build();
  return () => {
    ended.abort();
    for (const name of CHANGES) model.off(`change:${name}`, onData);
    model.off("change:document", onDocument);
    clearTimeout(view.pending);
    view.dispose();
  };
}

export default { render };
