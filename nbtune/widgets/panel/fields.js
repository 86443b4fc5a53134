/* The settings of a panel. Each kind makes an object: its element, and read(), write(text), lock(bool), since values
   are text: of a switch "on" or "". Locked fields keep the focus, which disabled ones would lose. */

import { element, lowered } from "./elements.js";

const ANSWER_MS = 300;
const HELD_MS = 500;
const OTHER = "\0other";

/** Buttons of which one is chosen: arrows move inside, Tab goes past. */
export function radioGroup(name, label, options, onPick) {
  const group = element("div", "nbtune-segments");
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  const buttons = options.map(([value, text]) => {
    const button = element("button", "nbtune-segment", { type: "button", role: "radio", textContent: text, value });
    button.name = `${name}=${value}`;
    button.addEventListener("click", () => onPick(value));
    return button;
  });
  group.append(...buttons);
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !buttons.length) return;
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
    event.preventDefault();
  });
  const choose = (chosen) => {
    const isKnown = options.some(([value]) => value === chosen);
    buttons.forEach((button, place) => {
      button.ariaChecked = String(button.value === chosen);
      button.tabIndex = button.value === chosen || (!isKnown && place === 0) ? 0 : -1;
    });
  };
  return { el: group, choose, lock: (isLocked) => buttons.forEach((b) => (b.ariaDisabled = String(isLocked))) };
}

function labelled(field, control) {
  const wrapper = element("label", "nbtune-field", { textContent: field.label });
  wrapper.append(control);
  return wrapper;
}

function textField(field, onChange) {
  const input = element("input", "", { name: field.name, type: "text", autocomplete: "off", spellcheck: false });
  input.placeholder = field.placeholder ?? "";
  input.inputMode = { integer: "numeric", number: "decimal" }[field.kind] ?? "text";
  // As wide as its placeholder at least, so that what stands behind it stays where it is.
  const letters = () => Math.max(2, input.value.length, input.placeholder.length);
  const fit = () => (input.style.width = `calc(${letters()}ch + 24px)`);
  let isTyping = false; // then an answer to what was asked before must not take the text away
  input.addEventListener("input", () => ((isTyping = true), fit(), onChange(false)));
  input.addEventListener("change", () => ((isTyping = false), onChange(true)));
  for (const end of ["keydown", "blur"]) {
    input.addEventListener(end, ({ key = "Enter" }) => (isTyping &&= key !== "Enter"));
  }
  return {
    el: labelled(field, input),
    read: () => input.value,
    write: (text) => isTyping || ((input.value = text), fit()),
    lock: (isLocked) => (input.readOnly = isLocked),
  };
}

/** Nothing happens to a locked control but that the focus comes and goes. */
function freeze(control, events) {
  let isLocked = false;
  for (const type of events) {
    control.addEventListener(type, (event) => {
      if (isLocked && !["Tab", "Escape", "Shift"].includes(event.key)) event.preventDefault();
    });
  }
  return (now) => {
    isLocked = now;
    control.ariaDisabled = String(now);
  };
}

/** What a picker lists: its options, a value that is none of them, and the way to type another. */
export function entries({ options, other }, value) {
  const isListed = options.some(([option]) => option === value);
  return [...options, ...(isListed ? [] : [[value, value]]), ...(other ? [[OTHER, other]] : [])];
}

/** A place to type what `picker` does not list: open() shows it instead, and what was typed goes to `take`. */
function otherEntry(field, picker, take) {
  const typed = element("input", "", { name: `${field.name}-other`, type: "text", hidden: true, autocomplete: "off" });
  typed.setAttribute("aria-label", field.other ? `${field.label}: ${field.other}` : field.label);
  typed.placeholder = field.example ?? "";
  const open = () => {
    typed.value = "";
    typed.style.width = `${picker.offsetWidth || 130}px`;
    [typed.hidden, picker.hidden] = [false, true];
    typed.focus();
  };
  const leave = (text) => {
    if (typed.hidden) return;
    const hadFocus = document.activeElement === typed;
    typed.hidden = true;
    picker.hidden = false;
    if (hadFocus) picker.focus();
    if (text) take(text);
  };
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation(); // neither starts nor stops a run
    leave(event.key === "Enter" ? typed.value.trim() : "");
  });
  // A view that is made anew takes the focus away too, and must not take half a text for a whole one.
  typed.addEventListener("blur", () => setTimeout(() => typed.isConnected && leave(typed.value.trim())));
  return { el: typed, open };
}

