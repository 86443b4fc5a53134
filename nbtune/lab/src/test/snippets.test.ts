import { strict as assert } from 'node:assert';
import { test } from 'node:test';

import { toolCell } from '../snippets';
import type { ToolName } from '../snippets';

const TOOLS: ToolName[] = ['lr-finder', 'batch-prober', 'batch-comparison', 'descent-explorer'];

test('a cell takes the notebook’s own task, or makes one', () => {
  assert.equal(toolCell('lr-finder', 'tuned'), 'import nbtune as nt\nfinder = nt.LRFinder(tuned)\nfinder');
  for (const tool of TOOLS) {
    const cell = toolCell(tool, null);
    assert.ok(cell.startsWith('import nbtune as nt\n'));
    assert.equal(cell.includes('nt.Task('), tool !== 'descent-explorer');
  }
});
