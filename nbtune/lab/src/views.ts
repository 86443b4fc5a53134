/** What is shown, as plain data: everything the panel and the status bar say, made from one status and the time. */

import type { IDevice, IForecast, IJob, IResult, IStatus } from './contract';
import { detailName, formatGib, formatMemory, formatPercent, formatRemaining, localNumbers, toolName } from './words';
import type { IWords } from './words';

/** From here on the memory is nearly full. */
export const NEARLY_FULL = 0.9;

export interface IPart {
  readonly name: 'now' | 'peak' | 'others' | 'free';
  readonly label: string;
  readonly value: string;
}

export interface IDeviceView {
  readonly name: string;
  readonly title: string;
  readonly total: string;
  readonly isNearlyFull: boolean;
  /** Ends of the bar's parts, in per cent of its length. */
  readonly nowEnd: number;
  readonly peakEnd: number;
  readonly othersStart: number;
  readonly parts: readonly IPart[];
  /** For those who do not see the bar. */
  readonly spoken: string;
  readonly usedShare: number;
  readonly next: INextView | null;
  readonly warning: IWarning | null;
}

/** Where the next batch size would end. */
export interface INextView {
  /** In per cent of the bar; 100 where it lies beyond. */
  readonly at: number;
  readonly isBeyond: boolean;
  readonly doesFit: boolean;
  readonly text: string;
}

export interface IWarning {
  readonly head: string;
  readonly text: string;
  readonly action: string;
  readonly code: string;
}

export interface IJobView {
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly text: string;
  readonly left: string;
  /** In per cent; null where nobody knows. */
  readonly percent: number | null;
  readonly isStopping: boolean;
  readonly isBlocking: boolean;
}

export interface IResultView {
  readonly id: string;
  readonly value: string;
  readonly detail: string;
  readonly code: string;
  readonly widget: string;
  readonly cell: string;
}

export interface IStatusItemView {
  readonly memory: string;
  readonly usedShare: number;
  readonly isNearlyFull: boolean;
  readonly job: string;
  readonly jobId: string | null;
  readonly spoken: string;
}

export function deviceView(device: IDevice, forecast: IForecast | null, words: IWords): IDeviceView {
  const used = device.now_bytes + device.others_bytes;
  const limit = Math.max(1, device.limit_bytes);
  const usedShare = Math.min(1, used / limit);
  const nowEnd = Math.min(100, (100 * device.now_bytes) / limit);
  const othersStart = Math.max(nowEnd, 100 - (100 * device.others_bytes) / limit);
  const isNearlyFull = usedShare >= NEARLY_FULL;
  const about = forecast !== null && forecast.device === device.name ? forecast : null;
  const total = words.__('%1 of %2', formatGib(used, words), `${formatGib(device.limit_bytes, words)} GiB`);
  return {
    name: device.name,
    title: deviceTitle(device, words),
    total,
    isNearlyFull,
    nowEnd,
    peakEnd: Math.min(othersStart, Math.max(nowEnd, (100 * device.peak_bytes) / limit)),
    othersStart,
    parts: partsOf(device, words),
    spoken: words.__(
      '%1, %2 per cent, kernel %3, others %4',
      total,
      Math.floor(100 * usedShare),
      formatMemory(device.now_bytes, words),
      formatMemory(device.others_bytes, words)
    ),
    usedShare,
    next: about === null ? null : nextView(about, device, words),
    warning: isNearlyFull ? warningOf(about, usedShare, device, words) : null
  };
}

function deviceTitle(device: IDevice, words: IWords): string {
  switch (device.place) {
    case 'container':
      return words.__('Memory, container');
    case 'machine':
      return words.__('Memory, machine');
    default:
      return words.__('Memory, %1', device.title);
  }
}

function partsOf(device: IDevice, words: IWords): IPart[] {
  const free = Math.max(0, device.limit_bytes - device.now_bytes - device.others_bytes);
  const others = device.place === 'gpu' ? words.__('others and CUDA') : words.__('others');
  return [
    { name: 'now', label: words.__('this kernel now'), value: formatMemory(device.now_bytes, words) },
    { name: 'peak', label: words.__('its peak'), value: formatMemory(device.peak_bytes, words) },
    { name: 'others', label: others, value: formatMemory(device.others_bytes, words) },
    { name: 'free', label: words.__('free'), value: formatMemory(free, words) }
  ];
}

/** The bar is this kernel's from the left and the others' from the right: what the next k needs must end before them. */
function nextView(forecast: IForecast, device: IDevice, words: IWords): INextView {
  const end = (100 * forecast.next_bytes) / Math.max(1, device.limit_bytes);
  const size = formatMemory(forecast.next_bytes, words);
  return {
    at: Math.min(100, end),
    isBeyond: end > 100,
    doesFit: forecast.does_fit,
    text: words.__('k = %1 would end at %2', forecast.next_batch_size, size)
  };
}