/** One of several; with `other`, the name of a last entry, also what is typed in the picker's place. */
function choiceField(field, onChange) {
  const picker = element("select", "", { name: field.name });
  if (field.other) picker.dataset.givesWay = ""; // of all pickers the one that grows without limit
  let value = "";
  const write = (text) => {
    value = text;
    const options = entries(field, value).map(([option, shown]) => ({ value: option, textContent: shown }));
    picker.replaceChildren(...options.map((option) => element("option", "", option)));
    picker.value = value;
  };
  const take = (text) => (write(text), onChange(true));
  const other = otherEntry(field, picker, take);
  picker.addEventListener("change", () => {
    if (picker.value !== OTHER) return take(picker.value);
    picker.value = value;
    other.open();
  });
  const el = labelled(field, picker);
  el.append(other.el);
  return { el, read: () => value, write, lock: freeze(picker, ["mousedown", "keydown"]) };
}

function segmentsField(field, onChange) {
  let value = "";
  let isLocked = false;
  const group = radioGroup(field.name, field.label, field.options, (picked) => {
    if (isLocked || picked === value) return;
    value = picked;
    group.choose(value);
    onChange(true);
  });
  const el = element("div", "nbtune-field");
  el.append(element("span", "", { textContent: field.label, ariaHidden: "true" }), group.el);
  const lock = (now) => ((isLocked = now), group.lock(now));
  return { el, read: () => value, write: (text) => group.choose((value = text)), lock };
}

function switchField(field, onChange) {
  const box = element("input", "", { name: field.name, type: "checkbox" });
  box.addEventListener("change", () => onChange(true));
  const el = element("label", "nbtune-field nbtune-switch");
  el.append(box, field.label);
  const lock = freeze(box, ["click", "keydown"]);
  return { el, read: () => (box.checked ? "on" : ""), write: (text) => (box.checked = Boolean(text)), lock };
}

/** A hand moves faster than all is computed and drawn: the next value is told once the last one was answered. */
class Teller {
  constructor(range, onChange) {
    Object.assign(this, { range, onChange, known: "", awaited: 0 });
  }

  tell() {
    this.settle();
    if (this.range.value === this.known) return;
    this.known = this.range.value;
    this.awaited = setTimeout(() => this.tell(), ANSWER_MS);
    this.onChange(true);
  }

  settle() {
    clearTimeout(this.awaited);
    this.awaited = 0;
  }
}

/** Where on a slider the limit is, 0 to 1; 1 without one. */
export function limitShare({ min, max, limit = max }) {
  return Math.max(0, Math.min(1, (limit - min) / (max - min)));
}

function sliderTrack(field) {
  const range = element("input", "", { type: "range", min: field.min, max: field.max, step: field.step });
  range.name = `${field.name}-slider`;
  range.setAttribute("aria-label", field.label);
  const track = element("span", "nbtune-slider");
  track.style.setProperty("--nbtune-limit", limitShare(field));
  track.append(range);
  return [track, range];
}

/** A number to type or to drag; what lies beyond `limit` is hatched, and `limit_text` says what the limit is. */
function sliderField(field, onChange) {
  const typed = textField({ ...field, kind: "number" }, onChange);
  const input = typed.el.querySelector("input");
  const [track, range] = sliderTrack(field);
  const teller = new Teller(range, onChange);
  let movedAt = -Infinity;
  range.addEventListener("input", () => {
    movedAt = performance.now();
    typed.write(range.value);
    if (!teller.awaited) teller.tell();
  });
  input.addEventListener("change", () => (range.value = teller.known = input.value));
  const limit = element("span", "nbtune-limit", { hidden: !field.limit_text });
  limit.append(...lowered(field.limit_text ?? ""));
  const el = element("div", "nbtune-field");
  el.append(typed.el, track, limit);
  const write = (text) => {
    // The answer is older than what a hand on the slider, or on an arrow key, says by now.
    if (text !== range.value && performance.now() - movedAt < HELD_MS) return teller.tell();
    teller.settle();
    typed.write(text);
    range.value = teller.known = text;
  };
  const lock = freeze(range, ["mousedown", "keydown"]);
  return { el, read: typed.read, write, lock: (isLocked) => (typed.lock(isLocked), lock(isLocked)) };
}

export const FIELDS = {
  number: textField,
  integer: textField,
  text: textField,
  choice: choiceField,
  segments: segmentsField,
  slider: sliderField,
  switch: switchField,
};

/** How the folded settings of a narrow panel show one of them: its label where it has one, nothing for a switch off. */
export function inShort({ kind, short, options = [] }, text) {
  if (kind === "switch" && !text) return "";
  const [, shown] = options.find(([value]) => value === text) ?? [text, text];
  return short.replace("{}", () => shown);
}
