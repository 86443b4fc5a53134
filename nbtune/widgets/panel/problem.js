/* An error in a panel: said at once, quoted with its place, the traceback behind a link. */

import { element, label } from "./elements.js";

export class ProblemBox {
  constructor() {
    this.el = element("div", "nbtune-problem", { hidden: true });
    this.alert = element("div", "");
    this.alert.setAttribute("role", "alert");
    this.el.append(this.alert);
  }

  draw(problem) {
    this.el.hidden = !problem;
    this.el.querySelector("pre")?.remove();
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
    this.el.append(trace);
    const draw = () =>
      label(link, trace.hidden ? "▸" : "▾", trace.hidden ? "Show the traceback" : "Hide the traceback");
    link.addEventListener("click", () => {
      trace.hidden = !trace.hidden;
      link.ariaExpanded = String(!trace.hidden);
      draw();
    });
    draw();
    return link;
  }
}
