/* What to write, behind a button that says what it is, with one that copies it. */

import { element, label } from "./elements.js";

const SAID_MS = 1500;

/** Copies `text`; where the page may not, selects `shown`, so that the reader can. */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    document.getSelection().selectAllChildren(shown);
    return "Selected";
  }
}

export class Code {
  constructor() {
    this.el = element("div", "nbtune-code", { hidden: true });
    this.more = element("button", "nbtune-link nbtune-more", { type: "button" });
    this.more.addEventListener("click", () => this.toggle(this.body.hidden));
    this.body = element("div", "nbtune-code-body", { hidden: true });
    this.text = element("pre", "nbtune-code-text");
    this.copier = element("button", "nbtune-button", { type: "button", textContent: "Copy" });
    this.copier.addEventListener("click", async () => {
      this.copier.textContent = await copy(this.text.textContent, this.text);
      setTimeout(() => (this.copier.textContent = "Copy"), SAID_MS);
    });
    this.body.append(this.text, this.copier);
    this.el.append(this.more, this.body);
  }

  draw({ title = "", text = "" }) {
    this.el.hidden = !text;
    this.title = title;
    this.text.textContent = text;
    this.toggle(Boolean(text) && !this.body.hidden);
  }

  toggle(isShown) {
    this.body.hidden = !isShown;
    this.more.ariaExpanded = String(isShown);
    label(this.more, isShown ? "▾" : "▸", this.title);
  }
}
