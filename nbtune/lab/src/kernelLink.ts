import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';

import { isOurs, readMessage, SCHEMA, TARGET } from './contract';
import type { Message } from './contract';

/** How long after a cell's end one waits before asking whether it imported nbtune. */
const ASK_AFTER_MS = 200;

/** The comm of each connection. A link may take over what the one before it is still saying goodbye on. */
const comms = new WeakMap<Kernel.IKernelConnection, { comm: Kernel.IComm; owner: KernelLink }>();

/**
 * One page's line to one kernel's monitor.
 *
 * The kernel holds a comm open from the import on. This side asks for its id, says over it that somebody watches, and
 * then only listens, to all that the kernel sends: so a page that was reloaded while a cell blocks hears at once what
 * the page before it asked for. In a kernel without nbtune nothing is opened and nothing is logged.
 */
export class KernelLink implements IDisposable {
  /**
   * @param hear - called with each of the monitor's messages, with null when there is no monitor (any more), and with
   * 'ended' when the kernel ended by itself.
   */
  constructor(
    private readonly _kernel: Kernel.IKernelConnection,
    private readonly _watcher: string,
    private readonly _periodSeconds: number,
    private readonly _hear: (message: Message | null | 'ended') => void
  ) {
    _kernel.iopubMessage.connect(this._onMessage, this);
    _kernel.statusChanged.connect(this._onStatus, this);
    _kernel.connectionStatusChanged.connect(this._onConnection, this);
    void this._ask();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Say goodbye, so that the kernel need not measure for nobody. */
  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    clearTimeout(this._timer);
    this._kernel.iopubMessage.disconnect(this._onMessage, this);
    this._kernel.statusChanged.disconnect(this._onStatus, this);
    this._kernel.connectionStatusChanged.disconnect(this._onConnection, this);
    const leaving = this._send({ kind: 'leave', watcher: this._watcher });
    this._comm = null;
    // Not sooner: with the comm goes the subshell that is to read the message.
    void leaving?.done
      .catch(() => undefined)
      .then(() => {
        const known = comms.get(this._kernel);
        if (known?.owner === this) {
          comms.delete(this._kernel);
          known.comm.dispose();
        }
      });
  }

  /**
   * Ask a job to stop. Where the kernel cannot hear it while the main thread waits for the job, the kernel is
   * interrupted: the model is put back all the same, but a call then raises in place of returning what it found.
   */
  async stop(job: string, isBlocking: boolean): Promise<void> {
    const canHear = (this._kernel as { supportsSubshells?: boolean }).supportsSubshells === true;
    if (isBlocking && !canHear) {
      await this._kernel.interrupt();
    } else {
      this._send({ kind: 'stop', job });
    }
  }

  private _send(data: JSONObject): Kernel.IShellFuture | null {
    if (this._comm === null || this._comm.isDisposed || this._kernel.isDisposed) {
      return null;
    }
    return this._comm.send({ ...data, schema: SCHEMA });
  }

  /** Is there a monitor? The answer comes when the kernel is free. */
  private async _ask(): Promise<void> {
    const asked = ++this._asked;
    try {
      const reply = await this._kernel.requestCommInfo({ target_name: TARGET });
      if (this._isDisposed || asked !== this._asked || this._comm !== null) {
        return;
      }
      const ids = reply.content.status === 'ok' ? Object.keys(reply.content.comms) : [];
      if (ids.length === 0) {
        this._hear(null);
      } else {
        await this._attach(ids[0]);
      }
    } catch {
      // The kernel went away meanwhile: its change of state says so.
    }
  }

  private async _attach(id: string): Promise<void> {
    if (this._comm !== null) {
      return;
    }
    const known = comms.get(this._kernel)?.comm;
    const canGoOn = known !== undefined && !known.isDisposed && known.commId === id;
    const comm = (this._comm = canGoOn ? known : this._kernel.createComm(TARGET, id));
    comms.set(this._kernel, { comm, owner: this });
    // Since JupyterLab 4.4 a comm has a subshell, through which a kernel of ipykernel 7 hears while a cell blocks.
    await (comm as { subshellStarted?: Promise<void> & PromiseLike<void> }).subshellStarted?.catch(() => undefined);
    if (!this._isDisposed) {
      this._send({ kind: 'watch', watcher: this._watcher, period_seconds: this._periodSeconds });
    }
  }

  private _onMessage(_: Kernel.IKernelConnection, message: KernelMessage.IIOPubMessage): void {
    const type = message.header.msg_type;
    if (type === 'comm_msg') {
      const { comm_id, data } = (message as KernelMessage.ICommMsgMsg).content;
      if (isOurs(data)) {
        void this._attach(comm_id);
        this._hear(readMessage(data));
      }
    } else if (type === 'status' && this._comm === null) {
      const parent = message.parent_header as { msg_type?: string };
      const isCellsEnd =
        parent.msg_type === 'execute_request' &&
        (message as KernelMessage.IStatusMsg).content.execution_state === 'idle';
      if (isCellsEnd) {
        clearTimeout(this._timer);
        this._timer = setTimeout(() => void this._ask(), ASK_AFTER_MS);
      }
    }
  }

  private _onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting' || status === 'dead' || status === 'terminating') {
      this._asked += 1;
      this._comm = null; // the connection has dropped it with the rest of the kernel's state
      comms.delete(this._kernel);
      this._hear(status === 'autorestarting' || status === 'dead' ? 'ended' : null);
    }
  }

  private _onConnection(_: Kernel.IKernelConnection, status: Kernel.ConnectionStatus): void {
    if (status === 'connected' && this._comm === null) {
      void this._ask();
    }
  }

  private _comm: Kernel.IComm | null = null;
  private _asked = 0;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
}
