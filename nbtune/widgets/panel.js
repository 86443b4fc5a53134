/* What every tool's panel shares, from the model's synced traits. It sets none: it sends messages.
   theme.js stands above this file: see _frontend.py. */

/* What outlives a view: when a run ends, the output gets its picture, and Lab then makes the view anew. */
const kept = { isUnfolded: false, focus: "", lostAt: -Infinity };
const REMADE_MS = 1500;

function element(name, className, properties = {}) {
  return Object.assign(document.createElement(name), { className, ...properties });
}

/** A button whose sign in front is hidden from screen readers. */
function label(button, sign, text) {
  const glyph = element("span", "", { textContent: `${sign} `, ariaHidden: "true" });
  button.replaceChildren(...(sign ? [glyph] : []), text);
}

class PanelView {
  constructor(model, el, signal) {
    Object.assign(this, { model, signal, root: element("div", "nbtune nbtune-panel") });
    this.buildControls();
    this.stage = element("div", "nbtune-stage");
    this.problem = element("div", "nbtune-problem", { hidden: true });
    this.alert = element("div", "nbtune-problem-alert");
    this.alert.setAttribute("role", "alert");
    this.problem.append(this.alert);
    this.buildProgress();
    this.buildSentence();
    this.root.append(this.controls, this.problem, this.stage, this.progress, this.answer);
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("focusin", ({ target }) => {
      kept.focus = target.name ? `[name="${target.name}"]` : `.${target.classList[1] ?? target.classList[0]}`;
      kept.lostAt = Infinity;
    });
    this.root.addEventListener("focusout", () => (kept.lostAt = performance.now()));
    el.append(this.root);
  }

  buildControls() {
    this.controls = element("div", "nbtune-controls");
    this.modes = element("div", "nbtune-modes");
    this.modes.setAttribute("role", "radiogroup");
    this.modes.setAttribute("aria-label", "mode");
    this.settings = element("div", "nbtune-fields");
    this.fold = element("button", "nbtune-button nbtune-fold", { type: "button" });
    this.fold.addEventListener("click", () => {
      kept.isUnfolded = !kept.isUnfolded;
      this.drawFold();
    });
    this.drawFold();
    const actions = element("div", "nbtune-actions");
    this.run = element("button", "nbtune-button nbtune-run", { type: "button" });
    this.run.addEventListener("click", () => (this.isRunning() ? this.send("stop") : this.start()));
    this.apply = element("button", "nbtune-button nbtune-apply", { type: "button" });
    this.apply.addEventListener("click", () => this.send("apply"));
    actions.append(this.run, this.apply);
    this.controls.append(this.modes, this.settings, this.fold, actions);
  }

