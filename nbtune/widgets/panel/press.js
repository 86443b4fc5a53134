/* What a button whose words change was pressed for: what it said then, not what it says when the click arrives. */

export const SETTLE_MS = 250; // nobody reads new words and presses in less

export class Press {
  /** `says` tells what a press of `button` asks for now. */
  constructor(button, says) {
    Object.assign(this, { button, says, meant: "", settledAt: -Infinity });
    button.addEventListener("pointerdown", () => this.begin());
    button.addEventListener("keydown", ({ key }) => [" ", "Enter"].includes(key) && this.begin());
  }

  /** A run has ended by itself: for a moment a press is still meant for the Stop that stood there, and asks for none. */
  settle() {
    this.settledAt = performance.now() + SETTLE_MS;
  }

  get isSettling() {
    return performance.now() < this.settledAt;
  }

  begin() {
    this.meant = this.isSettling ? "stop" : this.says();
  }

  /** What the click that ends a press asks for; one without a press (by other software) takes the words as they are. */
  take() {
    const meant = this.meant || this.says();
    this.meant = "";
    return meant;
  }
}
