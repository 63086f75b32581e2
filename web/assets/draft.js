// What is typed into a form marked data-draft is kept by the server a second after
// the last keystroke, credentials aside.
(() => {
  'use strict';
  const after = 1000;
  const afterFailure = 5000;
  let form = null; // with something that isn't kept yet
  let timer = 0;
  let sending = null;

  const fields = () => {
    const kept = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (typeof value === 'string' && !name.startsWith('secret.') && name !== 'op' && name !== 'draft') kept.append(name, value);
    }
    kept.set('path', form.elements.draft.value);
    kept.set('op', form.dataset.draft);
    return kept;
  };

  const forget = () => {
    clearTimeout(timer);
    sending?.abort();
    form = null;
  };

  const keep = async (leaving) => {
    clearTimeout(timer);
    if (!form) return;
    const of = form;
    const body = fields();
    form = null;
    sending?.abort();
    sending = new AbortController();
    const { signal } = sending;
    try {
      const answer = await fetch('/drafts', { method: 'POST', body, keepalive: leaving, signal });
      if (answer.status < 500 && answer.status !== 429) return;
    } catch { // the network
    }
    if (!signal.aborted && !form && of.isConnected) wait(of, afterFailure);
  };

  const wait = (of, time) => {
    form = of;
    clearTimeout(timer);
    timer = setTimeout(keep, time, false);
  };

  const typed = (event) => {
    const field = event.target;
    const of = field.closest?.('form[data-draft]');
    if (of && !of.dataset.sent && !field.name?.startsWith('secret.')) wait(of, after);
  };
  document.addEventListener('input', typed);
  document.addEventListener('change', typed);
  document.addEventListener('submit', ({ target }) => {
    if (!target.dataset.draft) return;
    if (target.action.endsWith('/review')) keep(true); // it is sent only after that
    else forget();
  });
  document.addEventListener('visibilitychange', () => { if (document.hidden) keep(true); });
  addEventListener('pagehide', () => keep(true));
})();
