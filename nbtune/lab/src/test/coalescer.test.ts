import { strict as assert } from 'node:assert';
import { mock, test } from 'node:test';

import { Coalescer } from '../coalescer';

test('a flood is handed on as its first and its latest', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const handed: number[] = [];
  const coalescer = new Coalescer<number>(value => handed.push(value), 100);
  for (let value = 0; value < 1000; value++) {
    coalescer.take(value);
  }
  assert.deepEqual(handed, [0]);
  mock.timers.tick(100);
  assert.deepEqual(handed, [0, 999]);
  mock.timers.tick(1000);
  coalescer.take(1000);
  assert.deepEqual(handed, [0, 999, 1000]);
  coalescer.take(1001);
  coalescer.dispose();
  mock.timers.tick(1000);
  assert.deepEqual(handed, [0, 999, 1000]);
  mock.timers.reset();
});

test('null is a value like any other', () => {
  const handed: (number | null)[] = [];
  const coalescer = new Coalescer<number | null>(value => handed.push(value), 100);
  coalescer.take(null);
  coalescer.dispose();
  assert.deepEqual(handed, [null]);
});
