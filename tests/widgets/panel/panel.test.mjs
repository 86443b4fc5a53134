import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import panel, { placeOf } from "../../../nbtune/widgets/panel/panel.js";
import { assertSame, hand, listener, openPage, stopClocks } from "../page.mjs";

let page;
beforeEach(() => (page = openPage()));

const TRAITS = {
  tool: "LRFinder",
  state: "idle",
  fields: [
    { name: "lr_min", label: "η from", kind: "number", short: "{}" },
    { name: "rates", label: "rates", kind: "integer", short: ", {} rates", modes: ["race"] },
    { name: "theory", label: "2/λmax", kind: "switch", row: 2, short: " · theory", live: true },
  ],
  actions: [
    { name: "run", sign: "▶", label: "Start", sends: "start" },
    { name: "step", sign: "", label: "Step", sends: "step", repeats: true },
    { name: "apply", sends: "apply" },
  ],
  values: { lr_min: "1e-5", rates: "13" },
  modes: [
    ["race", "Race"],
    ["quick", "Quick sweep"],
  ],
  mode: "race",
  progress: { fraction: 0, text: "", short: "", kind: "running" },
  sentence: [["Press Start.", ""]],
  notes: [],
  code: {},
  suggestion_action: null,
  apply_label: "",
  problem: null,
  blocks: [
    { name: "course", kind: "plot", modes: ["race"], is_unspoken: true },
    { name: "lines", kind: "text" },
  ],
  plots: {},
  contents: { lines: [["one", ""]] },
};
const START = { lr_min: "1e-5", rates: "13", theory: "" };

/** What the kernel's side of a widget is to its view: synced traits, and messages back. */
function modelOf(traits) {
  const values = { ...TRAITS, ...traits };
  const heard = new Map();
  return {
    sent: [],
    get: (name) => values[name],
    send(message) {
      this.sent.push(message);
    },
    on: (events, react) => events.split(" ").forEach((event) => heard.set(event, [...(heard.get(event) ?? []), react])),
    off: (events, react) =>
      events.split(" ").forEach((event) =>
        heard.set(
          event,
          heard.get(event).filter((one) => one !== react),
        ),
      ),
    set(changes) {
      Object.assign(values, changes);
      const reacting = Object.keys(changes).flatMap((name) => heard.get(`change:${name}`) ?? []);
      for (const react of new Set(reacting)) react();
    },
  };
}

/** A panel on the page, what it sent after its first hello, and a finder for its parts. */
function shown(traits = {}) {
  const model = modelOf(traits);
  const el = document.body.appendChild(document.createElement("div"));
  const end = panel.render({ model, el });
  assert.deepEqual(model.sent.splice(0), [{ type: "hello" }]);
  const find = (selector) => el.querySelector(selector);
  return { model, el, end, find, set: model.set, sent: model.sent, root: el.firstChild };
}

test("Start asks for a run with what stands in the fields, and is Stop while one is under way", () => {
  const { find, set, sent, root } = shown();
  const run = find(".nbtune-run");
  assert.deepEqual([run.textContent, root.dataset.tool], ["▶ Start", "LRFinder"]);
  assert.ok(run.classList.contains("nbtune-primary"));
  run.click();
  set({ state: "running" });
  assert.equal(run.textContent, "■ Stop");
  assert.ok(!run.classList.contains("nbtune-primary"));
  run.click();
  assert.deepEqual(sent, [
    { type: "start", values: START, mode: "race" },
    { type: "stop", values: START, mode: "race" },
  ]);
  set({ state: "stopping" });
  assert.deepEqual(
    [run.textContent, run.ariaDisabled, run.disabled, root.dataset.state],
    ["■ Stop", "true", false, "stopping"],
  );
  set({ state: "done" });
  assert.deepEqual([run.textContent, run.ariaDisabled], ["▶ Start", "false"]);
});

test("a tool's own button sends its own message, again and again while Space is held down if it may", () => {
  const { find, sent } = shown();
  assert.equal(find(".nbtune-step").textContent, "Step");
  find(".nbtune-step").click();
  for (const name of ["step", "apply"]) {
    const button = find(`.nbtune-${name}`);
    button.disabled = false;
    hand.press(button, " ");
    hand.press(button, " ", { repeat: true });
    for (const key of ["x", "y", "z"]) hand.press(button, key, { repeat: true });
  }
  assert.deepEqual(
    sent.map(({ type }) => type),
    ["step", "step"],
  );
});

