import { strict as assert } from 'node:assert';
import { test } from 'node:test';

import type { IDevice, IForecast, IJob, IResult } from '../contract';
import { deviceView, jobView, resultView, statusItemView } from '../views';
import { formatMemory, formatPercent, formatRemaining } from '../words';
import type { IWords } from '../words';
import { status } from './contract.test';

const words: IWords = {
  __: (text, ...values) => text.replace(/%(\d)/g, (_, place: string) => String(values[Number(place) - 1])),
  locale: 'en'
};
const GIB = 2 ** 30;
const MIB = 2 ** 20;

function container(changes: Partial<IDevice> = {}): IDevice {
  return {
    name: 'host',
    title: '',
    place: 'container',
    limit_bytes: 2.5 * GIB,
    now_bytes: 335 * MIB,
    peak_bytes: 335 * MIB,
    others_bytes: 116 * MIB,
    ...changes
  };
}

const forecast: IForecast = {
  device: 'host',
  batch_size: 32,
  has_run: true,
  next_batch_size: 64,
  next_bytes: 3.5 * GIB,
  does_fit: false,
  code: 'task = task.with_(batch_size=32)'
};

const job: IJob = {
  id: '1',
  tool: 'learning_rate',
  detail: 'quick sweep',
  is_stopping: false,
  is_blocking: false,
  widget: '',
  done: 48,
  total: 100,
  unit: 'steps',
  share: 0.48,
  seconds_left: 3.2
};

test('sizes read as in the widgets', () => {
  const sizes = [27, 1740, 8192, 181_862, 0.01, 0, 5172].map(mib => formatMemory(mib * MIB, words));
  assert.deepEqual(sizes, ['27 MiB', '1.7 GiB', '8.0 GiB', '178 GiB', '< 0.1 MiB', '0 MiB', '5.1 GiB']);
  assert.equal(formatMemory(1740 * MIB, { ...words, locale: 'es_ES' }), '1,7 GiB');
});

test('the time left is rounded up and never counts milliseconds', () => {
  const texts = [0.2, 3.4, 60, 61, 150].map(seconds => formatRemaining(seconds, words));
  assert.deepEqual(texts, [
    'less than 1 s left',
    'about 4 s left',
    'about 60 s left',
    'about 2 min left',
    'about 3 min left'
  ]);
});

test('all is said of all only', () => {
  assert.deepEqual([0.999, 1].map(formatPercent), ['99 %', '100 %']);
});

test('a quiet kernel in a container', () => {
  const view = deviceView(container(), null, words);
  assert.equal(view.title, 'Memory, container');
  assert.equal(view.total, '0.4 of 2.5 GiB');
  assert.deepEqual(
    view.parts.map(part => part.value),
    ['335 MiB', '335 MiB', '116 MiB', '2.1 GiB']
  );
  assert.equal(view.isNearlyFull, false);
  assert.ok(Math.abs(view.nowEnd - 13.09) < 0.01 && view.peakEnd === view.nowEnd && view.othersStart > 95);
  assert.equal(view.spoken, '0.4 of 2.5 GiB, 17 per cent, kernel 335 MiB, others 116 MiB');
});

test('parts never overlap nor leave the bar, whatever the numbers', () => {
  for (const now of [0, 1, 3, 9]) {
    for (const others of [0, 1, 3, 9]) {
      const device = container({ now_bytes: now * GIB, peak_bytes: 2 * now * GIB, others_bytes: others * GIB });
      for (const limit of [0, 2.5 * GIB]) {
        const { nowEnd, peakEnd, othersStart, usedShare } = deviceView({ ...device, limit_bytes: limit }, null, words);
        assert.ok(0 <= nowEnd && nowEnd <= peakEnd && peakEnd <= othersStart && othersStart <= 100);
        assert.ok(usedShare <= 1);
      }
    }
  }
});

test('nearly full: the warning names what ran, what would not, and offers the first', () => {
  const device = container({ now_bytes: 2.2 * GIB, peak_bytes: 2.4 * GIB });
  const view = deviceView(device, forecast, words);
  assert.equal(view.isNearlyFull, true);
  assert.equal(view.next?.text, 'k = 64 would end at 3.5 GiB');
  assert.equal(view.next.isBeyond, true);
  assert.equal(view.warning?.head, '92 % in use.');
  assert.equal(view.warning.text, 'k = 32 ran; k = 64 would need about 3.5 GiB and end the kernel.');
  assert.equal(view.warning.action, 'Use k = 32');
});

