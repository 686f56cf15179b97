// Owns: making elements. Text only ever becomes a text node; nothing here parses HTML,
// so whatever a peer or a guest sends stays data.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * `h('p.quiet', { id: 'x', onclick: f }, 'text', child)`: an element with classes, attributes and
 * listeners, and its children. What is null or false is left out.
 */
export function h(name, ...rest) {
  const [tag, ...classes] = name.split('.');
  const element = document.createElement(tag);
  if (tag === 'button') element.type = tag;
  if (classes.length) element.className = classes.join(' ');
  const attributes = rest[0]?.constructor === Object ? rest.shift() : {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true && !key.startsWith('aria-') ? '' : value);
  }
  element.append(...rest.flat().filter(Boolean));
  return element;
}

/** What calls `render` before the next frame, once however often it was called. */
export function eachFrame(render) {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      render();
    });
  };
}

/** Move an element to a height within its parent. */
export function moveTo(element, y) {
  const transform = `translateY(${y}px)`;
  if (element.style.transform !== transform) element.style.transform = transform;
}

/** Set the text of an element, if it is another: an unchanged node keeps its selection. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const ICONS = {
  connections: 'M4 8h13m0 0-4-4m4 4-4 4M20 16H7m0 0 4-4m-4 4 4 4',
  swaps: 'M20 11a8 8 0 0 0-14.3-4L4 9m0-5v5h5M4 13a8 8 0 0 0 14.3 4L20 15m0 5v-5h-5',
  topics: 'M5 9h15M4 15h15M10 4 8 20M16 4l-2 16',
  limits: 'M4 18a9 9 0 1 1 16 0M12 14l4-5M12 14h.01',
  log: 'M5 6h14M5 10h9M5 14h14M5 18h6',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4 4',
  theme: 'M12 4a8 8 0 1 0 0 16V4z M12 4a8 8 0 0 1 0 16',
  help: 'M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 18h.01',
  back: 'M19 12H5m0 0 6-6m-6 6 6 6',
  pause: 'M9 5v14M15 5v14',
  follow: 'M12 4v14m0 0-6-6m6 6 6-6M5 21h14',
  up: 'M6 15l6-6 6 6',
  down: 'M6 9l6 6 6-6',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  download: 'M12 4v11m0 0-5-5m5 5 5-5M5 20h14',
  upload: 'M12 20V9m0 0-5 5m5-5 5 5M5 4h14',
  rollback: 'M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3',
  key: 'M15 4a5 5 0 1 0 .01 10A5 5 0 0 0 15 4zM11.5 12.5 4 20m3-3 2 2',
  alert: 'M12 4 3 20h18L12 4zM12 10v4m0 3h.01',
  close: 'M6 6l12 12M18 6 6 18',
  check: 'M5 13l4 4L19 7',
};

export function icon(name) {
  const svg = shape('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': true });
  svg.append(shape('path', { d: ICONS[name] }));
  return svg;
}

export function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A button with an icon, and a name that is shown or only read out. */
export function button(name, iconName, onclick, { quiet = false, ...attributes } = {}) {
  const label = quiet ? { 'aria-label': name, title: name } : {};
  return h('button', { class: quiet ? 'quiet' : 'plain', onclick, ...label, ...attributes },
    icon(iconName), !quiet && h('span.label', name));
}

/** The input of a field that `/` goes to; what is shown is its parent. */
export function searchInput(id, name, placeholder) {
  const input = h('input', { type: 'search', id, placeholder, 'aria-label': name, autocomplete: 'off', spellcheck: 'false' });
  h('label.search', icon('search'), input, h('kbd', { 'aria-hidden': 'true' }, '/'));
  return input;
}

export function download(name, type, ...parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = h('a', { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