test("Enter in a text starts, Escape stops, and no other key is kept from the page", () => {
  const { find, set, sent } = shown();
  const heard = listener();
  document.body.addEventListener("keydown", ({ key }) => heard(key));
  const press = (key) => hand.press(find("[name=lr_min]"), key).defaultPrevented;
  assert.deepEqual(["Escape", "x", "Enter"].map(press), [false, false, true]);
  set({ state: "running" });
  assert.deepEqual(["Enter", "Escape"].map(press), [false, true]);
  hand.press(find(".nbtune-fold"), "Enter");
  assert.deepEqual(heard.calls.flat(), ["Escape", "x", "Enter", "Enter"]);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ["start", "stop"],
  );
});

test("Enter sets the fields of a tool that has no run to start", () => {
  const { find, sent } = shown({ actions: [{ name: "run", sign: "▶", label: "Walk", sends: "walk" }] });
  hand.press(find("[name=lr_min]"), "Enter");
  assert.deepEqual(sent, [{ type: "set", values: START, mode: "race" }]);
});

test("Enter in a text about the picture alone starts nothing", () => {
  const [lrMin, rates, theory] = TRAITS.fields;
  const { find, sent } = shown({ fields: [{ ...lrMin, live: true }, rates, theory] });
  hand.press(find("[name=lr_min]"), "Enter");
  hand.press(find("[name=rates]"), "Enter");
  assert.deepEqual(
    sent.map(({ type }) => type),
    ["set", "start"],
  );
});

test("arrows that move inside the panel do not move Lab from cell to cell", () => {
  const { find } = shown();
  const heard = listener();
  document.body.addEventListener("keydown", heard);
  hand.press(find("[role=radio]"), "ArrowRight");
  assert.equal(heard.calls.length, 0);
  hand.press(find("[name=lr_min]"), "ArrowRight");
  assert.equal(heard.calls.length, 1);
});

test("a field that has changed is told with all others, one that changes is not", () => {
  const { find, sent } = shown();
  hand.type(find("[name=lr_min]"), "1e-4");
  assert.deepEqual(sent, []);
  hand.choose(find("[name=lr_min]"), "1e-4");
  assert.deepEqual(sent, [{ type: "set", values: { ...START, lr_min: "1e-4" } }]);
});

test("values of the kernel are written into the fields, also into those that come after them", () => {
  const { find, set } = shown();
  set({ values: { lr_min: "1e-3", rates: "9", theory: "on" } });
  assert.equal(find("[name=lr_min]").value, "1e-3");
  assert.ok(find("[name=theory]").checked);
  set({ fields: [...TRAITS.fields] });
  assert.equal(find("[name=lr_min]").value, "1e-3");
});

test("new fields replace the old and keep the focus, and nothing is told of it", () => {
  const { find, set, sent } = shown();
  const before = find("[name=lr_min]");
  before.focus();
  const row = find(".nbtune-row-1");
  const replace = row.replaceChildren.bind(row);
  row.replaceChildren = (...fields) => {
    hand.choose(before, "half a num"); // as browsers do when they take away what has the focus
    before.blur();
    replace(...fields);
  };
  set({ fields: TRAITS.fields.slice(0, 2) });
  assert.ok(!before.isConnected);
  assertSame(document.activeElement, find("[name=lr_min]"));
  assert.deepEqual([find("[name=theory]") === null, find(".nbtune-row-2").hidden, sent], [true, true, []]);
});

test("a run locks the settings but for the live ones, also those that come during it", () => {
  const { find, set } = shown();
  const locked = () => [find("[name=lr_min]").readOnly, find("[name=theory]").ariaDisabled];
  set({ state: "running" });
  assert.deepEqual(locked(), [true, "false"]);
  set({ fields: [...TRAITS.fields] });
  assert.deepEqual(locked(), [true, "false"]);
  set({ state: "done" });
  assert.deepEqual(locked(), [false, "false"]);
});

