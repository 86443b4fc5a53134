/* What every tool's panel shares, from the model's synced traits. It sets none: it sends messages. */

import { Answer } from "./answer.js";
import { BLOCKS } from "./blocks.js";
import { element, label } from "./elements.js";
import { FIELDS, inShort, radioGroup } from "./fields.js";
import { farewell, KernelWatch } from "./kernel.js";
import { Press, SETTLE_MS } from "./press.js";
import { ProblemBox } from "./problem.js";
import { Progress } from "./progress.js";
import { isDark, surface, watchTheme } from "./theme.js";

/* What outlives a view: when a run ends, the output gets its picture, and Lab then makes the view anew. */
const kept = { isUnfolded: false, focus: "", lostAt: -Infinity };
const REMADE_MS = 1500;

/** How to find an element again in a view made anew: by its name, or by the class that is its own. */
export function placeOf({ name, classList }) {
  return name ? `[name="${name}"]` : `.${classList[1] ?? classList[0]}`;
}

class PanelView {
  constructor(model, el, signal) {
    Object.assign(this, { model, signal, root: element("div", "nbtune nbtune-panel"), fields: new Map() });
    Object.assign(this, { blocks: new Map(), plots: new Map(), fate: "" });
    this.root.dataset.tool = model.get("tool");
    this.buildControls();
    this.stage = element("div", "nbtune-stage");
    this.stage.addEventListener("nbtune-pick", ({ target, detail: { name, value } }) => {
      this.send("pick", { name: name ?? target.closest(".nbtune-block").dataset.block, value });
    });
    this.problem = new ProblemBox();
    this.progress = new Progress();
    this.answer = new Answer((type, content) => this.send(type, content));
    this.root.append(this.controls, this.problem.el, this.stage, this.progress.el, this.answer.el);
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("focusin", ({ target }) => {
      Object.assign(kept, { focus: placeOf(target), lostAt: Infinity });
    });
    this.root.addEventListener("focusout", ({ relatedTarget }) => {
      if (this.isRebuilding) return; // the focus comes back at once
      kept.lostAt = performance.now();
      if (!this.root.contains(relatedTarget)) this.send("leave");
    });
    el.append(this.root);
  }

  buildControls() {
    this.controls = element("div", "nbtune-controls");
    this.modes = element("div", "nbtune-modes");
    this.settings = [1, 2].map((row) => element("div", `nbtune-fields nbtune-row-${row}`));
    this.fold = element("button", "nbtune-button nbtune-fold", { type: "button" });
    this.fold.addEventListener("click", () => {
      kept.isUnfolded = !kept.isUnfolded;
      this.drawFold();
    });
    this.drawFold();
    const actions = element("div", "nbtune-actions");
    actions.append(...this.model.get("actions").map((action) => this.buildAction(action)));
    this.controls.append(this.modes, this.settings[0], this.fold, actions, this.settings[1]);
  }

  buildAction({ name, sign, label: text, sends, repeats }) {
    const button = element("button", `nbtune-button nbtune-${name}`, { type: "button" });
    // Held down, Enter clicks again and again by itself; Space only once it is let go.
    button.addEventListener("keydown", ({ key, repeat }) => key === " " && repeat && repeats && button.click());
    if (name === "run") this.pressed = new Press(button, () => (this.showsStop() ? "stop" : sends));
    button.addEventListener("click", () => this.act(name === "run" ? this.pressed.take() : sends));
    if (text) label(button, sign, text);
    this[name] = button;
    return button;
  }

  isRunning() {
    return ["running", "stopping"].includes(this.model.get("state"));
  }

  /** Whether there is something to stop: this panel's run, or another one on its model. */
  showsStop() {
    return this.isRunning() || Boolean(this.model.get("other_run"));
  }

  send(type, content = {}) {
    if (this.fate) return;
    try {
      this.model.send({ type, ...content });
    } catch (error) {
      // A kernel that has just gone takes no message, a moment before it is known to have.
      if (error.message !== "Cannot send") throw error;
    }
  }

  /** The kernel is gone, or there again. */
  drawKernel(fate) {
    this.fate = fate;
    this.drawState();
    this.drawSentence();
  }

  typed() {
    return Object.fromEntries([...this.fields].map(([name, field]) => [name, field.read()]));
  }

  /** What is asked for is asked with what stands in the fields. */
  act(type) {
    this.send(type, { values: this.typed(), mode: this.model.get("mode") });
  }

  get runAction() {
    return this.model.get("actions").find(({ name }) => name === "run");
  }

