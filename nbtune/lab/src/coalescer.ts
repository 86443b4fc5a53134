/** Hands on the latest of many values, at most once in a while; those in between are dropped. */
export class Coalescer<T> {
  constructor(
    private readonly _hand: (value: T) => void,
    private readonly _milliseconds: number
  ) {}

  /** The first comes through at once, what follows too soon waits. */
  take(value: T): void {
    this._latest = { value };
    if (this._timer === null) {
      this._flush();
    }
  }

  dispose(): void {
    if (this._timer !== null) {
      clearTimeout(this._timer);
    }
    this._timer = this._latest = null;
  }

  private _flush(): void {
    this._timer = null;
    if (this._latest !== null) {
      const { value } = this._latest;
      this._latest = null;
      this._timer = setTimeout(() => this._flush(), this._milliseconds);
      this._hand(value);
    }
  }

  private _latest: { value: T } | null = null;
  private _timer: ReturnType<typeof setTimeout> | null = null;
}
