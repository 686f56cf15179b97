// Owns: `<spark-line>`, a small picture of recent values. The number beside it says the same.

import { shape } from './dom.js';
import { PAST } from './store.js';

const WIDTH = 120;
const HEIGHT = 24;

class SparkLine extends HTMLElement {
  #line = shape('path', { class: 'line' });
  #area = shape('path', { class: 'area' });
  #drawn = '';

  connectedCallback() {
    if (this.firstChild) return;
    const svg = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    svg.append(this.#area, this.#line);
    this.append(svg);
  }

  show(values, flat = false) {
    const most = Math.max(...values, flat ? 1 : 64);
    const least = flat ? Math.min(...values) * 0.8 : 0;
    const step = WIDTH / (PAST - 1);
    const points = values.map((value, i) => {
      const x = WIDTH - (values.length - 1 - i) * step;
      const y = HEIGHT - 2 - ((value - least) / Math.max(most - least, 1)) * (HEIGHT - 5);
      return `${x.toFixed(1)} ${y.toFixed(1)}`;
    });
    const drawn = points.length > 1 ? `M${points.join('L')}` : '';
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#line.setAttribute('d', drawn);
    const [first] = points[0]?.split(' ') ?? [];
    this.#area.setAttribute('d', drawn && `${drawn}L${WIDTH} ${HEIGHT}L${first} ${HEIGHT}Z`);
  }
}

customElements.define('spark-line', SparkLine);
