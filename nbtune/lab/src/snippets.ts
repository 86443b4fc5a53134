/** The cells that are inserted. They are fixed texts; the only thing put into them is the name of a checked variable. */

export type ToolName = 'lr-finder' | 'batch-prober' | 'batch-comparison' | 'descent-explorer';

export const IMPORT = 'import nbtune as nt';

/** Builds a task from the usual names, for a notebook that has none yet. */
const TASK = [
  IMPORT,
  '',
  '# Your model, optimizer, loss and data; see help(nt.Task) for GANs, Hugging Face, mixed precision ...',
  'task = nt.Task(model, optimizer, loss_fn, train_loader)'
].join('\n');

/** A model and data to begin with, for an empty notebook: it runs as it is. */
export const EXAMPLE = [
  '# An example to begin with: put your own model and data in its place.',
  'import torch',
  'from sklearn.datasets import load_digits',
  'from torch import nn',
  'from torch.utils.data import DataLoader, TensorDataset',
  '',
  'images, labels = load_digits(return_X_y=True)',
  'data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))',
  'train_loader = DataLoader(data, batch_size=32, shuffle=True)',
  'model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))',
  'optimizer = torch.optim.Adam(model.parameters())',
  'loss_fn = nn.CrossEntropyLoss()'
].join('\n');

/** The cell that shows a tool. `task`: the notebook's own task, if it has one. */
export function toolCell(tool: ToolName, task: string | null): string {
  const head = task === null ? TASK : IMPORT;
  const name = task ?? 'task';
  switch (tool) {
    case 'lr-finder':
      return `${head}\nfinder = nt.LRFinder(${name})\nfinder`;
    case 'batch-prober':
      return `${head}\nprober = nt.BatchProber(${name})  # or for a card: capacity="8 GB"\nprober`;
    case 'batch-comparison':
      return `${head}\ncomparison = nt.BatchComparison(${name})\ncomparison`;
    case 'descent-explorer':
      return `${IMPORT}\nnt.DescentExplorer()`;
  }
}
