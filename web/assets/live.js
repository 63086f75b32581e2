// Pages that follow what happens: the server says when something changed, and
// the parts marked data-live are read anew, unless that would cost what is typed.
(() => {
  'use strict';
  const pollEvery = 5000; // where the browser has no event stream
  const streamAgain = 12; // polls until the stream is tried again
  const $ = (selector, from = document) => from.querySelector(selector);
  const parts = (from = document) => [...from.querySelectorAll('[data-live][id]')];
  htmx.config.morphIgnore = [...(htmx.config.morphIgnore || []), 'open']; // what the reader unfolded stays so

  let asOf = ''; // the state that the page shows
  let stream = null;
  let failures = 0;
  let poll = 0;
  let polls = 0;
  let timer = 0;
  let reading = false;
  let again = false;
  let over = false; // nothing more comes: the reader is signed out

  // What the reader has in their hands: a field with the focus, or one that isn't
  // as the server sent it.
  const typeable = 'input:not([type="hidden"], [type="checkbox"], [type="radio"], [type="submit"], [type="button"]), textarea, select';
  const changed = (field) => {
    if (field.type === 'checkbox' || field.type === 'radio') return field.checked !== field.defaultChecked;
    if (field.options) {
      const preset = [...field.options].some((o) => o.defaultSelected);
      return [...field.options].some((o, i) => o.selected !== (preset ? o.defaultSelected : i === 0));
    }
    return field.type !== 'hidden' && field.value !== field.defaultValue;
  };
  const inHand = (part) => {
    const focused = document.activeElement;
    if (part.contains(focused) && focused.matches(typeable)) return true;
    return [...part.querySelectorAll('input, textarea, select')].some(changed);
  };

  // What a part says, ages aside.
  const words = (part) => {
    const copy = part.cloneNode(true);
    for (const el of copy.querySelectorAll('time, [data-count], [hidden]')) el.remove();
    return copy.textContent.replace(/\s+/g, ' ').trim();
  };

  const tell = (text, link) => {
    let note = $('#stale');
    if (!note) {
      document.body.insertAdjacentHTML('beforeend', '<div id="stale" class="notice stale" role="status"><p></p></div>');
      note = $('#stale');
    }
    const p = $('p', note);
    if (p.dataset.said === text + link) return;
    p.dataset.said = text + link;
    p.textContent = text + ' ';
    const a = Object.assign(document.createElement('a'), { className: 'link', href: location.href, textContent: link });
    a.addEventListener('click', (event) => { event.preventDefault(); location.reload(); });
    p.append(a);
  };
  const stale = () => over || tell('This page changed.', 'Reload to see it.');

  // The element that has the focus is the same after a swap, as far as it is there.
  const findFocused = () => {
    const el = document.activeElement;
    if (!el || el === document.body) return null;
    if (el.id) return () => document.getElementById(el.id);
    const href = el.getAttribute('href');
    const part = el.closest('[id]');
    return () => (el.isConnected ? el : href && part && $(`#${CSS.escape(part.id)} a[href="${CSS.escape(href)}"]`)) || $('#main');
  };

  const swap = async (text, part) => {
    const focused = part.contains(document.activeElement) && findFocused();
    await htmx.swap({ text, sourceElement: part, target: part, select: '#' + CSS.escape(part.id), swap: 'outerMorph' });
    if (focused && document.activeElement === document.body) focused()?.focus({ preventScroll: true });
  };

  const show = async (text, page) => {
    const state = $('[data-as-of]', page)?.dataset.asOf;
    if (!state || state === asOf) return;
    let held = false;
    for (const part of [...parts(), $('#nav')]) {
      const next = page.getElementById(part.id);
      if (!next) held = true;
      else if (inHand(part)) held ||= words(next) !== words(part);
      else await swap(text, part);
    }
    if (held) return stale();
    asOf = state;
    if (!over) $('#stale')?.remove();
  };

  const read = async () => {
    timer = 0;
    if (document.hidden || over || $('form[data-sent]')) return;
    if (reading) { again = true; return; }
    reading = true;
    try {
      const page = location.href;
      const url = $('[data-live-url]')?.dataset.liveUrl || page; // a page may be the answer to a form
      const answer = await fetch(url, { headers: { 'X-Poll': '1' } });
      const text = await answer.text();
      if (location.href !== page) again = true;
      else if (new URL(answer.url).pathname === '/signin') end();
      else if (!answer.ok) stale();
      else await show(text, new DOMParser().parseFromString(text, 'text/html'));
    } catch { // the network; the stream or the next poll tries again
    } finally {
      reading = false;
    }
    if (again) { again = false; soon(); }
  };

  // Not all readers ask at the same moment.
  const soon = () => { timer ||= setTimeout(read, 100 + Math.random() * 200); };

  const end = () => {
    over = true;
    stop();
    tell('You are signed out.', 'Sign in to go on.');
  };

  const stop = () => {
    stream?.close();
    stream = null;
    clearInterval(poll);
    poll = 0;
  };

  const startPolling = () => {
    stream?.close();
    stream = null;
    if (poll || over) return;
    polls = 0;
    soon();
    poll = setInterval(() => {
      soon();
      if (++polls % streamAgain === 0) follow();
    }, pollEvery);
  };

  const follow = () => {
    if (stream || over || document.hidden) return;
    if (!window.EventSource) return startPolling();
    stream = new EventSource('/events');
    stream.addEventListener('open', () => {
      failures = 0;
      clearInterval(poll);
      poll = 0;
    });
    stream.addEventListener('changed', (event) => { if (event.data !== asOf) soon(); });
    stream.addEventListener('ended', end);
    stream.addEventListener('error', () => {
      if (++failures >= 2 || stream?.readyState === EventSource.CLOSED) startPolling();
    });
  };

  const start = () => {
    asOf = $('[data-as-of]')?.dataset.asOf;
    if (!asOf || !parts().length) return;
    follow();
    document.addEventListener('visibilitychange', () => {
      stop();
      failures = 0;
      if (!document.hidden) follow();
    });
    addEventListener('pagehide', stop);
    addEventListener('pageshow', (event) => { if (event.persisted) follow(); });
    // What was in hand is put down: catch up.
    const putDown = () => setTimeout(() => { if ($('#stale') && !over) soon(); });
    document.addEventListener('focusout', putDown);
    document.addEventListener('change', putDown);
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
