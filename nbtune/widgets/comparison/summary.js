/* The comparison's table is the legend too: each head is a button that asks for its k. */

import { BLOCKS, drawTable } from "../panel/blocks.js";
import { element } from "../panel/elements.js";

BLOCKS.summary = (el, { picks, ...table }) => {
  const fresh = element("div", "");
  drawTable(fresh, table);
  const heads = JSON.stringify([picks, table.head]);
  if (el.dataset.heads === heads) {
    // During a run the numbers change many times a second: a head must outlive its own click.
    el.querySelector("tbody").replaceWith(fresh.querySelector("tbody"));
    return;
  }
  el.dataset.heads = heads;
  const focused = el.contains(document.activeElement) ? document.activeElement.name : "";
  fresh.querySelectorAll("thead th").forEach((head, place) => head.append(pickButton(picks[place], head.childNodes)));
  el.replaceChildren(...fresh.childNodes);
  if (focused) el.querySelector(`[name="${focused}"]`)?.focus({ preventScroll: true });
};

function pickButton([value, isPicked], content) {
  const button = element("button", "nbtune-pick", {
    type: "button",
    name: `k=${value}`,
    ariaPressed: String(isPicked),
  });
  button.append(...content);
  button.addEventListener("click", () => {
    button.dispatchEvent(new CustomEvent("nbtune-pick", { bubbles: true, detail: { value } }));
  });
  return button;
}