  buildProgress() {
    this.progress = element("div", "nbtune-progress");
    this.bar = element("div", "nbtune-bar");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "progress of the run");
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.done = element("div", "nbtune-bar-done");
    this.bar.append(this.done);
    this.long = element("span", "nbtune-long");
    this.short = element("span", "nbtune-short", { ariaHidden: "true" });
    this.progress.append(this.bar, this.long, this.short);
  }

  buildSentence() {
    this.answer = element("div", "nbtune-result");
    this.sentence = element("span", "nbtune-sentence");
    this.sentence.setAttribute("aria-live", "polite");
    this.next = element("button", "nbtune-button nbtune-next", { type: "button", hidden: true });
    this.next.addEventListener("click", () => {
      const action = this.model.get("suggestion_action");
      if (action) this.send("try", { values: action.values });
    });
    this.answer.append(this.sentence, this.next);
  }

  isRunning() {
    return ["running", "stopping"].includes(this.model.get("state"));
  }

  send(type, content = {}) {
    this.model.send({ type, ...content });
  }

  typed() {
    return Object.fromEntries([...this.settings.querySelectorAll("input")].map((input) => [input.name, input.value]));
  }

  start() {
    this.send("start", { values: this.typed(), mode: this.model.get("mode") });
  }

  /** Where the view that this one replaces had it, unless the reader went elsewhere. */
  takeFocus() {
    const isRemade = performance.now() - kept.lostAt < REMADE_MS;
    if (isRemade && document.activeElement === document.body) {
      this.root.querySelector(kept.focus)?.focus({ preventScroll: true });
    }
  }

  onKey(event) {
    if (event.key === "Escape" && this.isRunning()) this.send("stop");
    else if (event.key === "Enter" && event.target.tagName === "INPUT" && !this.isRunning()) this.start();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  drawFields() {
    const inputs = this.model.get("fields").map((field) => {
      const wrapper = element("label", "nbtune-field", { textContent: field.label });
      const input = element("input", "", { name: field.name, type: "text", autocomplete: "off", spellcheck: false });
      input.inputMode = field.kind === "integer" ? "numeric" : "decimal";
      input.addEventListener("input", () => this.fit(input));
      input.addEventListener("change", () => this.send("set", { values: this.typed() }));
      wrapper.append(input);
      return wrapper;
    });
    this.settings.replaceChildren(...inputs);
    this.drawValues();
  }

  drawValues() {
    const values = this.model.get("values");
    for (const input of this.settings.querySelectorAll("input")) {
      input.value = values[input.name] ?? "";
      this.fit(input);
    }
  }

  /** An input as wide as its text, and the folded button with the new text. */
  fit(input) {
    input.style.width = `calc(${Math.max(2, input.value.length)}ch + 24px)`;
    const typed = this.typed();
    const parts = this.model.get("fields").map(({ name, short }) => short.replace("{}", () => typed[name] ?? ""));
    label(this.fold, "⚙", parts.join(""));
  }

  drawFold() {
    this.controls.classList.toggle("nbtune-unfolded", kept.isUnfolded);
    this.fold.ariaExpanded = String(kept.isUnfolded);
  }

  drawModes() {
    const chosen = this.model.get("mode");
    const buttons = this.model.get("modes").map(([name, text]) => {
      const button = element("button", "nbtune-mode", { type: "button", role: "radio", textContent: text });
      button.ariaChecked = String(name === chosen);
      button.tabIndex = name === chosen ? 0 : -1;
      button.addEventListener("click", () => this.send("set", { mode: name }));
      return button;
    });
    this.modes.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !buttons.length) return;
      const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
      next.focus();
      next.click();
      event.preventDefault();
    };
    this.modes.replaceChildren(...buttons);
  }

  drawState() {
    const state = this.model.get("state");
    this.root.dataset.state = state;
    const isRunning = this.isRunning();
    label(this.run, isRunning ? "■" : "▶", isRunning ? "Stop" : "Start");
    this.run.classList.toggle("nbtune-primary", !isRunning);
    this.run.ariaDisabled = String(state === "stopping"); // not disabled: it would lose the focus
  }

  drawApply() {
    const text = this.model.get("apply_label");
    this.apply.textContent = text || "Apply";
    this.apply.disabled = !text;
  }

  drawProgress() {
    const { fraction, text, short, kind } = this.model.get("progress");
    const percent = Math.round(1000 * Math.min(1, fraction)) / 10;
    this.done.style.width = `${percent}%`;
    this.bar.dataset.kind = kind;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-valuetext", text);
    this.long.textContent = text;
    this.short.textContent = short ?? text;
  }

  drawSentence() {
    // Only when it changed: a live region that is written again is read again.
    const pieces = this.model.get("sentence");
    const text = JSON.stringify(pieces);
    if (text !== this.said) {
      this.said = text;
      const spans = pieces.map(([textContent, style]) => element("span", style && `nbtune-${style}`, { textContent }));
      this.sentence.replaceChildren(...spans);
    }
    const action = this.model.get("suggestion_action");
    this.next.hidden = !action;
    this.next.textContent = action?.label ?? "";
  }

  drawProblem() {
    const problem = this.model.get("problem");
    this.problem.hidden = !problem;
    this.stage.hidden = Boolean(problem);
    this.problem.querySelector("pre")?.remove();
    this.alert.replaceChildren();
    if (!problem) return;
    const title = element("div", "nbtune-problem-title");
    label(title, "✕", problem.title);
    const where = element("div", "nbtune-problem-where", { textContent: problem.where ? `${problem.where} ` : "" });
    this.alert.append(title);
    if (problem.text) this.alert.append(element("code", "nbtune-problem-text", { textContent: problem.text }));
    if (problem.traceback) where.append(this.tracebackLink(problem.traceback));
    this.alert.append(where);
  }

  tracebackLink(text) {
    const link = element("button", "nbtune-link", { type: "button", ariaExpanded: "false" });
    const trace = element("pre", "nbtune-traceback", { textContent: text, hidden: true, tabIndex: 0 });
    this.problem.append(trace);
    const draw = () => label(link, trace.hidden ? "▸" : "▾", trace.hidden ? "Show the traceback" : "Hide the traceback");
    link.addEventListener("click", () => {
      trace.hidden = !trace.hidden;
      link.ariaExpanded = String(!trace.hidden);
      draw();
    });
    draw();
    return link;
  }

  async drawPlot() {
    const reference = this.model.get("plot");
    const manager = this.model.widget_manager;
    const plot = await manager.get_model(reference.slice("IPY_MODEL_".length));
    const view = await manager.create_view(plot, {});
    if (this.signal.aborted || this.model.get("plot") !== reference) return view.remove();
    this.plot?.remove();
    this.plot = view;
    this.stage.replaceChildren(view.el);
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
  view.follow(["modes", "mode"], view.drawModes);
  view.follow(["fields"], view.drawFields);
  view.follow(["values"], view.drawValues);
  view.follow(["state"], view.drawState);
  view.follow(["apply_label"], view.drawApply);
  view.follow(["progress"], view.drawProgress);
  view.follow(["sentence", "suggestion_action"], view.drawSentence);
  view.follow(["problem"], view.drawProblem);
  view.follow(["plot"], view.drawPlot);
  requestAnimationFrame(() => view.takeFocus()); // once it is on the page
  view.send("hello");
  return () => {
    ended.abort();
    view.plot?.remove();
  };
}

export default { render };