test('there is no warning while there is room, nor of another device', () => {
  assert.equal(deviceView(container(), forecast, words).warning, null);
  const gpu = container({ name: 'cuda:0', place: 'gpu', title: 'T4', now_bytes: 2.4 * GIB });
  const view = deviceView(gpu, forecast, words);
  assert.equal(view.next, null);
  assert.equal(view.warning?.text, 'What does not fit any more ends as an out-of-memory error.');
  assert.equal(view.warning.code, '');
  assert.equal(view.title, 'Memory, T4');
});

test('the time left goes on without the kernel', () => {
  assert.equal(jobView(job, 0, words).left, 'about 4 s left');
  assert.equal(jobView(job, 1.5, words).left, 'about 2 s left');
  assert.equal(jobView(job, 60, words).left, 'less than 1 s left');
  assert.equal(jobView({ ...job, seconds_left: null }, 1, words).left, '');
});

test('a job says how far it is in the unit it counts', () => {
  const text = (changes: Partial<IJob>): string => jobView({ ...job, ...changes }, 0, words).text;
  assert.equal(text({}), '48 of 100 steps, 48 %');
  assert.equal(text({ done: 57, share: 0.57 }), '57 of 100 steps, 57 %');
  assert.equal(text({ unit: 'batch sizes', total: null, share: null, done: 4 }), '4 batch sizes so far');
  assert.equal(text({ unit: '', total: null, done: 0, share: 0.3 }), '30 %');
});

test('a result is its value, and how it was found', () => {
  const [result] = status().results;
  const view = resultView(
    { ...result, lr: '0.02', batch_size: 32, detail: 'quick sweep', model: '<img src=x>' },
    words
  );
  assert.equal(view.value, 'k = 32, η = 0.02');
  assert.equal(view.detail, 'quick sweep, <img src=x>');
});

test('numbers and ways of the kernel are said in the language of the reader', () => {
  const spanish: IWords = { __: (text, ...values) => `¡${words.__(text, ...values)}!`, locale: 'es-ES' };
  const said = (changes: Partial<IResult>): string[] => {
    const { value, detail } = resultView({ ...status().results[0], model: '', ...changes }, spanish);
    return [value, detail];
  };
  assert.equal(said({ lr: '0.031', batch_size: null })[0], 'η = 0,031');
  const ways = [
    ["this machine's memory, measured", '¡this machine!, ¡measured!'],
    ['8.5 GB card, predicted', '¡8,5 GB card!, ¡predicted!'],
    ['this GPU (Tesla 2.0), measured', '¡this GPU! (Tesla 2.0), ¡measured!'],
    ['T4, predicted', 'T4, ¡predicted!'],
    ['5\u202f600 samples', '¡5\u202f600 samples!'],
    ['400 updates', '¡400 updates!'],
    ['1 epoch', '¡1 epoch!'],
    ['0.5 epochs', '¡0,5 epochs!'],
    ['4.6 s', '4,6 s'],
    ['a way of tomorrow', 'a way of tomorrow']
  ];
  assert.deepEqual(
    ways.map(([detail]) => said({ detail })[1]),
    ways.map(([, text]) => text)
  );
});

test('the status bar shows the GPU in use, and without one the host', () => {
  const both = status({
    devices: [container(), container({ name: 'cuda:0', place: 'gpu', title: 'T4', now_bytes: GIB })]
  });
  assert.equal(statusItemView(both, words)?.memory, '1.1 / 2.5 GiB');
  const host = status({ devices: [container({ now_bytes: 2.2 * GIB })], jobs: [job] });
  const view = statusItemView(host, words);
  assert.equal(view?.memory, '2.3 / 2.5 GiB · 92 %');
  assert.equal(view.job, 'Learning rate 48 %');
  assert.equal(statusItemView(status({ devices: [], jobs: [] }), words), null);
});

test('the status bar never hides a device that is nearly full, nor a job without any device', () => {
  const gpu = container({ name: 'cuda:0', place: 'gpu', title: 'T4', now_bytes: GIB });
  const full = container({ now_bytes: 2.3 * GIB });
  assert.equal(statusItemView(status({ devices: [full, gpu] }), words)?.isNearlyFull, true);
  const view = statusItemView(status({ devices: [], jobs: [job] }), words);
  assert.equal(view?.job, 'Learning rate 48 %');
  assert.equal(view.jobId, '1');
});

test('a job that is stopping cannot be stopped again, and says so', () => {
  const view = statusItemView(status({ jobs: [{ ...job, is_stopping: true }] }), words);
  assert.equal(view?.jobId, null);
  assert.equal(view.job, 'Learning rate stopping');
});
