import { VDomRenderer } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { FrontKernel } from './frontKernel';
import { deviceView, jobView, resultView } from './views';
import type { IDeviceView, IJobView, IResultView, IWarning } from './views';
import type { IWords } from './words';

/** What the panel's buttons do. */
export interface IActions {
  insert(code: string): void;
  insertImport(): void;
  show(result: IResultView): void;
}

/** The side panel: memory, running jobs and results of the kernel in front. */
export class NbtunePanel extends VDomRenderer<FrontKernel> {
  constructor(
    model: FrontKernel,
    private readonly _actions: IActions,
    private readonly _words: IWords
  ) {
    super(model);
    this.addClass('nbtune-lab-panel');
    this.node.tabIndex = -1;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'nbtune');
  }

  protected onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.focus();
  }

  protected render(): React.ReactElement {
    const { notebook, phase, status } = this.model;
    const words = this._words;
    return (
      <>
        <header>
          <h2>nbtune</h2>
          <span className="nbtune-lab-file" title={notebook?.context.path}>
            {notebook?.title.label ?? ''}
          </span>
        </header>
        <div className="nbtune-lab-body" data-phase={phase} data-status={status?.sequence}>
          {status === null ? (
            <Absence model={this.model} actions={this._actions} words={words} />
          ) : (
            <>
              {status.devices.map(device => (
                <DeviceBar
                  key={device.name}
                  device={deviceView(device, status.forecast, words)}
                  actions={this._actions}
                />
              ))}
              {status.devices.length === 0 && (
                <p className="nbtune-lab-quiet">{words.__('Nobody says how much memory there is here.')}</p>
              )}
              <Jobs model={this.model} words={words} />
              <Results results={status.results.map(r => resultView(r, words))} actions={this._actions} words={words} />
            </>
          )}
        </div>
      </>
    );
  }
}

interface IPanelProps {
  readonly model: FrontKernel;
  readonly words: IWords;
}

/** Why there is nothing to show, and what to do about it. */
function Absence({ model, words, actions }: IPanelProps & { actions: IActions }): React.ReactElement {
  switch (model.phase) {
    case 'not_imported':
      return (
        <>
          <p>{words.__('nbtune is not imported in this kernel.')}</p>
          <button className="nbtune-lab-button" onClick={() => actions.insertImport()}>
            {words.__('Insert the import')}
          </button>
          <p className="nbtune-lab-quiet">
            {words.__('Once the cell has run, memory, running jobs and results are shown here.')}
          </p>
        </>
      );
    case 'ended':
      return (
        <>
          <p role="alert">
            {model.detail === ''
              ? words.__('The kernel ended.')
              : words.__('The kernel ended. The last that was heard of its memory: %1.', model.detail)}
          </p>
          <p className="nbtune-lab-quiet">{words.__('Variables are lost. Run the notebook again to go on.')}</p>
        </>
      );
    case 'no_kernel':
      return <p className="nbtune-lab-quiet">{words.__('This notebook has no kernel.')}</p>;
    case 'other_language':
      return <p className="nbtune-lab-quiet">{words.__('This kernel does not run Python.')}</p>;
    case 'unknown_schema':
      return (
        <p role="alert">
          {words.__(
            'The nbtune in this kernel speaks another version (%1) than this panel. Install the same nbtune for both.',
            model.detail
          )}
        </p>
      );
    case 'trouble':
      return <p role="alert">{words.__('nbtune could not measure: %1', model.detail)}</p>;
    case 'starting':
      return <p className="nbtune-lab-quiet">{words.__('Waiting for the kernel.')}</p>;
    default:
      return <p className="nbtune-lab-quiet">{words.__('Open a notebook to see the memory of its kernel.')}</p>;
  }
}

function DeviceBar({ device, actions }: { device: IDeviceView; actions: IActions }): React.ReactElement {
  const { next } = device;
  const place = (start: number, end: number): React.CSSProperties => ({
    left: `${start}%`,
    width: `${Math.max(0, end - start)}%`
  });
  const isLate = next !== null && (next.isBeyond || !next.doesFit);
  return (
    <section className={device.isNearlyFull ? 'nbtune-lab-full' : ''} data-device={device.name}>
      <h3>
        <span title={device.title}>
          {device.isNearlyFull && <span aria-hidden="true">⚠ </span>}
          {device.title}
        </span>
        <span className="nbtune-lab-figure">{device.total}</span>
      </h3>
      <div
        className="nbtune-lab-bar"
        role="meter"
        aria-label={device.title}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.floor(100 * device.usedShare)}
        aria-valuetext={device.spoken}
      >
        <span className="nbtune-lab-peak" style={place(device.nowEnd, device.peakEnd)} />
        <span className="nbtune-lab-now" style={place(0, device.nowEnd)} />
        <span className="nbtune-lab-others" style={place(device.othersStart, 100)} />
        {next !== null && !next.isBeyond && (
          <span className={`nbtune-lab-next${isLate ? ' nbtune-lab-late' : ''}`} style={{ left: `${next.at}%` }} />
        )}
      </div>
      <p className={`nbtune-lab-next-text${isLate ? ' nbtune-lab-late' : ''}`}>
        {next?.text}
        {next?.isBeyond === true && <span aria-hidden="true"> ▶</span>}
      </p>
      <ul className="nbtune-lab-parts">
        {device.parts.map(part => (
          <li key={part.name}>
            <span className={`nbtune-lab-swatch nbtune-lab-${part.name}`} />
            <span>{part.label}</span>
            <span className="nbtune-lab-figure">{part.value}</span>
          </li>
        ))}
      </ul>
      {device.warning !== null && <Warning warning={device.warning} actions={actions} />}
    </section>
  );
}

