/* What a run says: a sentence, what to try next, and notes for those who ask. */

import { Code } from "./code.js";
import { element, label, lowered } from "./elements.js";

/** "k = 8" stays on one line. */
export function unbroken(text) {
  return text.replace(/(k|η|λmax) = /g, "$1\u00a0=\u00a0");
}

export class Answer {
  /** `onNext` gets what the button of the next step sends: the type, and the values to try. */
  constructor(onNext) {
    this.el = element("div", "nbtune-result");
    this.sentence = element("span", "nbtune-sentence");
    this.sentence.setAttribute("aria-live", "polite");
    this.next = element("button", "nbtune-button nbtune-next", { type: "button", hidden: true });
    this.next.addEventListener("click", () => {
      if (!this.action) return;
      const { sends = "try", values } = this.action;
      onNext(sends, values && { values });
    });
    this.notes = element("ul", "nbtune-notes", { hidden: true });
    this.more = element("button", "nbtune-link nbtune-more", { type: "button", hidden: true });
    this.more.addEventListener("click", () => this.toggleNotes(this.notes.hidden));
    this.code = new Code();
    this.el.append(this.sentence, this.next, this.more, this.notes, this.code.el);
  }

  drawSentence(pieces) {
    // Only when it changed: a live region that is written again is read again.
    const text = JSON.stringify(pieces);
    if (text === this.said) return;
    this.said = text;
    const spans = pieces.map(([words, style]) => {
      const span = element("span", style && `nbtune-${style}`);
      span.append(...lowered(unbroken(words)));
      return span;
    });
    this.sentence.replaceChildren(...spans);
  }

  drawSuggestion(action) {
    this.action = action;
    this.next.hidden = !action;
    this.next.textContent = action?.label ?? "";
  }

  drawNotes(notes) {
    this.more.hidden = !notes.length;
    this.notes.replaceChildren(...notes.map((textContent) => element("li", "", { textContent })));
    this.toggleNotes(notes.length > 0 && !this.notes.hidden);
  }

  drawCode(code) {
    this.code.draw(code);
  }

  toggleNotes(isShown) {
    const count = this.notes.children.length;
    this.notes.hidden = !isShown;
    this.more.ariaExpanded = String(isShown);
    label(this.more, isShown ? "▾" : "▸", count === 1 ? "1 note" : `${count} notes`);
  }
}
