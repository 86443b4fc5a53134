import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { isOurs, readMessage } from '../contract';
import type { IStatus } from '../contract';

/** As the kernel wrote it: see tests/test_monitor.py, which keeps these files true. */
export function fixture(name: string): Record<string, unknown> {
  const folder = process.env.NBTUNE_FIXTURES ?? join('src', 'test', 'fixtures');
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Record<string, unknown>;
}

export function status(changes: Record<string, unknown> = {}): IStatus {
  const message = readMessage({ ...fixture('status'), ...changes });
  assert.equal(message.kind, 'status');
  return (message as { status: IStatus }).status;
}

test('what the kernel writes is read without a loss', () => {
  const written = fixture('status');
  const read = status() as unknown as Record<string, unknown>;
  for (const key of Object.keys(read)) {
    assert.deepEqual(read[key], written[key], key);
  }
  assert.ok(isOurs(written));
});

test('a hello is no status', () => {
  assert.deepEqual(readMessage({ kind: 'nbtune.hello', schema: 1 }), { kind: 'hello' });
});

test('trouble is told in the words of the kernel', () => {
  const message = readMessage(fixture('trouble'));
  assert.equal(message.kind, 'trouble');
});

test('another version of the contract is told, not guessed', () => {
  assert.deepEqual(readMessage({ ...fixture('status'), schema: 2 }), { kind: 'unknown_schema', schema: 2 });
});

test('what is not of the contract is refused as a whole', () => {
  const bad: unknown[] = [
    null,
    'status',
    [],
    {},
    { ...fixture('status'), schema: '1' },
    { ...fixture('status'), devices: {} },
    { ...fixture('status'), devices: [{ name: 'host' }] },
    { ...fixture('status'), sequence: -1 },
    { ...fixture('status'), sequence: Number.NaN },
    { ...fixture('status'), tasks: ['x; import os'] },
    { ...fixture('status'), jobs: [null] }
  ];
  for (const data of bad) {
    assert.equal(readMessage(data).kind, 'malformed', JSON.stringify(data));
  }
});

test('a missing field is refused, whichever it is', () => {
  for (const list of ['devices', 'jobs', 'results']) {
    const [first] = fixture('status')[list] as Record<string, unknown>[];
    for (const key of Object.keys(first)) {
      const { [key]: _, ...rest } = first;
      const isFlag = typeof first[key] === 'boolean';
      assert.equal(readMessage({ ...fixture('status'), [list]: [rest] }).kind, isFlag ? 'status' : 'malformed', key);
    }
  }
});

test('texts and lists are cut to what can be shown', () => {
  const [device] = status().devices;
  const [result] = fixture('status').results as Record<string, unknown>[];
  const read = status({
    devices: Array.from({ length: 1000 }, () => device),
    results: [{ ...result, model: 'x'.repeat(10_000) }]
  });
  assert.ok(read.devices.length <= 16);
  assert.ok(read.results[0].model.length <= 120);
});

test('messages of others are not ours', () => {
  for (const data of [null, undefined, 1, 'nbtune.status', { method: 'update' }, { kind: 'status' }]) {
    assert.equal(isOurs(data), false);
  }
});
