import assert from "node:assert/strict";
import { test } from "node:test";

import { farewell, KernelWatch, LATER_MS } from "../../../nbtune/widgets/panel/kernel.js";
import { listener, stopClocks } from "../page.mjs";

/** A signal of Lumino's. */
function lumino() {
  const slots = new Set();
  return {
    connect: (slot) => slots.add(slot),
    disconnect: (slot) => slots.delete(slot),
    emit: (value) => [...slots].forEach((slot) => slot(null, value)),
    slots,
  };
}

/** JupyterLab's manager, a kernel, and the watch over it. */
function watched(more = {}) {
  const kernel = { id: "one", statusChanged: lumino(), connectionStatusChanged: lumino(), isDisposed: false, ...more };
  const session = { kernelChanged: lumino() };
  const part = { comm_live: true };
  const heard = new Map();
  const model = {
    on: (name, react) => heard.set(name, react),
    off: (name) => heard.delete(name),
    widget_manager: { kernel, context: { sessionContext: session }, get_model: async () => part },
  };
  const ended = new AbortController();
  const told = listener();
  new KernelWatch(model, () => "plot", ended.signal, told);
  return { kernel, session, part, heard, told, ended, fates: () => told.calls.flat() };
}

test("a restart by hand and a death that the server mends are told apart, and stay", (t) => {
  const pass = stopClocks(t);
  const restarted = watched();
  restarted.kernel.statusChanged.emit("restarting");
  assert.deepEqual(restarted.fates(), []);
  pass(LATER_MS);
  const died = watched();
  died.kernel.statusChanged.emit("restarting");
  died.kernel.statusChanged.emit("autorestarting");
  pass(LATER_MS);
  for (const { kernel } of [restarted, died]) {
    kernel.statusChanged.emit("idle");
    kernel.connectionStatusChanged.emit("connected");
  }
  assert.deepEqual([restarted.fates(), died.fates()], [["restarted"], ["died"]]);
});

test("a kernel that is shut down, dead or another one is gone", () => {
  for (const [act, fate] of [
    [({ kernel }) => kernel.statusChanged.emit("dead"), "died"],
    [({ kernel }) => kernel.statusChanged.emit("terminating"), "ended"],
    [({ session }) => session.kernelChanged.emit({ newValue: null }), "ended"],
    [({ session }) => session.kernelChanged.emit({ newValue: { id: "two" } }), "ended"],
  ]) {
    const one = watched();
    act(one);
    assert.deepEqual(one.fates(), [fate]);
  }
  assert.deepEqual(watched({ isDisposed: true }).fates(), ["ended"]);
});

test("other states, and the same kernel again, change nothing", () => {
  const { kernel, session, fates } = watched();
  for (const status of ["busy", "idle", "starting", "unknown"]) kernel.statusChanged.emit(status);
  session.kernelChanged.emit({ newValue: { id: "one" } });
  assert.deepEqual(fates(), []);
});

test("a connection that is lost may come back", () => {
  const { kernel, fates } = watched();
  for (const status of ["connecting", "disconnected", "connected"]) kernel.connectionStatusChanged.emit(status);
  assert.deepEqual(fates(), ["away", ""]);
});

test("a model that its manager has marked tells it where nothing is known of kernels", async (t) => {
  const pass = stopClocks(t);
  const { part, heard, fates } = watched();
  await heard.get("comm_live_update")();
  pass(LATER_MS);
  assert.deepEqual(fates(), []);
  part.comm_live = false;
  await heard.get("comm_live_update")();
  pass(LATER_MS);
  assert.deepEqual(fates(), ["restarted"]);
});

test("a front end without a manager is left in peace, and an ended view tells nothing more", () => {
  new KernelWatch({ on: () => {}, off: () => {} }, () => "", new AbortController().signal, listener());
  const { kernel, ended, fates } = watched();
  ended.abort();
  assert.equal(kernel.statusChanged.slots.size, 0);
  kernel.statusChanged.emit("dead");
  assert.deepEqual(fates(), []);
});

test("words say whether a run is lost", () => {
  const said = (...given) =>
    farewell(...given)
      .map(([text]) => text)
      .join("");
  assert.equal(said("died", false), "The kernel died. Run the cell again for a live panel.");
  assert.match(said("restarted", true), /^The kernel was restarted during this run: what you see is all that is left/);
  assert.match(said("away", true), /^Not connected to the kernel\. The run goes on there/);
  assert.equal(said("away", false), "Not connected to the kernel.");
});