test("the folded settings say what is set in this mode, and a click unfolds them", () => {
  const { find, set } = shown();
  const fold = find(".nbtune-fold");
  assert.equal(fold.textContent, "⚙ 1e-5, 13 rates");
  hand.type(find("[name=rates]"), "12");
  assert.equal(fold.textContent, "⚙ 1e-5, 12 rates");
  hand.choose(find("[name=rates]"), "12");
  set({ values: { lr_min: "1e-4", rates: "12", theory: "on" } });
  assert.equal(fold.textContent, "⚙ 1e-4, 12 rates · theory");
  set({ mode: "quick" });
  assert.equal(fold.textContent, "⚙ 1e-4 · theory");
  fold.click();
  assert.deepEqual([find(".nbtune-unfolded") !== null, fold.ariaExpanded], [true, "true"]);
  assert.ok(shown().find(".nbtune-unfolded"), "a view made anew remembers");
  fold.click();
  assert.deepEqual([find(".nbtune-unfolded") === null, fold.ariaExpanded], [true, "false"]);
});

test("a mode is asked for by its button, and hides what belongs to others", () => {
  const { find, root, set, sent } = shown();
  const [race, quick] = root.querySelectorAll("[role=radio]");
  quick.click();
  assert.deepEqual(sent, [{ type: "set", mode: "quick" }]);
  const state = () => [
    race.ariaChecked,
    find("[name=rates]").closest(".nbtune-field").hidden,
    find("[data-block=course]").hidden,
    find("[data-block=lines]").hidden,
    root.dataset.mode,
  ];
  assert.deepEqual(state(), ["true", false, false, false, "race"]);
  set({ mode: "quick" });
  assert.deepEqual(state(), ["false", true, true, false, "quick"]);
});

test("modes, fields and blocks that come later are those of the mode", () => {
  const { find, set } = shown({ mode: "quick" });
  set({ modes: [...TRAITS.modes] });
  assert.equal(find("[aria-checked=true]").textContent, "Quick sweep");
  set({ fields: [...TRAITS.fields] });
  assert.ok(find("[name=rates]").closest(".nbtune-field").hidden);
  set({ blocks: [...TRAITS.blocks] });
  assert.ok(find("[data-block=course]").hidden);
});

test("a tool with one way to run has no buttons for modes", () => {
  const { find, set } = shown({ modes: [], mode: "" });
  assert.ok(find(".nbtune-modes").hidden);
  set({ modes: TRAITS.modes });
  assert.ok(!find(".nbtune-modes").hidden);
});

test("Apply says what it would set, and rests while there is nothing", () => {
  const { find, set } = shown();
  const apply = find(".nbtune-apply");
  assert.deepEqual([apply.textContent, apply.disabled], ["Apply", true]);
  set({ apply_label: "Apply η = 0.1" });
  assert.deepEqual([apply.textContent, apply.disabled], ["Apply η = 0.1", false]);
  shown({ actions: TRAITS.actions.slice(0, 1) }).set({ apply_label: "Apply" }); // a tool without one
});

test("progress, sentence, notes and what to try next are the model's", () => {
  const { find, set, sent } = shown();
  set({
    progress: { fraction: 0.5, text: "50 of 100 steps", short: "50", kind: "stopped" },
    sentence: [["Stopped.", "strong"]],
    suggestion_action: { label: "Try again", values: { lr_min: "1e-6" } },
    notes: ["a note"],
    code: { title: "schedule", text: "x = 1" },
  });
  assert.equal(find("[role=progressbar]").getAttribute("aria-valuenow"), "50");
  assert.equal(find(".nbtune-sentence").textContent, "Stopped.");
  assert.equal(find(".nbtune-more").textContent, "▸ 1 note");
  assert.equal(find(".nbtune-code-text").textContent, "x = 1");
  find(".nbtune-next").click();
  assert.deepEqual(sent, [{ type: "try", values: { lr_min: "1e-6" } }]);
});

