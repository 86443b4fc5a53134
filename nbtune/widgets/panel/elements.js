/* What every part of a panel is made of. */

export function element(name, className, properties = {}) {
  return Object.assign(document.createElement(name), { className, ...properties });
}

/** A button whose sign in front is hidden from screen readers. */
export function label(button, sign, text) {
  const glyph = element("span", "", { textContent: `${sign} `, ariaHidden: "true" });
  button.replaceChildren(...(sign ? [glyph] : []), text);
}

/** "λmax" as it is written, with its max set low. */
export function lowered(text) {
  const parts = text.split("λmax");
  return parts.flatMap((part, i) => (i ? ["λ", element("sub", "", { textContent: "max" }), part] : [part]));
}