function warningOf(forecast: IForecast | null, usedShare: number, device: IDevice, words: IWords): IWarning {
  const head = words.__('%1 in use.', formatPercent(usedShare));
  if (forecast === null || forecast.does_fit) {
    const text =
      device.place === 'gpu'
        ? words.__('What does not fit any more ends as an out-of-memory error.')
        : words.__('When the memory is full, the kernel ends.');
    return { head, text, action: '', code: '' };
  }
  const size = formatMemory(forecast.next_bytes, words);
  const k = forecast.batch_size;
  const ending = device.place === 'gpu' ? words.__('and run out of memory') : words.__('and end the kernel');
  const next = words.__('k = %1 would need about %2 %3.', forecast.next_batch_size, size, ending);
  if (k === null) {
    return { head, text: next, action: '', code: '' };
  }
  const known = forecast.has_run ? words.__('k = %1 ran;', k) : words.__('k = %1 fits (predicted);', k);
  return { head, text: `${known} ${next}`, action: words.__('Use k = %1', k), code: forecast.code };
}

/** @param secondsAgo - since the status came: the time left goes on in the browser, also during a long step. */
export function jobView(job: IJob, secondsAgo: number, words: IWords): IJobView {
  // 0.57 of 100 is 56.99… in binary.
  const percent = job.share === null ? null : Math.floor(100 * job.share + 1e-6);
  return {
    id: job.id,
    name: toolName(job.tool, words),
    detail: detailName(job.detail, words),
    text: [progressText(job, words), percent === null ? '' : `${percent} %`].filter(part => part !== '').join(', '),
    left: job.seconds_left === null ? '' : formatRemaining(Math.max(0, job.seconds_left - secondsAgo), words),
    percent,
    isStopping: job.is_stopping,
    isBlocking: job.is_blocking
  };
}

function progressText(job: IJob, words: IWords): string {
  switch (job.unit) {
    case 'steps':
      return job.total === null ? words.__('%1 steps', job.done) : words.__('%1 of %2 steps', job.done, job.total);
    case 'batch sizes':
      return job.done === 0 ? words.__('predicting') : words.__('%1 batch sizes so far', job.done);
    case 'image sizes':
      return words.__('%1 image sizes so far', job.done);
    default:
      return '';
  }
}

export function resultView(result: IResult, words: IWords): IResultView {
  const k = result.batch_size === null ? '' : `k = ${result.batch_size}`;
  const lr = result.lr === '' ? '' : `η = ${localNumbers(result.lr, words)}`;
  return {
    id: result.id,
    value: [k, lr].filter(part => part !== '').join(', '),
    detail: [detailName(result.detail, words), result.model].filter(part => part !== '').join(', '),
    code: result.code,
    widget: result.widget,
    cell: result.cell
  };
}

/** The status bar shows a device that is nearly full, else the GPU this kernel uses most, without one the host. */
export function statusItemView(status: IStatus, words: IWords): IStatusItemView | null {
  const device = mainDevice(status.devices);
  const job = status.jobs[0];
  if (device === null && job === undefined) {
    return null;
  }
  const view = device === null ? null : deviceView(device, null, words);
  const about = job === undefined ? null : jobView(job, 0, words);
  const isNearlyFull = view?.isNearlyFull === true;
  const memory = device === null ? '' : memoryText(device, words);
  return {
    memory: isNearlyFull && view !== null ? `${memory} · ${formatPercent(view.usedShare)}` : memory,
    usedShare: view?.usedShare ?? 0,
    isNearlyFull,
    job: about === null ? '' : jobText(about, words),
    jobId: about === null || about.isStopping ? null : about.id,
    spoken: view === null ? '' : `${view.title}: ${view.spoken}`
  };
}

function memoryText(device: IDevice, words: IWords): string {
  const used = formatGib(device.now_bytes + device.others_bytes, words);
  return `${used} / ${formatGib(device.limit_bytes, words)} GiB`;
}

function jobText(job: IJobView, words: IWords): string {
  const state = job.isStopping ? words.__('stopping') : job.percent === null ? '' : `${job.percent} %`;
  return `${job.name} ${state}`.trim();
}

function mainDevice(devices: readonly IDevice[]): IDevice | null {
  const share = (device: IDevice): number => (device.now_bytes + device.others_bytes) / Math.max(1, device.limit_bytes);
  const fullest = [...devices].sort((a, b) => share(b) - share(a))[0];
  if (fullest !== undefined && share(fullest) >= NEARLY_FULL) {
    return fullest;
  }
  const gpus = devices.filter(device => device.place === 'gpu').sort((a, b) => b.now_bytes - a.now_bytes);
  return gpus[0] ?? devices[0] ?? null;
}
