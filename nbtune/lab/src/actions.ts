import { NotebookActions } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';

const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';

/** Put a cell of code below the active one, ready to be run, and show it. Nothing is run. */
export function insertCell(notebook: NotebookPanel, code: string): void {
  const content = notebook.content;
  const active = content.activeCell;
  const isEmpty =
    active !== null &&
    !active.readOnly &&
    active.model.type === 'code' &&
    active.model.sharedModel.getSource().trim() === '';
  if (!isEmpty) {
    NotebookActions.insertBelow(content);
  }
  content.activeCell?.model.sharedModel.setSource(code);
  content.mode = 'command';
  void content.scrollToItem(content.activeCellIndex, 'smart');
  content.node.focus();
}

/** Scroll to the cell that shows a result's widget, or that ran it; whether there is one. */
export async function showResult(notebook: NotebookPanel, widget: string, cell: string): Promise<boolean> {
  const content = notebook.content;
  const index = content.widgets.findIndex(({ model }) => {
    if (model.type !== 'code') {
      return false;
    }
    const outputs = (model.sharedModel.toJSON() as { outputs?: { data?: Record<string, unknown> }[] }).outputs ?? [];
    const isShown = outputs.some(output => {
      const view = output.data?.[WIDGET_VIEW] as { model_id?: string } | undefined;
      return widget !== '' && view?.model_id === widget;
    });
    return isShown || (cell !== '' && model.id === cell);
  });
  if (index < 0) {
    return false;
  }
  content.activeCellIndex = index;
  content.deselectAll();
  await content.scrollToItem(index, 'start');
  content.activate();
  return true;
}
