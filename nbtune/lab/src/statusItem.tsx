import { VDomRenderer } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { FrontKernel } from './frontKernel';
import { statusItemView } from './views';
import type { IWords } from './words';

/** What the status bar shows, beside the memory. */
export type StatusBarShows = 'memory and job' | 'memory' | 'job' | 'nothing';

/** Memory now / limit, and the running job with its Stop. */
export class StatusItem extends VDomRenderer<FrontKernel> {
  constructor(
    model: FrontKernel,
    private readonly _showPanel: () => void,
    private readonly _words: IWords
  ) {
    super(model);
    this.addClass('nbtune-lab-status');
  }

  /** Whether there is anything to show. */
  get isActive(): boolean {
    return this._shows !== 'nothing' && this.model.status !== null;
  }

  set shows(shows: StatusBarShows) {
    this._shows = shows;
    this.model.stateChanged.emit();
  }

  protected render(): React.ReactElement | null {
    const status = this.model.status;
    const view = status === null ? null : statusItemView(status, this._words);
    if (view === null || this._shows === 'nothing') {
      return null;
    }
    const showsMemory = this._shows !== 'job' && view.memory !== '';
    const showsJob = this._shows !== 'memory' && view.job !== '';
    const words = this._words;
    return (
      <div className={`nbtune-lab-item${view.isNearlyFull ? ' nbtune-lab-full' : ''}`}>
        {showsMemory && (
          <button title={words.__('nbtune: %1', view.spoken)} onClick={() => this._showPanel()}>
            {view.isNearlyFull && <span aria-hidden="true">⚠ </span>}
            nbtune
            <span className="nbtune-lab-small-bar" aria-hidden="true">
              <span style={{ width: `${100 * view.usedShare}%` }} />
            </span>
            <span>{view.memory}</span>
          </button>
        )}
        {showsJob && (
          <span className="nbtune-lab-job" title={view.job}>
            {view.job}
          </span>
        )}
        {showsJob && view.jobId !== null && (
          <button
            className="nbtune-lab-stop"
            aria-label={words.__('Stop: %1', view.job)}
            onClick={() => view.jobId !== null && this.model.stop(view.jobId)}
          >
            ■ {words.__('Stop')}
          </button>
        )}
      </div>
    );
  }

  private _shows: StatusBarShows = 'memory and job';
}
