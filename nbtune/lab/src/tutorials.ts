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
  const known = await itemsIn(contents, below);
  const there = known.get(FOLDER);
  if (there !== undefined && there !== 'directory') {
    throw new Error(`${folder} is a file`);
  }
  const has = there === undefined ? new Map<string, string>() : await itemsIn(contents, folder);
  const missing = TUTORIALS.filter(name => !has.has(name));
  const contentsOfMissing = await Promise.all(missing.map(shipped));
  if (there === undefined) {
    const made = await contents.newUntitled({ path: below, type: 'directory' });
    await contents.rename(made.path, folder);
  }
  for (const [place, name] of missing.entries()) {
    const content = contentsOfMissing[place];
    await contents.save(PathExt.join(folder, name), { type: 'notebook', format: 'json', content });
  }
  return PathExt.join(folder, TUTORIALS[0]);
}

/** Names in a folder, and what they are. */
async function itemsIn(contents: Contents.IManager, path: string): Promise<Map<string, string>> {
  const folder = await contents.get(path, { content: true });
  return new Map((folder.content as Contents.IModel[]).map(item => [item.name, item.type]));
}

async function shipped(name: string): Promise<ReadonlyPartialJSONValue> {
  const settings = ServerConnection.makeSettings();
  // The option is a path in JupyterLab and may be a whole address elsewhere.
  const base = new URL(PageConfig.getOption('fullLabextensionsUrl'), settings.baseUrl).href;
  const response = await ServerConnection.makeRequest(URLExt.join(base, SHIPPED, name), {}, settings);
  if (!response.ok) {
    throw new Error(`${name}: ${response.status} ${response.statusText}`);
  }
  return (await response.json()) as ReadonlyPartialJSONValue;
}
