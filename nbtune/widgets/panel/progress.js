/* How far a run is: a bar, and words of which a narrow panel shows the short ones. */

import { element } from "./elements.js";

/** In percent, to a tenth. */
export function percentOf(fraction) {
  return Math.round(1000 * Math.min(1, fraction)) / 10;
}

export class Progress {
  constructor() {
    this.el = element("div", "nbtune-progress");
    this.bar = element("div", "nbtune-bar");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "progress of the run");
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.done = element("div", "nbtune-bar-done");
    this.bar.append(this.done);
    this.long = element("span", "nbtune-long");
    this.short = element("span", "nbtune-short", { ariaHidden: "true" });
    this.el.append(this.bar, this.long, this.short);
  }

  draw({ fraction, text, short, kind }) {
    this.el.hidden = kind === undefined; // a tool whose plot is its progress
    if (this.el.hidden) return;
    const percent = percentOf(fraction);
    this.done.style.width = `${percent}%`;
    this.bar.dataset.kind = kind;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-valuetext", text);
    this.long.textContent = text;
    this.short.textContent = short ?? text;
  }
}
