import type { ISessionContext } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { VDomModel } from '@jupyterlab/ui-components';
import { UUID } from '@lumino/coreutils';

import { Coalescer } from './coalescer';
import type { IStatus, Message } from './contract';
import { KernelLink } from './kernelLink';
import { deviceView } from './views';
import type { IWords } from './words';

/** A flood of messages must not be drawn one by one. */
const SHOW_EVERY_MS = 150;

export type Phase =
  | 'no_notebook'
  | 'no_kernel'
  | 'other_language'
  | 'starting'
  | 'not_imported'
  | 'ended'
  | 'live'
  | 'trouble'
  | 'unknown_schema';

/** The kernel of the notebook in front, as its monitor describes it. Only this one is watched. */
export class FrontKernel extends VDomModel {
  constructor(
    tracker: INotebookTracker,
    private readonly _words: IWords
  ) {
    super();
    this._tracker = tracker;
    tracker.currentChanged.connect(this._onNotebook, this);
    this._onNotebook();
  }

  /** The notebook in front, or the one that last was. */
  get notebook(): NotebookPanel | null {
    return this._notebook;
  }

  get phase(): Phase {
    return this._phase;
  }

  /** The last status of a live kernel. */
  get status(): IStatus | null {
    if (this._phase !== 'live' || this._status === null || this._stopping.size === 0) {
      return this._phase === 'live' ? this._status : null;
    }
    // The kernel may be told later, and then says so itself.
    const jobs = this._status.jobs.map(job => (this._stopping.has(job.id) ? { ...job, is_stopping: true } : job));
    return { ...this._status, jobs };
  }

  /** When that came, by `performance.now()`. */
  get statusAt(): number {
    return this._statusAt;
  }

  /** What went wrong, in the words of the kernel, or the version of the contract that it speaks. */
  get detail(): string {
    return this._detail;
  }

  set periodSeconds(seconds: number) {
    if (seconds !== this._periodSeconds) {
      this._periodSeconds = seconds;
      this._onKernel();
    }
  }

  /** Ask a job of this kernel to stop. */
  stop(job: string): void {
    const known = this._status?.jobs.find(other => other.id === job);
    if (known !== undefined && !this._stopping.has(job)) {
      this._stopping.add(job);
      void this._link?.stop(job, known.is_blocking);
      this.stateChanged.emit();
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._tracker.currentChanged.disconnect(this._onNotebook, this);
      this._leave();
      super.dispose();
    }
  }

  private _onNotebook(): void {
    const notebook = this._tracker.currentWidget;
    if (notebook === this._notebook && this._context !== null) {
      return;
    }
    this._leave();
    this._notebook = notebook;
    this._context = notebook?.sessionContext ?? null;
    if (this._context !== null) {
      this._context.kernelChanged.connect(this._onKernel, this);
      this._context.disposed.connect(this._leave, this);
    }
    this._onKernel();
  }

  /** Before the notebook's connection to its kernel is gone. */
  private _leave(): void {
    if (this._context !== null) {
      this._context.kernelChanged.disconnect(this._onKernel, this);
      this._context.disposed.disconnect(this._leave, this);
    }
    this._drop();
    this._context = this._notebook = null;
  }

  private _drop(): void {
    this._coalescer.dispose();
    this._link?.dispose();
    this._link = null;
    this._status = null;
    this._lastMemory = '';
    this._stopping.clear();
    this._hasWarned = false;
  }

  private _onKernel(): void {
    this._drop();
    const kernel = this._context?.session?.kernel ?? null;
    if (this._context === null) {
      this._show('no_notebook');
    } else if (kernel === null) {
      // A kernel that comes is a change, and is told of; none that never comes is not.
      this._show('starting');
      const context = this._context;
      void context.ready.then(() => {
        if (this._context === context && this._link === null && this._phase === 'starting') {
          this._show('no_kernel');
        }
      });
    } else {
      this._show('starting');
      const link = (this._link = new KernelLink(kernel, this._watcher, this._periodSeconds, message => {
        if (this._link === link) {
          this._coalescer.take(message);
        }
      }));
      void kernel.info.then(info => {
        const isPython = info.language_info?.name?.toLowerCase().includes('python') ?? true;
        if (this._link === link && !isPython) {
          this._drop();
          this._show('other_language');
        }
      });
    }
  }

  private _hear(message: Message | null | 'ended'): void {
    if (message === 'ended' || message === null) {
      this._status = null;
      this._stopping.clear(); // the next process counts its jobs from 1 again
    }
    if (message === 'ended') {
      this._show('ended', this._lastMemory);
    } else if (message === null) {
      if (this._phase !== 'ended') {
        this._show('not_imported');
      }
    } else if (message.kind === 'hello') {
      this._show('starting');
    } else if (message.kind === 'status') {
      const [device] = message.status.devices;
      this._status = message.status;
      this._lastMemory = device === undefined ? '' : deviceView(device, null, this._words).total;
      this._statusAt = performance.now();
      this._show('live');
    } else if (message.kind === 'trouble') {
      this._show('trouble', message.text);
    } else if (message.kind === 'unknown_schema') {
      this._show('unknown_schema', String(message.schema));
    } else if (!this._hasWarned) {
      this._hasWarned = true;
      console.warn(`nbtune: a message of the kernel was ignored, since ${message.why}`);
    }
  }

  private _show(phase: Phase, detail = ''): void {
    this._phase = phase;
    this._detail = detail;
    this.stateChanged.emit();
  }

  private readonly _tracker: INotebookTracker;
  private readonly _watcher = UUID.uuid4();
  private readonly _coalescer = new Coalescer<Message | null | 'ended'>(message => this._hear(message), SHOW_EVERY_MS);
  private _notebook: NotebookPanel | null = null;
  private _context: ISessionContext | null = null;
  private _link: KernelLink | null = null;
  private _status: IStatus | null = null;
  private _statusAt = 0;
  /** Outlives the status: of a kernel that ends, its restart is heard of first. */
  private _lastMemory = '';
  private _phase: Phase = 'no_notebook';
  private _detail = '';
  private readonly _stopping = new Set<string>();
  private _hasWarned = false;
  private _periodSeconds = 1;
}
