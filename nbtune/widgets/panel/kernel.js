/* Whether the kernel that holds a widget is still there. Front ends tell in different ways, and some not at all. */

export const WORDS = {
  restarted: "The kernel was restarted",
  died: "The kernel died",
  ended: "The kernel was shut down",
  away: "Not connected to the kernel",
};

/** What becomes of a kernel's widgets with each of its states in JupyterLab; of those left out, nothing. */
const GONE = { autorestarting: "died", dead: "died", terminating: "ended" };

export const LATER_MS = 100;

/** What is said of a kernel that is not there: pieces [text, style] of a sentence. */
export function farewell(fate, wasRunning) {
  if (fate === "away") {
    return [
      [`${WORDS.away}.`, "danger"],
      [wasRunning ? " The run goes on there; it is shown here again once there is a connection." : "", ""],
    ];
  }
  const lost = wasRunning ? " during this run: what you see is all that is left of it." : ".";
  return [
    [WORDS[fate] + lost, "danger"],
    [" Run the cell again for a live panel.", ""],
  ];
}

/** Calls `onChange` with "", or with a name of WORDS, whenever that changes; once it is gone, a kernel stays so. */
export class KernelWatch {
  constructor(model, partId, signal, onChange) {
    Object.assign(this, { model, partId, signal, onChange, fate: "" });
    this.followModel();
    this.followLab();
  }

  tell(fate) {
    const isGone = !["", "away"].includes(this.fate);
    if (isGone || fate === this.fate || this.signal.aborted) return;
    this.fate = fate;
    this.onChange(fate);
  }

  /** Unless more is known in a moment: also of a kernel that died, JupyterLab first says that it is restarting. */
  tellLater(fate) {
    setTimeout(() => this.tell(fate), LATER_MS);
  }

  /** ipywidgets: a manager that lost its kernel marks each model. The one a view is given does not show its mark. */
  followModel() {
    const look = async () => {
      const part = await this.model.widget_manager?.get_model?.(this.partId()).catch(() => undefined);
      if (part?.comm_live === false) this.tellLater("restarted");
    };
    this.model.on("comm_live_update", look);
    this.signal.addEventListener("abort", () => this.model.off("comm_live_update", look));
  }

  /** JupyterLab and Notebook: the manager knows its kernel and the session that it is in. */
  followLab() {
    const manager = this.model.widget_manager;
    const { kernel } = manager ?? {};
    const session = manager?.context?.sessionContext;
    this.connect(kernel?.statusChanged, (_, status) => {
      if (status === "restarting") this.tellLater("restarted");
      else this.tell(GONE[status] ?? this.fate);
    });
    this.connect(kernel?.connectionStatusChanged, (_, status) => this.tell(status === "connected" ? "" : "away"));
    this.connect(session?.kernelChanged, (_, { newValue }) => newValue?.id !== kernel?.id && this.tell("ended"));
    if (kernel?.isDisposed) this.tell("ended");
  }

  connect(lumino, react) {
    if (!lumino?.connect) return;
    lumino.connect(react);
    this.signal.addEventListener("abort", () => lumino.disconnect(react));
  }
}