  /** Where the view that this one replaces had it, unless the reader went elsewhere. */
  takeFocus() {
    const isRemade = performance.now() - kept.lostAt < REMADE_MS;
    if (isRemade && document.activeElement === document.body) {
      this.root.querySelector(kept.focus)?.focus({ preventScroll: true });
    }
  }

  onKey(event) {
    const { key, target } = event;
    const isMove = key.startsWith("Arrow") && target.matches("select, [type=range], [role=radio]");
    if (isMove) event.stopPropagation(); // else Lab takes it for a step from cell to cell
    const isTyped = key === "Enter" && target.type === "text";
    if (key === "Escape" && this.showsStop()) this.send("stop");
    else if (isTyped && !this.showsStop()) this.act(this.asksForRun(target) ? "start" : "set");
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** What is about the picture alone needs no new run. */
  asksForRun({ name }) {
    const isLive = this.model.get("fields").some((field) => field.name === name && field.live);
    return this.runAction.sends === "start" && !isLive;
  }

  drawFields() {
    const onChange = (isFinal) => {
      this.drawShort();
      // A field that is taken away while it has the focus says "change" too.
      if (isFinal && !this.isRebuilding) this.send("set", { values: this.typed() });
    };
    const focused = this.settings.some((row) => row.contains(document.activeElement)) && document.activeElement.name;
    this.isRebuilding = true;
    this.settings.forEach((row) => row.replaceChildren());
    this.fields = new Map(
      this.model.get("fields").map((field) => {
        const made = FIELDS[field.kind](field, onChange);
        this.settings[(field.row ?? 1) - 1].append(made.el);
        return [field.name, made];
      }),
    );
    this.settings[1].hidden = !this.settings[1].firstChild;
    this.drawValues();
    this.drawState();
    this.drawMode();
    if (focused) this.root.querySelector(`[name="${focused}"]`)?.focus({ preventScroll: true });
    this.isRebuilding = false;
  }

  drawValues() {
    const values = this.model.get("values");
    for (const [name, field] of this.fields) field.write(values[name] ?? "");
    this.drawShort();
  }

  /** The folded button says what is set. */
  drawShort() {
    const typed = this.typed();
    const fields = this.model.get("fields").filter(this.belongs, this);
    label(this.fold, "⚙", fields.map((field) => inShort(field, typed[field.name] ?? "")).join(""));
  }

  drawFold() {
    this.controls.classList.toggle("nbtune-unfolded", kept.isUnfolded);
    this.fold.ariaExpanded = String(kept.isUnfolded);
  }

  drawModes() {
    this.modeGroup = radioGroup("mode", "view", this.model.get("modes"), (mode) => this.send("set", { mode }));
    this.modes.replaceChildren(this.modeGroup.el);
    this.modes.hidden = !this.model.get("modes").length;
    this.drawMode();
  }

  /** What belongs to other modes is hidden, and stays as it is. */
  drawMode() {
    const mode = this.model.get("mode");
    this.modeGroup?.choose(mode);
    this.root.dataset.mode = mode;
    const made = [
      ...this.model.get("fields").map((field) => [field, this.fields.get(field.name)?.el]),
      ...this.model.get("blocks").map((block) => [block, this.blocks.get(block.name)]),
    ];
    for (const [part, el] of made) if (el) el.hidden = !this.belongs(part);
    this.drawShort();
  }

  belongs({ modes }) {
    return !modes || modes.includes(this.model.get("mode"));
  }

  drawState() {
    const isGone = this.fate && this.fate !== "away";
    const state = isGone ? "gone" : this.model.get("state");
    this.root.dataset.state = state;
    this.root.classList.toggle("nbtune-deaf", Boolean(this.fate));
    this.progress.el.classList.toggle("nbtune-lost", Boolean(this.fate) && this.isRunning());
    const [isRunning, showsStop] = [this.isRunning(), !isGone && this.showsStop()];
    const { sign, label: text } = this.runAction;
    label(this.run, showsStop ? "■" : sign, showsStop ? "Stop" : text);
    this.run.classList.toggle("nbtune-primary", !showsStop && !isGone);
    const isStopping = isRunning ? state === "stopping" : this.model.get("other_run")?.is_stopping === true;
    if (this.canStop && !showsStop) this.settle();
    this.canStop = showsStop && !isStopping;
    const isDeaf = isStopping || this.pressed.isSettling || Boolean(this.fate);
    this.run.ariaDisabled = String(isDeaf); // not disabled: it would lose the focus
    for (const { name, live } of this.model.get("fields")) {
      this.fields.get(name)?.lock((isRunning && !live) || Boolean(this.fate));
    }
    this.drawApply();
  }

  /** For a moment the button that has just become "Start" takes no press. */
  settle() {
    this.pressed.settle();
    setTimeout(() => !this.signal.aborted && this.drawState(), SETTLE_MS + 1);
  }

  drawApply() {
    if (!this.apply) return;
    const text = this.model.get("apply_label");
    this.apply.textContent = text || "Apply";
    this.apply.disabled = !text || Boolean(this.fate);
  }

  drawProgress() {
    this.progress.draw(this.model.get("progress"));
  }

  /** For JupyterLab's extension, which keeps it in the notebook. */
  offerKept() {
    const detail = this.model.get("kept");
    if (detail?.data) this.root.dispatchEvent(new CustomEvent("nbtune:kept", { bubbles: true, detail }));
  }

  drawSentence() {
    const { fate, model } = this;
    this.answer.drawSentence(fate ? farewell(fate, this.isRunning()) : model.get("sentence"));
    this.answer.drawSuggestion(fate ? null : model.get("suggestion_action"));
  }

  drawNotes() {
    this.answer.drawNotes(this.model.get("notes"));
  }

  drawCode() {
    this.answer.drawCode(this.model.get("code"));
  }

  drawProblem() {
    const problem = this.model.get("problem");
    this.stage.hidden = Boolean(problem);
    this.problem.draw(problem);
  }

  drawBlocks() {
    for (const { name, kind, is_unspoken } of this.model.get("blocks")) {
      const el = element("div", `nbtune-block nbtune-${kind}`);
      el.dataset.block = name;
      if (is_unspoken) el.ariaHidden = "true";
      this.blocks.set(name, el);
    }
    this.stage.replaceChildren(...this.blocks.values());
    this.drawMode();
  }

  drawContents() {
    const contents = this.model.get("contents");
    for (const { name, kind } of this.model.get("blocks")) {
      const text = JSON.stringify(contents[name]);
      const el = this.blocks.get(name);
      if (text === undefined || text === el.dataset.drawn) continue;
      el.dataset.drawn = text;
      BLOCKS[kind](el, contents[name]);
    }
  }

  /** Id of a model that lives and dies with this one. */
  get aPlot() {
    return Object.values(this.model.get("plots"))[0]?.slice("IPY_MODEL_".length);
  }

  async drawPlots() {
    await Promise.all(
      Object.entries(this.model.get("plots")).map(([name, reference]) => this.drawPlot(name, reference)),
    );
  }

  async drawPlot(name, reference) {
    const manager = this.model.widget_manager;
    const plot = await manager.get_model(reference.slice("IPY_MODEL_".length)).catch(() => undefined);
    if (!plot) return; // it was closed meanwhile
    const view = await manager.create_view(plot, {});
    if (this.signal.aborted || this.model.get("plots")[name] !== reference) return view.remove();
    this.plots.get(name)?.remove();
    this.plots.set(name, view);
    this.blocks.get(name).replaceChildren(view.el);
  }

  drawTheme() {
    this.root.dataset.nbtuneTheme = isDark(surface(this.root)) ? "dark" : "light";
  }

  /** Draw now, and again whenever one of the traits changes. */
  follow(names, draw) {
    const events = names.map((name) => `change:${name}`).join(" ");
    const react = () => draw.call(this);
    this.model.on(events, react);
    this.signal.addEventListener("abort", () => this.model.off(events, react));
    return react();
  }
}

function render({ model, el }) {
  const ended = new AbortController();
  const view = new PanelView(model, el, ended.signal);
  view.drawTheme();
  watchTheme(() => view.drawTheme(), ended.signal);
  view.follow(["modes"], view.drawModes);
  view.follow(["fields"], view.drawFields);
  view.follow(["values"], view.drawValues);
  view.follow(["blocks"], view.drawBlocks);
  view.follow(["mode"], view.drawMode);
  view.follow(["contents"], view.drawContents);
  view.follow(["state", "other_run"], view.drawState);
  view.follow(["apply_label"], view.drawApply);
  view.follow(["progress"], view.drawProgress);
  view.follow(["sentence", "suggestion_action"], view.drawSentence);
  view.follow(["notes"], view.drawNotes);
  view.follow(["code"], view.drawCode);
  view.follow(["problem"], view.drawProblem);
  view.follow(["plots"], view.drawPlots);
  view.follow(["kept"], view.offerKept);
  requestAnimationFrame(() => (view.takeFocus(), view.offerKept())); // once it is on the page
  new KernelWatch(
    model,
    () => view.aPlot,
    ended.signal,
    (fate) => view.drawKernel(fate),
  );
  view.send("hello");
  return () => {
    ended.abort();
    for (const plot of view.plots.values()) plot.remove();
  };
}

export default { render };