test("a problem stands in the stage's place", () => {
  const { find, set } = shown();
  set({ problem: { title: "It failed", text: "", where: "", traceback: "" } });
  assert.deepEqual([find(".nbtune-stage").hidden, find(".nbtune-problem").hidden], [true, false]);
  set({ problem: null });
  assert.deepEqual([find(".nbtune-stage").hidden, find(".nbtune-problem").hidden], [false, true]);
});

test("blocks stand in their order, and what stands in one is drawn when it has changed", () => {
  const { find, set } = shown();
  const blocks = [...find(".nbtune-stage").children].map((el) => [el.dataset.block, el.className, el.ariaHidden]);
  assert.deepEqual(blocks, [
    ["course", "nbtune-block nbtune-plot", "true"],
    ["lines", "nbtune-block nbtune-text", null],
  ]);
  const piece = () => find("[data-block=lines]").firstChild;
  const before = piece();
  assert.equal(before.textContent, "one");
  set({ contents: { lines: [["one", ""]] } });
  assertSame(piece(), before);
  set({ contents: { lines: [["two", ""]] } });
  assert.equal(piece().textContent, "two");
});

test("a click in the stage is told with its block's name, or the name that it brings", () => {
  const { find, sent } = shown();
  const pick = (detail) =>
    find("[data-block=lines] span").dispatchEvent(new CustomEvent("nbtune-pick", { bubbles: true, detail }));
  pick({ value: 3 });
  pick({ name: "k", value: 8 });
  assert.deepEqual(sent, [
    { type: "pick", name: "lines", value: 3 },
    { type: "pick", name: "k", value: 8 },
  ]);
});

/** A manager of widgets whose views wait until they are let go, and those it made. */
function manager() {
  const made = [];
  return {
    made,
    get_model: async (id) => ({ id }),
    create_view: (model) =>
      new Promise((resolve) => {
        const view = { id: model.id, el: document.createElement("canvas"), isRemoved: false };
        view.remove = () => (view.isRemoved = true);
        made.push({ view, arrive: () => resolve(view) });
      }),
  };
}

const settled = () => new Promise((done) => setImmediate(done));

/** A panel whose plot is `id`, and whose view is on its way. */
async function plotted(id) {
  const widgets = manager();
  const one = shown({ plots: {} });
  one.model.widget_manager = widgets;
  one.set({ plots: { course: `IPY_MODEL_${id}` } });
  await settled();
  return { ...one, made: widgets.made };
}

test("a plot's view comes into its block, and one replaces the other", async () => {
  const { find, set, made } = await plotted("a");
  made[0].arrive();
  await settled();
  assertSame(find("[data-block=course]").firstChild, made[0].view.el);
  set({ plots: { course: "IPY_MODEL_b" } });
  await settled();
  made[1].arrive();
  await settled();
  assert.equal(find("[data-block=course]").children.length, 1);
  assertSame(find("[data-block=course]").firstChild, made[1].view.el);
  assert.deepEqual(
    made.map(({ view }) => [view.id, view.isRemoved]),
    [
      ["a", true],
      ["b", false],
    ],
  );
});

test("a plot that comes too late, after another or after the view's end, is taken away", async () => {
  const late = await plotted("a");
  late.set({ plots: { course: "IPY_MODEL_b" } });
  late.made[0].arrive();
  const ended = await plotted("c");
  ended.end();
  ended.made[0].arrive();
  await settled();
  assert.ok(late.made[0].view.isRemoved && ended.made[0].view.isRemoved);
});

test("a view that ends takes its plots along and hears no more", async () => {
  const { find, set, end, made } = await plotted("a");
  made[0].arrive();
  await settled();
  end();
  set({ state: "running", sentence: [["later", ""]] });
  assert.equal(find(".nbtune-sentence").textContent, "Press Start.");
  assert.equal(find(".nbtune-run").textContent, "▶ Start");
  assert.ok(made[0].view.isRemoved);
});

test("a panel has the colours of the page it is on, also after a change", async () => {
  document.body.style.backgroundColor = "rgb(17, 17, 17)";
  const { root } = shown();
  assert.equal(root.dataset.nbtuneTheme, "dark");
  document.body.style.backgroundColor = "rgb(255, 255, 255)";
  document.body.dataset.jpThemeLight = "true";
  await page.happyDOM.waitUntilComplete();
  await new Promise((done) => setTimeout(done));
  assert.equal(root.dataset.nbtuneTheme, "light");
});

