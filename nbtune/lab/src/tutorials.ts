import { PageConfig, PathExt, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { Contents } from '@jupyterlab/services';
import type { ReadonlyPartialJSONValue } from '@lumino/coreutils';

/** The folder made in the user's own; and where the wheel puts the files, beside the extension. */
const FOLDER = 'nbtune-tutorials';
const SHIPPED = 'nbtune/static/tutorials';

export const TUTORIALS = ['01_learning_rate.ipynb', '02_batch_size.ipynb', '03_sgd_or_mini_batch.ipynb'] as const;

/**
 * Copy the tutorials that are not there yet below a folder of the user's. A file that is there is never touched.
 *
 * @returns the path of the first one.
 */
export async function copyTutorials(contents: Contents.IManager, below: string): Promise<string> {
  const folder = PathExt.join(below, FOLDER);
  const known = await namesIn(contents, below);
  if (!known.has(FOLDER)) {
    const made = await contents.newUntitled({ path: below, type: 'directory' });
    await contents.rename(made.path, folder);
  }
  const there = await namesIn(contents, folder);
  for (const name of TUTORIALS) {
    if (!there.has(name)) {
      await contents.save(PathExt.join(folder, name), {
        type: 'notebook',
        format: 'json',
        content: await shipped(name)
      });
    }
  }
  return PathExt.join(folder, TUTORIALS[0]);
}

async function namesIn(contents: Contents.IManager, path: string): Promise<Set<string>> {
  const folder = await contents.get(path, { content: true });
  return new Set((folder.content as Contents.IModel[]).map(item => item.name));
}

async function shipped(name: string): Promise<ReadonlyPartialJSONValue> {
  const base = PageConfig.getOption('fullLabextensionsUrl');
  const settings = ServerConnection.makeSettings();
  const response = await ServerConnection.makeRequest(URLExt.join(base, SHIPPED, name), {}, settings);
  if (!response.ok) {
    throw new Error(`${name}: ${response.status} ${response.statusText}`);
  }
  return (await response.json()) as ReadonlyPartialJSONValue;
}
