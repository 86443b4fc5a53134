import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import { PanelLayout, Widget } from '@lumino/widgets';
import { Signal } from '@lumino/signaling';
import type { ISignal } from '@lumino/signaling';

import type { IWords } from './words';

/** nbtune's own mark in an output, beside the widget view. Other libraries' widgets do not have it. */
export const SAVED_VIEW = 'application/vnd.nbtune.view+json';
const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';
/** Below the widgets' −10: where both are in an output, this one is asked first. */
const RANK = -11;

/** Which widgets a notebook's kernel holds. */
class LiveWidgets {
  constructor(notebook: NotebookPanel) {
    this._notebook = notebook;
    const context = notebook.sessionContext;
    context.kernelChanged.connect(this._onKernel, this);
    context.iopubMessage.connect(this._onMessage, this);
    context.statusChanged.connect(this._onStatus, this);
  }

  /** Begin to ask, now that somebody wants to know: a notebook without nbtune's outputs is left in peace. */
  wake(): void {
    if (!this._isAwake) {
      this._isAwake = true;
      this._onKernel();
    }
  }

  /** Emitted when a widget came or all are gone. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  has(id: string): boolean {
    return this._ids.has(id) || this._kernel?.hasComm(id) === true;
  }

  private get _kernel(): Kernel.IKernelConnection | null {
    return this._notebook.isDisposed ? null : (this._notebook.sessionContext.session?.kernel ?? null);
  }

  private _onKernel(): void {
    this._forget();
    void this._ask();
  }

  private async _ask(): Promise<void> {
    const kernel = this._kernel;
    if (!this._isAwake) {
      return;
    }
    try {
      const reply = await kernel?.requestCommInfo({ target_name: 'jupyter.widget' });
      if (reply?.content.status === 'ok' && kernel === this._kernel) {
        Object.keys(reply.content.comms).forEach(id => this._ids.add(id));
        this._changed.emit();
      }
    } catch {
      // The kernel went away: its change says so.
    }
  }

  private _onMessage(_: unknown, message: KernelMessage.IMessage): void {
    if (message.header.msg_type === 'comm_open') {
      this._ids.add((message as KernelMessage.ICommOpenMsg).content.comm_id);
      this._changed.emit();
    } else if (message.header.msg_type === 'comm_close') {
      this._ids.delete((message as KernelMessage.ICommCloseMsg).content.comm_id);
      // Once the connection, which hears of it after this, has dropped the comm.
      void Promise.resolve().then(() => this._changed.emit());
    }
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting' || status === 'dead' || status === 'terminating') {
      // The connection still has its comms: it tells its new state before it drops them.
      void Promise.resolve().then(() => this._forget());
    }
  }

  private _forget(): void {
    this._ids.clear();
    this._changed.emit();
  }

  private readonly _notebook: NotebookPanel;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _ids = new Set<string>();
  private _isAwake = false;
}

/** An output of nbtune's: the live widget where a kernel holds it, else the picture and the sentence that were saved. */
class SavedView extends Widget implements IRenderMime.IRenderer {
  constructor(
    private readonly _rendermime: IRenderMimeRegistry,
    private readonly _live: LiveWidgets | null,
    private readonly _words: IWords
  ) {
    super();
    this.layout = new PanelLayout();
    this.addClass('nbtune-lab-saved');
    this.node.addEventListener('nbtune:kept', event => this._keep((event as CustomEvent<unknown>).detail));
    _live?.changed.connect(this._onChange, this);
    _live?.wake();
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._model = model;
    await this._draw();
  }

  dispose(): void {
    this._live?.changed.disconnect(this._onChange, this);
    super.dispose();
  }

  private _onChange(): void {
    if (this._model !== null && this._isLive !== this._shouldBeLive()) {
      void this._draw();
    }
  }

  private _shouldBeLive(): boolean {
    const view = this._model?.data[WIDGET_VIEW] as { model_id?: string } | undefined;
    const isAllowed = this._model?.trusted === true;
    return isAllowed && view?.model_id !== undefined && this._live?.has(view.model_id) === true;
  }

  private async _draw(): Promise<void> {
    const model = this._model;
    if (model === null || this.isDisposed) {
      return;
    }
    const isLive = this._shouldBeLive();
    if (isLive && this._isLive) {
      return; // a newer picture of a widget that is on the page already
    }
    const wasLive = this._isLive;
    this._isLive = isLive;
    if (wasLive && model.data['image/png'] === undefined && this._isPanelThere()) {
      return; // it says itself that its kernel is gone, and what it drew is all there is
    }
    this.toggleClass('nbtune-lab-is-live', isLive);
    const layout = this.layout as PanelLayout;
    layout.widgets.slice().forEach(widget => widget.dispose());
    const said = model.data['text/plain'];
    const text = typeof said === 'string' ? said : '';
    if (isLive) {
      await this._add(WIDGET_VIEW, model);
    } else if (model.data['image/png'] === undefined) {
      layout.addWidget(paragraph(text === '' ? this._words.__('Run this cell to see the widget.') : text));
    } else {
      const picture = await this._add('image/png', model);
      picture.node.querySelector('img')?.setAttribute('alt', text);
      const ended = wasLive ? this._words.__('The kernel of this widget is gone.') + ' ' : '';
      layout.addWidget(paragraph(ended + this._words.__('Saved with the notebook. Run the cell for the live widget.')));
    }
  }

  /** What the panel inside has to be kept: after a reload the kernel finds no output by its id. */
  private _keep(kept: unknown): void {
    const { data, metadata } = (kept ?? {}) as { data?: Record<string, unknown>; metadata?: Record<string, unknown> };
    const model = this._model;
    const [text, picture] = [data?.['text/plain'], data?.['image/png']];
    if (model === null || typeof text !== 'string' || (picture !== undefined && typeof picture !== 'string')) {
      return;
    }
    if (text === model.data['text/plain'] && picture === model.data['image/png']) {
      return;
    }
    const rest = Object.fromEntries(Object.entries(model.data).filter(([type]) => type !== 'image/png'));
    const pictured = picture === undefined ? {} : { 'image/png': picture };
    const about = { ...model.metadata, 'image/png': (metadata?.['image/png'] ?? {}) as JSONObject };
    model.setData({ data: { ...rest, 'text/plain': text, ...pictured }, metadata: about });
  }

  private _isPanelThere(): boolean {
    return this.node.querySelector('.nbtune-panel') !== null;
  }

  private async _add(type: string, model: IRenderMime.IMimeModel): Promise<IRenderMime.IRenderer> {
    const renderer = this._rendermime.createRenderer(type);
    (this.layout as PanelLayout).addWidget(renderer);
    await renderer.renderModel(model);
    return renderer;
  }

  private _model: IRenderMime.IMimeModel | null = null;
  private _isLive = false;
}

function paragraph(text: string): Widget {
  const node = document.createElement('p');
  node.textContent = text;
  return new Widget({ node });
}

/** Let outputs of nbtune's show what was saved, in every notebook. */
export function registerSavedViews(tracker: INotebookTracker, words: IWords): void {
  tracker.widgetAdded.connect((_, notebook) => addTo(notebook, words));
  tracker.forEach(notebook => addTo(notebook, words));
}

function addTo(notebook: NotebookPanel, words: IWords): void {
  const { rendermime } = notebook.content;
  const live = new LiveWidgets(notebook);
  rendermime.addFactory(
    {
      safe: true,
      mimeTypes: [SAVED_VIEW],
      createRenderer: () => new SavedView(rendermime, live, words)
    },
    RANK
  );
}
