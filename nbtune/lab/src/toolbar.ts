import { ToolbarButton } from '@jupyterlab/apputils';
import { MenuSvg } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Widget } from '@lumino/widgets';

import { ids } from './commands';
import { nbtuneIcon } from './icon';
import type { IWords } from './words';

/** The notebook's button: a menu of all that nbtune can put into it. */
export function toolsButton(commands: CommandRegistry, words: IWords): Widget {
  const menu = new MenuSvg({ commands });
  Object.values(ids.insert).forEach(command => menu.addItem({ command }));
  menu.addItem({ type: 'separator' });
  [ids.insertImport, ids.showPanel, ids.stop, ids.tutorials].forEach(command => menu.addItem({ command }));
  const button = new ToolbarButton({
    icon: nbtuneIcon,
    tooltip: words.__('nbtune: insert a tool'),
    onClick: () => {
      const { left, bottom } = button.node.getBoundingClientRect();
      menu.open(left, bottom);
    }
  });
  button.node.setAttribute('aria-haspopup', 'menu');
  button.disposed.connect(() => menu.dispose());
  return button;
}
