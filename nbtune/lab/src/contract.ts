/**
 * What the kernel says, checked. Nothing here is trusted: a message of another shape is refused as a whole, texts and
 * lists are cut to a length that can be shown, and nobody guesses at a version of the contract that is not known.
 *
 * The names are those of the JSON (see nbtune/monitor/plain.py).
 */

export const TARGET = 'nbtune.monitor';
export const SCHEMA = 1;

/** Memory of one device, in bytes. */
export interface IDevice {
  readonly name: string;
  readonly title: string;
  readonly place: 'container' | 'machine' | 'gpu';
  readonly limit_bytes: number;
  readonly now_bytes: number;
  readonly peak_bytes: number;
  readonly others_bytes: number;
}

/** A run under way; `share` is of the work done, 0 to 1. */
export interface IJob {
  readonly id: string;
  readonly tool: string;
  readonly detail: string;
  readonly is_stopping: boolean;
  readonly is_blocking: boolean;
  readonly widget: string;
  readonly done: number;
  readonly total: number | null;
  readonly unit: string;
  readonly share: number | null;
  readonly seconds_left: number | null;
}

/** What a finished run found; `code` applies it. */
export interface IResult {
  readonly id: string;
  readonly tool: string;
  readonly lr: string;
  readonly batch_size: number | null;
  readonly detail: string;
  readonly model: string;
  readonly widget: string;
  readonly cell: string;
  readonly code: string;
}

/** What the next larger batch size would need of a device. */
export interface IForecast {
  readonly device: string;
  readonly batch_size: number | null;
  readonly has_run: boolean;
  readonly next_batch_size: number;
  readonly next_bytes: number;
  readonly does_fit: boolean;
  readonly code: string;
}

export interface IStatus {
  readonly sequence: number;
  readonly period_seconds: number;
  readonly devices: readonly IDevice[];
  readonly forecast: IForecast | null;
  readonly jobs: readonly IJob[];
  readonly results: readonly IResult[];
  readonly tasks: readonly string[];
}

export type Message =
  | { readonly kind: 'hello' }
  | { readonly kind: 'status'; readonly status: IStatus }
  | { readonly kind: 'trouble'; readonly text: string }
  | { readonly kind: 'unknown_schema'; readonly schema: number }
  | { readonly kind: 'malformed'; readonly why: string };

/** Whether a message claims to be one of nbtune's. */
export function isOurs(data: unknown): boolean {
  const kind = isRecord(data) ? data.kind : null;
  return kind === 'nbtune.status' || kind === 'nbtune.trouble' || kind === 'nbtune.hello';
}

/** The message, or what is wrong with it. */
export function readMessage(data: unknown): Message {
  try {
    const message = record(data, 'message');
    const schema = count(message, 'schema');
    if (schema !== SCHEMA) {
      return { kind: 'unknown_schema', schema };
    }
    if (message.kind === 'nbtune.hello') {
      return { kind: 'hello' };
    }
    return message.kind === 'nbtune.trouble'
      ? { kind: 'trouble', text: text(message, 'text', 500) }
      : { kind: 'status', status: readStatus(message) };
  } catch (error) {
    return { kind: 'malformed', why: error instanceof Error ? error.message : String(error) };
  }
}

type Fields = Record<string, unknown>;

const LONGEST_LIST = 16;
/** More than a byte of each atom in a cell; also longer than any run. */
const LARGEST = 1e15;

function readStatus(message: Fields): IStatus {
  return {
    sequence: count(message, 'sequence'),
    period_seconds: amount(message, 'period_seconds'),
    devices: list(message, 'devices').map(readDevice),
    forecast: message.forecast === null ? null : readForecast(record(message.forecast, 'forecast')),
    jobs: list(message, 'jobs').map(readJob),
    results: list(message, 'results').map(readResult),
    tasks: list(message, 'tasks').map((_, index, tasks) => name(String(tasks[index])))
  };
}

function readDevice(value: unknown): IDevice {
  const device = record(value, 'device');
  const place = text(device, 'place');
  if (place !== 'container' && place !== 'machine' && place !== 'gpu') {
    throw new Error(`a device's place is “${place}”`);
  }
  return {
    name: text(device, 'name'),
    title: text(device, 'title'),
    place,
    limit_bytes: amount(device, 'limit_bytes'),
    now_bytes: amount(device, 'now_bytes'),
    peak_bytes: amount(device, 'peak_bytes'),
    others_bytes: amount(device, 'others_bytes')
  };
}

function readJob(value: unknown): IJob {
  const job = record(value, 'job');
  const share = orNull(job, 'share', amount);
  return {
    id: text(job, 'id'),
    tool: text(job, 'tool'),
    detail: text(job, 'detail'),
    is_stopping: job.is_stopping === true,
    is_blocking: job.is_blocking === true,
    widget: text(job, 'widget'),
    done: count(job, 'done'),
    total: orNull(job, 'total', count),
    unit: text(job, 'unit'),
    share: share === null ? null : Math.min(1, share),
    seconds_left: orNull(job, 'seconds_left', amount)
  };
}

function readResult(value: unknown): IResult {
  const result = record(value, 'result');
  return {
    id: text(result, 'id'),
    tool: text(result, 'tool'),
    lr: text(result, 'lr'),
    batch_size: orNull(result, 'batch_size', count),
    detail: text(result, 'detail'),
    model: text(result, 'model'),
    widget: text(result, 'widget'),
    cell: text(result, 'cell'),
    code: text(result, 'code', 500)
  };
}

function readForecast(forecast: Fields): IForecast {
  return {
    device: text(forecast, 'device'),
    batch_size: orNull(forecast, 'batch_size', count),
    has_run: forecast.has_run === true,
    next_batch_size: count(forecast, 'next_batch_size'),
    next_bytes: amount(forecast, 'next_bytes'),
    does_fit: forecast.does_fit === true,
    code: text(forecast, 'code', 500)
  };
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function record(value: unknown, what: string): Fields {
  if (!isRecord(value)) {
    throw new Error(`${what} is not an object`);
  }
  return value;
}

function list(fields: Fields, key: string): unknown[] {
  const value = fields[key];
  if (!Array.isArray(value)) {
    throw new Error(`${key} is not a list`);
  }
  return value.slice(0, LONGEST_LIST);
}

function text(fields: Fields, key: string, longest = 120): string {
  const value = fields[key];
  if (typeof value !== 'string') {
    throw new Error(`${key} is not text`);
  }
  return value.length <= longest ? value : `${value.slice(0, longest - 1)}…`;
}

function amount(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value !== 'number' || !(value >= 0 && value <= LARGEST)) {
    throw new Error(`${key} is not a number from 0 to ${LARGEST}`);
  }
  return value;
}

function count(fields: Fields, key: string): number {
  const value = amount(fields, key);
  if (!Number.isInteger(value)) {
    throw new Error(`${key} is not a whole number`);
  }
  return value;
}

function orNull<T>(fields: Fields, key: string, read: (fields: Fields, key: string) => T): T | null {
  return fields[key] === null ? null : read(fields, key);
}

/** A name of a variable, which goes into code. */
function name(value: string): string {
  if (!/^[\p{L}_][\p{L}\p{N}_]{0,79}$/u.test(value)) {
    throw new Error(`“${value.slice(0, 40)}” is no name`);
  }
  return value;
}
