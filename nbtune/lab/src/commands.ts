import type { JupyterFrontEnd } from '@jupyterlab/application';
import { showErrorMessage } from '@jupyterlab/apputils';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { ILauncher } from '@jupyterlab/launcher';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

import { insertCell } from './actions';
import type { FrontKernel } from './frontKernel';
import { nbtuneIcon } from './icon';
import { EXAMPLE, IMPORT, toolCell } from './snippets';
import type { ToolName } from './snippets';
import { copyTutorials } from './tutorials';
import type { IWords } from './words';

export const ids = {
  insert: {
    'lr-finder': 'nbtune:insert-lr-finder',
    'batch-prober': 'nbtune:insert-batch-prober',
    'batch-comparison': 'nbtune:insert-batch-comparison',
    'descent-explorer': 'nbtune:insert-descent-explorer'
  },
  insertImport: 'nbtune:insert-import',
  showPanel: 'nbtune:show-panel',
  stop: 'nbtune:stop',
  tutorials: 'nbtune:open-tutorials'
} as const;

const TOOLS = Object.keys(ids.insert) as ToolName[];
const NO_ARGUMENTS: CommandRegistry.ICommandOptions['describedBy'] = { args: { type: 'object', properties: {} } };

/** The label of a tool, and what it is for. */
export function aboutTool(tool: ToolName, words: IWords): { label: string; caption: string } {
  switch (tool) {
    case 'lr-finder':
      return {
        label: words.__('Learning-rate finder'),
        caption: words.__('Which learning rate? Watch the loss while it rises')
      };
    case 'batch-prober':
      return { label: words.__('Batch prober'), caption: words.__('Which batch sizes fit, and what each leaves free') };
    case 'batch-comparison':
      return {
        label: words.__('Comparison of batch sizes'),
        caption: words.__('SGD against mini-batches on your own model')
      };
    case 'descent-explorer':
      return {
        label: words.__('Descent explorer'),
        caption: words.__('Gradient descent on a surface you can look at')
      };
  }
}

/** Put a cell into the notebook, and bring the notebook forward. */
export function insertInto(app: JupyterFrontEnd, notebook: NotebookPanel, code: string): void {
  insertCell(notebook, code);
  app.shell.activateById(notebook.id);
}

export function addCommands(
  app: JupyterFrontEnd,
  kernel: FrontKernel,
  tracker: INotebookTracker,
  browser: IDefaultFileBrowser | null,
  showPanel: () => void,
  words: IWords
): void {
  const { commands } = app;
  const hasNotebook = (): boolean => tracker.currentWidget !== null;
  for (const tool of TOOLS) {
    const { label, caption } = aboutTool(tool, words);
    commands.addCommand(ids.insert[tool], {
      label: args => (args.isPalette ? words.__('Insert: %1', label) : label),
      caption,
      icon: nbtuneIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            inNew: { type: 'boolean', description: 'Whether to begin a notebook for it' },
            isPalette: { type: 'boolean', description: 'Whether the label is to be a full sentence' },
            cwd: { type: 'string', description: 'Where the new notebook goes' }
          }
        }
      },
      isEnabled: args => args.inNew === true || hasNotebook(),
      execute: async args => {
        if (args.inNew === true) {
          const notebook = await newNotebook(app, args.cwd as string | undefined);
          if (tool !== 'descent-explorer') {
            insertCell(notebook, EXAMPLE);
          }
          insertCell(notebook, toolCell(tool, null));
        } else if (tracker.currentWidget !== null) {
          const isFront = kernel.notebook === tracker.currentWidget;
          insertInto(app, tracker.currentWidget, toolCell(tool, (isFront && kernel.status?.tasks[0]) || null));
        }
      }
    });
  }
  commands.addCommand(ids.insertImport, {
    label: args =>
      args.isPalette ? words.__('Insert: %1', words.__('Import of nbtune')) : words.__('Import of nbtune'),
    caption: words.__('Puts “import nbtune as nt” into a cell'),
    describedBy: NO_ARGUMENTS,
    isEnabled: hasNotebook,
    execute: () => tracker.currentWidget && insertInto(app, tracker.currentWidget, IMPORT)
  });
  commands.addCommand(ids.showPanel, {
    label: words.__('Show the nbtune panel'),
    caption: words.__('Memory, running jobs and results of the kernel in front'),
    icon: nbtuneIcon,
    describedBy: NO_ARGUMENTS,
    execute: showPanel
  });
  commands.addCommand(ids.stop, {
    label: words.__('Stop the running nbtune job'),
    caption: words.__('Stops the job of the kernel in front; your model is put back'),
    describedBy: NO_ARGUMENTS,
    isEnabled: () => (kernel.status?.jobs.length ?? 0) > 0,
    execute: () => {
      const job = kernel.status?.jobs[0];
      if (job !== undefined) {
        kernel.stop(job.id);
      }
    }
  });
  kernel.stateChanged.connect(() => commands.notifyCommandChanged(ids.stop));
  commands.addCommand(ids.tutorials, {
    label: words.__('Open the nbtune tutorials'),
    caption: words.__('Copies the three notebooks into your folder, and opens the first'),
    icon: nbtuneIcon,
    describedBy: NO_ARGUMENTS,
    execute: async () => {
      try {
        const path = await copyTutorials(app.serviceManager.contents, browser?.model.path ?? '');
        await commands.execute('docmanager:open', { path });
      } catch (error) {
        void showErrorMessage(
          words.__('The tutorials could not be copied'),
          error instanceof Error ? error : String(error)
        );
      }
    }
  });
}

export function addToPalette(palette: ICommandPalette, words: IWords): void {
  const category = words.__('nbtune');
  for (const tool of TOOLS) {
    palette.addItem({ command: ids.insert[tool], category, args: { isPalette: true } });
  }
  palette.addItem({ command: ids.insertImport, category, args: { isPalette: true } });
  for (const command of [ids.showPanel, ids.stop, ids.tutorials]) {
    palette.addItem({ command, category });
  }
}

export function addToLauncher(launcher: ILauncher, words: IWords): void {
  const category = words.__('nbtune');
  TOOLS.forEach((tool, rank) => launcher.add({ command: ids.insert[tool], category, rank, args: { inNew: true } }));
  launcher.add({ command: ids.tutorials, category, rank: TOOLS.length });
}

async function newNotebook(app: JupyterFrontEnd, cwd: string | undefined): Promise<NotebookPanel> {
  const kernelName = pythonKernel(app);
  const created: unknown = await app.commands.execute('notebook:create-new', { kernelName, ...(cwd ? { cwd } : {}) });
  const notebook = created as NotebookPanel;
  await notebook.context.ready;
  return notebook;
}

/** The default kernel if it runs Python, else the first that does; '' lets the user choose. */
function pythonKernel(app: JupyterFrontEnd): string {
  const specs = app.serviceManager.kernelspecs.specs;
  const names = specs === null ? [] : [specs.default, ...Object.keys(specs.kernelspecs)];
  return names.find(name => specs?.kernelspecs[name]?.language.toLowerCase() === 'python') ?? '';
}
