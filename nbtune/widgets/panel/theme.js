/* Whether the page is light or dark. */

export function isDark(rgb) {
  const [r, g, b] = rgb.map((c) => (c <= 10.3 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.2;
}

/** The page's background under `el`, as [r, g, b]: Lab's colour where there is one, else the body's. */
export function surface(el) {
  const parse = (color) => color.match(/[\d.]+/g)?.map(Number) ?? [];
  el.style.backgroundColor = "var(--jp-layout-color0, transparent)";
  for (const place of [el, document.body, document.documentElement]) {
    const [r, g, b, alpha = 1] = parse(getComputedStyle(place).backgroundColor);
    if (b !== undefined && alpha > 0) return [r, g, b];
  }
  return [255, 255, 255];
}

/** Call `react` when the page may have changed its theme. */
export function watchTheme(react, signal) {
  const observer = new MutationObserver(() => setTimeout(react)); // once the new style sheet is in force
  for (const place of [document.body, document.documentElement]) {
    observer.observe(place, {
      attributes: true,
      attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"],
    });
  }
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", react, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}
