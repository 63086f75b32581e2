// Searching: completion of the last term, and days picked in the histogram.
(() => {
  'use strict';
  // The browser completes a whole field, so that what stands before the last term
  // is put before what is offered.
  const offer = (field) => {
    const list = document.getElementById(field.getAttribute('list'));
    if (!list) return;
    list.all ||= [...list.options].map((o) => [o.value, o.textContent]);
    const quotes = (field.value.match(/"/g) || []).length;
    const start = quotes % 2 ? -1 : Math.max(field.value.lastIndexOf(' '), field.value.lastIndexOf('\u00a0')) + 1;
    if (start < 0) return;
    const before = field.value.slice(0, start);
    const minus = field.value[start] === '-' ? '-' : '';
    const typed = field.value.slice(start + minus.length).toLowerCase();
    if (list.before === before + minus && list.typed === typed) return;
    [list.before, list.typed] = [before + minus, typed];
    const fits = list.all.filter(([value, text]) => value.toLowerCase().startsWith(typed) || typed.length > 1 && text.toLowerCase().includes(typed));
    list.replaceChildren(...fits.slice(0, 40).map(([value, text]) => new Option(text, before + minus + value)));
  };
  for (const type of ['focusin', 'input']) {
    document.addEventListener(type, (event) => { if (event.target.matches?.('[data-terms]')) offer(event.target); });
  }

  // Dragging over the histogram asks for those days.
  let from = null;
  const bar = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest?.('[data-histogram] g');
  const span = (to) => {
    const bars = [...from.parentNode.querySelectorAll('g')];
    const [a, b] = [bars.indexOf(from), bars.indexOf(to)].sort((x, y) => x - y);
    return bars.slice(a, b + 1);
  };
  const mark = (svg, picked) => { for (const g of svg.querySelectorAll('g')) g.classList.toggle('picked', picked.includes(g)); };
  document.addEventListener('pointerdown', (event) => {
    const g = event.button === 0 && bar(event);
    if (!g) return;
    event.preventDefault();
    from = g;
    mark(g.parentNode, [g]);
  });
  let under = null; // where it is said what is pointed at
  document.addEventListener('pointermove', (event) => {
    if (!event.target.closest?.('[data-histogram]')) {
      if (under) under.textContent = under.said;
      under = null;
      return;
    }
    const g = bar(event);
    if (g && !under) {
      under = g.closest('figure').querySelector('[data-under]');
      under.said = under.textContent;
    }
    if (g) under.textContent = g.dataset.label;
    if (g && from && g.parentNode === from.parentNode) mark(g.parentNode, span(g));
  });
  document.addEventListener('pointerup', (event) => {
    if (!from) return;
    const svg = from.parentNode;
    const picked = [...svg.querySelectorAll('g.picked')];
    const g = bar(event);
    from = null;
    mark(svg, []);
    if (!g || g.parentNode !== svg || !picked.length) return;
    const url = new URL(svg.dataset.histogram, location);
    url.searchParams.set('from', picked[0].dataset.from);
    url.searchParams.set('to', picked.at(-1).dataset.to);
    location.assign(url);
  });
  document.addEventListener('pointercancel', () => {
    if (from) mark(from.parentNode, []);
    from = null;
  });
})();