test("an element is found again by its name, else by the class that is its own", () => {
  const of = (name, className) => placeOf(Object.assign(document.createElement("button"), { name, className }));
  assert.equal(of("lr_min", "nbtune-segment"), '[name="lr_min"]');
  assert.equal(of("", "nbtune-button nbtune-run nbtune-primary"), ".nbtune-run");
  assert.equal(of("", "nbtune-link"), ".nbtune-link");
});

/** A view that lost the focus from `selector`, and after `milliseconds` the one that replaces it. */
function remade(t, selector, milliseconds) {
  const pass = stopClocks(t);
  const before = shown();
  before.find(selector).focus();
  before.find(selector).blur();
  before.el.remove();
  pass(milliseconds);
  const after = shown();
  pass(0);
  return { before, after };
}

test("a view that Lab makes anew has the focus where the one before had it", (t) => {
  const { after } = remade(t, "[name=lr_min]", 1400);
  assertSame(document.activeElement, after.find("[name=lr_min]"));
});

test("a reader who went elsewhere is left there", (t) => {
  remade(t, ".nbtune-run", 1600);
  assertSame(document.activeElement, document.body);
});

test("leaving the panel is told, moving inside it is not", () => {
  const { find, sent } = shown();
  find("[name=lr_min]").focus();
  find(".nbtune-run").focus();
  assert.deepEqual(sent, []);
  find(".nbtune-run").blur();
  assert.deepEqual(sent, [{ type: "leave" }]);
});

test("another run on the model is stopped from here, and Start comes back with its end", () => {
  const { find, set, sent } = shown();
  const run = find(".nbtune-run");
  set({ other_run: { is_stopping: false } });
  assert.equal(run.textContent, "■ Stop");
  run.click();
  set({ other_run: { is_stopping: true } });
  assert.equal(run.ariaDisabled, "true");
  set({ other_run: null });
  assert.deepEqual([run.textContent, run.ariaDisabled], ["▶ Start", "false"]);
  assert.deepEqual(
    sent.map(({ type }) => type),
    ["stop"],
  );
});

test("a Stop that is pressed as the run ends by itself starts nothing", (t) => {
  const pass = stopClocks(t);
  const { find, set, sent } = shown({ state: "running" });
  const run = find(".nbtune-run");
  const down = () => run.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  set({ state: "done" });
  down();
  run.click();
  assert.equal(run.ariaDisabled, "true");
  pass(300);
  assert.equal(run.ariaDisabled, "false");
  down();
  run.click();
  assert.deepEqual(
    sent.map(({ type }) => type),
    ["stop", "start"],
  );
});

test("a message that a kernel takes no more, before it is known to be gone, troubles nobody", () => {
  const { model, el } = shown({ state: "running" });
  model.send = () => {
    throw new Error("Cannot send");
  };
  // What comes after the message is still done: the key is kept from the page.
  assert.ok(hand.press(el.querySelector(".nbtune-run"), "Escape").defaultPrevented);
});

test("a panel whose kernel is gone says so, offers nothing and sends nothing", () => {
  const statusChanged = { connect: (slot) => (statusChanged.emit = (status) => slot(null, status)), disconnect() {} };
  const model = Object.assign(modelOf({ state: "running", suggestion_action: { label: "Try", values: {} } }), {
    widget_manager: { kernel: { statusChanged } },
  });
  const el = document.body.appendChild(document.createElement("div"));
  panel.render({ model, el });
  model.sent.splice(0);
  statusChanged.emit("dead");
  const run = el.querySelector(".nbtune-run");
  assert.deepEqual([run.textContent, run.ariaDisabled, el.firstChild.dataset.state], ["▶ Start", "true", "gone"]);
  assert.match(el.querySelector(".nbtune-sentence").textContent, /^The kernel died during this run/);
  assert.ok(el.querySelector(".nbtune-next").hidden && el.querySelector(".nbtune-apply").disabled);
  run.click();
  hand.press(run, "Escape");
  assert.deepEqual(model.sent, []);
});
