import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry, Notification, showErrorMessage } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { showResult } from './actions';
import { addCommands, addToLauncher, addToPalette, insertInto } from './commands';
import { FrontKernel } from './frontKernel';
import { nbtuneIcon } from './icon';
import { NbtunePanel } from './panel';
import { registerSavedViews } from './savedView';
import { IMPORT } from './snippets';
import { StatusItem } from './statusItem';
import type { StatusBarShows } from './statusItem';
import { toolsButton } from './toolbar';
import type { IWords } from './words';

function wordsOf(translator: ITranslator | null): IWords {
  const bundle = (translator ?? nullTranslator).load('nbtune');
  const __ = (text: string, ...values: unknown[]): string => bundle.__(text, ...(values as never[]));
  return { __, locale: (translator ?? nullTranslator).languageCode };
}

/** The side panel, the status bar, the commands: everything about the notebook in front. */
const beside: JupyterFrontEndPlugin<void> = {
  id: 'nbtune:beside',
  description: 'Memory, running jobs and results of the kernel in front, and its tools.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [
    ITranslator,
    ISettingRegistry,
    ICommandPalette,
    ILauncher,
    IStatusBar,
    IToolbarWidgetRegistry,
    ILayoutRestorer,
    ILabShell,
    IDefaultFileBrowser
  ],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    settings: ISettingRegistry | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    statusBar: IStatusBar | null,
    toolbars: IToolbarWidgetRegistry | null,
    restorer: ILayoutRestorer | null,
    labShell: ILabShell | null,
    browser: IDefaultFileBrowser | null
  ) => {
    const words = wordsOf(translator);
    const kernel = new FrontKernel(tracker, words);
    const inFront = (act: (notebook: NotebookPanel) => void): void => {
      if (kernel.notebook !== null) {
        act(kernel.notebook);
      }
    };
    const panel = new NbtunePanel(
      kernel,
      {
        insert: code => inFront(notebook => insertInto(app, notebook, code)),
        insertImport: () => inFront(notebook => insertInto(app, notebook, IMPORT)),
        show: result =>
          inFront(notebook => {
            void showResult(notebook, result.widget, result.cell).then(isThere => {
              if (!isThere) {
                Notification.info(words.__('It is no longer in this notebook.'), { autoClose: 4000 });
              }
            });
          })
      },
      words
    );
    panel.id = 'nbtune-panel';
    panel.title.icon = nbtuneIcon;
    panel.title.caption = words.__('nbtune: memory, running jobs and results');
    app.shell.add(panel, 'right', { rank: 900, type: 'nbtune' });
    restorer?.add(panel, panel.id);

    const showPanel = (): void => {
      const shell = app.shell as Partial<{ expandRight(id?: string): void }> & JupyterFrontEnd.IShell;
      if (labShell === null) {
        shell.expandRight?.(panel.id);
      }
      app.shell.activateById(panel.id);
    };
    addCommands(app, kernel, tracker, browser, showPanel, words);
    if (palette !== null) {
      addToPalette(palette, words);
    }
    if (launcher !== null) {
      addToLauncher(launcher, words);
    }
    toolbars?.addFactory<NotebookPanel>('Notebook', 'nbtune', () => toolsButton(app.commands, words));

    const item = new StatusItem(kernel, showPanel, words);
    statusBar?.registerStatusItem('nbtune:status', {
      item,
      align: 'left',
      rank: 90,
      isActive: () => item.isActive,
      activeStateChanged: kernel.stateChanged
    });
    void followSettings(settings, kernel, item);
  }
};

async function followSettings(registry: ISettingRegistry | null, kernel: FrontKernel, item: StatusItem): Promise<void> {
  const settings = await registry?.load(beside.id).catch((error: unknown) => {
    void showErrorMessage('nbtune', error instanceof Error ? error : String(error));
  });
  if (settings) {
    const take = (): void => {
      kernel.periodSeconds = settings.get('refreshPeriod').composite as number;
      item.shows = settings.get('statusBar').composite as StatusBarShows;
    };
    settings.changed.connect(take);
    take();
  }
}

/** Outputs that outlive their kernel. */
const saved: JupyterFrontEndPlugin<void> = {
  id: 'nbtune:saved-views',
  description: 'Shows the saved picture and sentence of an nbtune widget where no kernel holds it.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  activate: (_: JupyterFrontEnd, tracker: INotebookTracker, translator: ITranslator | null) => {
    registerSavedViews(tracker, wordsOf(translator));
  }
};

export default [beside, saved];
