import { LabIcon } from '@jupyterlab/ui-components';

/** A falling loss with the rate that was found. */
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
<path class="jp-icon3" style="fill:none" stroke="#616161" stroke-width="1.6" stroke-linecap="round"
 d="M1.8 3.2 C5 3.2 5.6 12.4 8.6 12.4 C11.2 12.4 11.8 7.6 14.2 1.8"/>
<path class="jp-icon3" fill="#616161" d="M8.4 9.7l2.4 2.7-2.4 2.7L6 12.4z"/></svg>`;

export const nbtuneIcon = new LabIcon({ name: 'nbtune:icon', svgstr: SVG });
