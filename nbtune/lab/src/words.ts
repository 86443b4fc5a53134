/**
 * Numbers and states as a reader would say them. The texts go through a translation bundle of JupyterLab's, of which
 * only these two functions are used.
 */

export interface IWords {
  __(text: string, ...values: unknown[]): string;
  readonly locale?: string;
}

/** A size with its unit: GiB with one decimal, none from 100 up, and whole MiB below 1 GiB (as nbtune.formats). */
export function formatMemory(bytes: number, words: IWords): string {
  return bytes < 1023.5 * 2 ** 20 ? formatMib(bytes, words) : `${formatGib(bytes, words)} GiB`;
}

/** The number of GiB alone, for a line that names the unit. */
export function formatGib(bytes: number, words: IWords): string {
  const gib = bytes / 2 ** 30;
  if (gib > 0 && gib < 0.05) {
    return `< ${local(0.1, 1, words)}`;
  }
  return gib === 0 ? '0' : local(gib, gib < 99.95 ? 1 : 0, words);
}

function formatMib(bytes: number, words: IWords): string {
  const mib = bytes / 2 ** 20;
  const isTiny = mib > 0 && mib < 0.05;
  return isTiny ? `< ${local(0.1, 1, words)} MiB` : `${local(mib, mib > 0 && mib < 0.95 ? 1 : 0, words)} MiB`;
}

/** A share in whole per cent, rounded down: 100 % is only said of all. */
export function formatPercent(share: number): string {
  return `${Math.floor(100 * share)} %`;
}

/** The time left, rounded up and never counting milliseconds. */
export function formatRemaining(seconds: number, words: IWords): string {
  if (seconds < 1) {
    return words.__('less than 1 s left');
  }
  return seconds <= 60
    ? words.__('about %1 s left', Math.ceil(seconds))
    : words.__('about %1 min left', Math.ceil(seconds / 60));
}

/** A number with so many decimals, in the reader's language. */
function local(value: number, decimals: number, words: IWords): string {
  return localNumbers(value.toFixed(decimals).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f'), words);
}

/** A text of the kernel's, with its decimal points as the reader writes them. Code keeps them as they are. */
export function localNumbers(text: string, words: IWords): string {
  return words.locale?.startsWith('es') ? text.replace(/(\d)\.(?=\d)/g, '$1,') : text;
}

/** The name of a tool. */
export function toolName(tool: string, words: IWords): string {
  switch (tool) {
    case 'learning_rate':
      return words.__('Learning rate');
    case 'batch_size':
      return words.__('Batch size');
    case 'comparison':
      return words.__('Comparison');
    default:
      return tool;
  }
}

/** How a tool goes about it, where the kernel says it by one of these names. */
export function detailName(detail: string, words: IWords): string {
  switch (detail) {
    case 'race':
      return words.__('race');
    case 'quick sweep':
      return words.__('quick sweep');
    case 'estimate':
      return words.__('estimate, then confirm');
    case 'halve':
      return words.__('halve from the top');
    case 'double':
      return words.__('double from 1');
    default:
      return trialName(detail, words) ?? budgetName(detail, words);
  }
}

/** Such as "8 GB card, predicted". */
function trialName(detail: string, words: IWords): string | null {
  const [, capacity, how] = /^(.+), (measured|predicted)$/.exec(detail) ?? [];
  if (capacity === undefined) {
    return null;
  }
  return `${capacityName(capacity, words)}, ${how === 'measured' ? words.__('measured') : words.__('predicted')}`;
}

/** Whose memory it is; the name of a card stays. */
function capacityName(capacity: string, words: IWords): string {
  if (capacity === "this machine's memory") {
    return words.__('this machine');
  }
  const [, size, unit] = /^([\d.]+) (GB|MB) card$/.exec(capacity) ?? [];
  if (size !== undefined) {
    return words.__('%1 %2 card', localNumbers(size, words), unit);
  }
  return capacity.startsWith('this GPU') ? capacity.replace('this GPU', words.__('this GPU')) : capacity;
}

/** Such as "5 600 samples" or "4.6 s"; what is neither is left as it is. */
function budgetName(detail: string, words: IWords): string {
  const [, number, unit] = /^(\d[\d.\u202f]*) (samples|updates|epochs?|s)$/.exec(detail) ?? [];
  const amount = localNumbers(number ?? '', words);
  switch (unit) {
    case 'samples':
      return words.__('%1 samples', amount);
    case 'updates':
      return words.__('%1 updates', amount);
    case 'epochs':
      return words.__('%1 epochs', amount);
    case 'epoch':
      return words.__('%1 epoch', amount);
    case 's':
      return `${amount} s`;
    default:
      return detail;
  }
}