function Warning({ warning, actions }: { warning: IWarning; actions: IActions }): React.ReactElement {
  return (
    <div className="nbtune-lab-warning" role="status">
      <strong>{warning.head}</strong> {warning.text}{' '}
      {warning.code !== '' && (
        <button className="nbtune-lab-link" onClick={() => actions.insert(warning.code)}>
          {warning.action}
        </button>
      )}
    </div>
  );
}

function Jobs({ model, words }: IPanelProps): React.ReactElement {
  const status = model.status;
  const jobs = status?.jobs ?? [];
  const now = useClock(jobs.length > 0);
  const secondsAgo = Math.max(0, (now - model.statusAt) / 1000);
  const views = jobs.map(job => jobView(job, secondsAgo, words));
  const isSilent = jobs.length > 0 && secondsAgo > 3 * (status?.period_seconds ?? 1) + 2;
  const heading = React.useRef<HTMLHeadingElement>(null);
  const hadFocus = React.useRef(false);
  React.useEffect(() => {
    // With a job goes its Stop, and with that the focus of whoever pressed it.
    if (hadFocus.current && document.activeElement === document.body) {
      heading.current?.focus();
      hadFocus.current = false;
    }
  });
  return (
    <section
      onFocus={() => (hadFocus.current = true)}
      onBlur={event => (hadFocus.current = event.relatedTarget === null)}
    >
      <h3 ref={heading} tabIndex={-1}>
        <span>{words.__('Running')}</span>
        <span className="nbtune-lab-figure">{views[0]?.left}</span>
      </h3>
      {views.length === 0 ? (
        <p className="nbtune-lab-quiet">{words.__('Nothing is running in this kernel.')}</p>
      ) : (
        <ul className="nbtune-lab-jobs">
          {views.map((job, place) => (
            <Job key={job.id} job={job} isFirst={place === 0} stop={() => model.stop(job.id)} words={words} />
          ))}
        </ul>
      )}
      {isSilent && (
        <p className="nbtune-lab-quiet">{words.__('No news from the kernel for %1 s.', Math.floor(secondsAgo))}</p>
      )}
    </section>
  );
}

interface IJobProps {
  readonly job: IJobView;
  readonly isFirst: boolean;
  readonly words: IWords;
  stop(): void;
}

function Job({ job, isFirst, stop, words }: IJobProps): React.ReactElement {
  return (
    <li data-job={job.id}>
      <div className="nbtune-lab-row">
        <div>
          <div title={job.detail}>
            <strong>{job.name}</strong> · {job.detail}
          </div>
          <div className="nbtune-lab-progress-text">
            {[job.text, isFirst ? '' : job.left].filter(Boolean).join(' · ')}
          </div>
        </div>
        <button
          className="nbtune-lab-button"
          aria-disabled={job.isStopping}
          onClick={() => !job.isStopping && stop()}
          aria-label={words.__('Stop: %1', job.name)}
        >
          {job.isStopping ? words.__('Stopping') : <>■ {words.__('Stop')}</>}
        </button>
      </div>
      <div
        className={`nbtune-lab-progress${job.percent === null ? ' nbtune-lab-unknown' : ''}`}
        role="progressbar"
        aria-label={job.name}
        aria-valuenow={job.percent ?? undefined}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        <span style={{ width: `${job.percent ?? 100}%` }} />
      </div>
    </li>
  );
}

interface IResultsProps {
  readonly results: readonly IResultView[];
  readonly actions: IActions;
  readonly words: IWords;
}

function Results({ results, actions, words }: IResultsProps): React.ReactElement {
  return (
    <section>
      <h3>{words.__('Results')}</h3>
      {results.length === 0 && <p className="nbtune-lab-quiet">{words.__('None yet in this kernel.')}</p>}
      <ul className="nbtune-lab-results">
        {results.map(result => (
          <li key={result.id} className="nbtune-lab-row" data-result={result.id}>
            <div>
              <strong>{result.value}</strong>
              <div>{result.detail}</div>
            </div>
            <span className="nbtune-lab-links">
              <button
                className="nbtune-lab-link"
                title={words.__('Put a cell that applies it below the active one')}
                aria-label={words.__('Insert: %1', result.value)}
                onClick={() => actions.insert(result.code)}
              >
                {words.__('Insert')}
              </button>
              {(result.widget !== '' || result.cell !== '') && (
                <button
                  className="nbtune-lab-link"
                  title={words.__('Scroll to where it was found')}
                  aria-label={words.__('Show: %1', result.value)}
                  onClick={() => actions.show(result)}
                >
                  {words.__('Show')}
                </button>
              )}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The time, twice a second for as long as it is wanted; no timer runs otherwise. */
function useClock(isWanted: boolean): number {
  const [now, setNow] = React.useState(() => performance.now());
  React.useEffect(() => {
    if (!isWanted) {
      return undefined;
    }
    const timer = setInterval(() => setNow(performance.now()), 500);
    return () => clearInterval(timer);
  }, [isWanted]);
  return Math.max(now, 0);
}
