// Owns: the selection of bytes with the pointer: which byte of which row it is on.

import { ROW } from './rows.js';

/**
 * Let bytes of `list` be selected. `perRow` and `charWidth` say how its rows of hex are laid
 * out; a row of text is selected as a whole.
 */
export function selectWithPointer(list, perRow, charWidth) {
  const placeAt = (event) => {
    const line = document.elementFromPoint(event.clientX, event.clientY)?.closest('.line.bytes');
    if (!line?.place || !list.contains(line)) return null;
    const { block, part, from, to, columns } = line.place;
    const place = (at) => ({ block, part, at: Math.min(Math.max(at, from), Math.max(from, to - 1)) });
    if (!columns) return { from: place(from), to: place(to - 1) };
    const hex = line.querySelector('.hex').getBoundingClientRect();
    const text = line.querySelector('.ascii').getBoundingClientRect();
    const inText = event.clientX >= text.left - charWidth();
    const column = Math.floor((event.clientX - (inText ? text : hex).left) / charWidth());
    // The middle of a row of 16 is a character wider.
    const wide = perRow() === 16 && column >= 24 ? 1 : 0;
    const one = place(from + (inText ? column : Math.floor((column - wide) / 3)));
    return { from: one, to: one };
  };

  const move = (event) => {
    const box = list.getBoundingClientRect();
    if (event.clientY > box.bottom - ROW) list.scrollTop += ROW;
    if (event.clientY < box.top + ROW) list.scrollTop -= ROW;
    const place = placeAt(event);
    if (!place) return;
    list.selection.extend(place.to);
    list.redraw();
  };

  list.addEventListener('pointerdown', (event) => {
    // A finger scrolls; and the list itself is hit where its scroll bar is.
    if (event.button !== 0 || event.pointerType === 'touch' || event.target === list) return;
    const place = placeAt(event);
    if (!place) {
      list.selection.clear();
      list.selected();
      return;
    }
    event.preventDefault();
    list.focus({ preventScroll: true });
    if (!event.shiftKey) list.selection.start(place.from);
    list.selection.extend(place.to);
    list.redraw();
    addEventListener('pointermove', move);
    addEventListener('pointerup', () => {
      removeEventListener('pointermove', move);
      list.selected();
    }, { once: true });
  });
}
