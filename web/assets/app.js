// What htmx doesn't do: a few conveniences, each of which the page works without.
(() => {
  'use strict';
  const root = document.documentElement;
  root.classList.add('js');
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const typing = (el) => el && (el.matches('input, select, textarea') || el.isContentEditable);

  const say = (text) => {
    const region = $('#live');
    if (region) region.textContent = text;
  };

  // Buttons that copy an id.
  const setUp = (from) => {
    if (navigator.clipboard) for (const button of $$('[data-copy]', from)) button.hidden = false;
    for (const button of $$('[data-print]', from)) button.hidden = false;
    for (const el of $$('time[data-ago]', from)) age(el);
    countPicked();
  };
  document.addEventListener('click', async (event) => {
    if (event.target.closest('[data-print]')) {
      print();
      return;
    }
    const button = event.target.closest('[data-copy]');
    if (button) {
      await navigator.clipboard.writeText(button.dataset.copy);
      say('Copied');
      return;
    }
    const row = event.target.closest('tbody tr');
    const link = row && $('.config-name a, .cell-name a', row);
    if (link && !event.target.closest('a, button, input, label, summary') && !getSelection().toString()) link.click();
  });

  // Close menus by a click beside them or Escape.
  const close = (except) => {
    for (const open of $$('details.switcher[open]')) if (!open.contains(except)) open.open = false;
  };
  document.addEventListener('click', (event) => close(event.target));

  // Ages that stay true while a page is open.
  const age = (el) => {
    const seconds = (Date.now() - Date.parse(el.dateTime)) / 1000;
    const steps = [[60, 1, 's'], [3600, 60, ' min'], [86400, 3600, ' h'], [30 * 86400, 86400, ' d']];
    const step = steps.find(([limit]) => seconds < limit);
    if (step && seconds >= 0) el.textContent = seconds < 5 ? 'just now' : Math.floor(seconds / step[1]) + step[2] + ' ago';
  };
  setInterval(() => { for (const el of $$('time[data-ago]')) age(el); }, 5000);

  // Selections in lists. Boxes may lie outside their form.
  const boxesOf = (form) => [...form.elements].filter((el) => el.matches('input[name="id"]'));
  const countPicked = () => {
    for (const bar of $$('.bulk')) {
      const picked = boxesOf(bar.closest('form')).filter((box) => box.checked).length;
      bar.classList.toggle('on', picked > 0);
      const count = $('[data-count]', bar);
      if (count) count.textContent = picked + ' selected';
    }
  };
  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-pick-all]')) {
      for (const box of boxesOf(event.target.form)) box.checked = event.target.checked;
    }
    if (event.target.matches('[data-submit]')) event.target.form.requestSubmit();
    countPicked();
  });

  // A form is sent once; the button says so. Going back takes the reason along.
  document.addEventListener('submit', (event) => {
    const form = event.target;
    const reason = $('textarea[name="reason"]');
    if (event.submitter?.name === 'back' && reason && !form.contains(reason)) {
      const field = $('input[name="reason"]', form) || form.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name: 'reason' }));
      field.value = reason.value;
    }
    if (event.defaultPrevented || form.method !== 'post') return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = '1';
    for (const button of $$('button:not([type="button"])', form)) button.setAttribute('aria-disabled', 'true');
  });
  addEventListener('pageshow', () => {
    for (const form of $$('form[data-sent]')) {
      delete form.dataset.sent;
      for (const button of $$('button', form)) button.removeAttribute('aria-disabled');
    }
  });

  // Where rows have a form each, sending one keeps what was typed into the others.
  const typedRows = 'typed ' + location.pathname;
  const rowFields = () => $$('form[data-one-of] :is(input, textarea):not([type="hidden"])');
  document.addEventListener('submit', (event) => {
    if (!event.target.matches('form[data-one-of]')) return;
    const others = rowFields().filter((el) => el.form !== event.target && el.value);
    sessionStorage.setItem(typedRows, JSON.stringify(others.map((el) => [el.id, el.value])));
  });
  const restoreRows = () => {
    const typed = JSON.parse(sessionStorage.getItem(typedRows) ?? '[]');
    sessionStorage.removeItem(typedRows);
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field && !field.value) field.value = value;
    }
  };

  const shortcuts = [
    ['<kbd>/</kbd>', 'Search'],
    ['<kbd>g</kbd> then <kbd>o</kbd> <kbd>c</kbd> <kbd>r</kbd> <kbd>h</kbd> <kbd>p</kbd> <kbd>s</kbd>', 'Overview, auth configs, changes, history, people, settings'],
    ['<kbd>j</kbd> <kbd>k</kbd>', 'Next and previous row'],
    ['<kbd>x</kbd>', 'Select the row'],
    ['<kbd>?</kbd>', 'This list'],
  ];
  const showShortcuts = () => {
    if (!$('#shortcuts')) {
      document.body.insertAdjacentHTML('beforeend', `<dialog id="shortcuts" class="card" aria-labelledby="shortcuts-title">
        <div class="card-head"><h2 id="shortcuts-title">Keyboard shortcuts</h2><form method="dialog"><button class="btn small quiet">Close</button></form></div>
        <dl class="facts card-body">${shortcuts.map(([keys, does]) => `<dt>${keys}</dt><dd>${does}</dd>`).join('')}</dl></dialog>`);
    }
    if (!$('#shortcuts').open) $('#shortcuts').showModal();
  };

  // Keyboard: / search, g then a letter goes, j k move along rows, x picks, ? lists.
  let going = 0;
  let at = -1;
  const move = (by) => {
    const rows = $$('tr[data-id], article[data-row], li[data-row], div[data-row]');
    if (!rows.length) return;
    at = Math.max(0, Math.min(rows.length - 1, at + by));
    $('a', rows[at])?.focus();
    rows[at].scrollIntoView({ block: 'nearest' });
  };
  const go = { o: 'Overview', c: 'Auth configs', r: 'Changes', h: 'History', p: 'People', s: 'Settings' };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') close(null);
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || root.dataset.keys === 'off') return;
    if (typing(event.target)) return;
    const search = $('[data-search]');
    if (event.key === '/' && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === '?') {
      showShortcuts();
    } else if (event.key === 'g') {
      going = Date.now();
    } else if (Date.now() - going < 1500 && go[event.key]) {
      const link = $$('.nav a').find((a) => a.textContent.trim().startsWith(go[event.key]));
      if (link) link.click();
    } else if (event.key === 'j' || event.key === 'k') {
      move(event.key === 'j' ? 1 : -1);
    } else if ($(`[data-vote="${CSS.escape(event.key)}"]`)) {
      event.preventDefault(); // opens the decision; sending it takes another key
      const vote = $(`[data-vote="${CSS.escape(event.key)}"]`);
      vote.open = true;
      $(event.key === 'a' ? 'form button' : 'textarea', vote).focus();
    } else if (event.key === 'x' && at >= 0) {
      const box = $('input[type="checkbox"]', $$('tr[data-id]')[at] || root);
      if (box) box.click();
    }
  });

  // A form that is being sent, and a page that is being left, ask for nothing more.
  let leaving = false;
  addEventListener('beforeunload', () => {
    leaving = true;
    for (const el of $$('[hx-get], [hx-post]')) el.dispatchEvent(new Event('htmx:abort'));
  });
  addEventListener('pageshow', () => { leaving = false; });
  document.addEventListener('htmx:before:request', (event) => {
    if (leaving || event.target.dataset.sent) event.preventDefault();
    if (event.target.matches('#sync form')) syncing = true;
  });

  // After a swap: tell what changed. When a sync has ended the page is read anew,
  // unless there is something to type into.
  const typedInto = () => $('main form[method="post"] :is(input:not([type="hidden"]), textarea, select)');
  let syncing = Boolean($('#sync[hx-get]'));
  let said = $('[data-say]')?.dataset.say;
  document.addEventListener('htmx:after:swap', () => {
    setUp(document);
    if (syncing && !$('#sync[hx-get]') && !typedInto()) htmx.ajax('GET', location.href, { target: '#main', select: '#main', swap: 'outerMorph' });
    syncing = Boolean($('#sync[hx-get]'));
    const next = $('#theme button'); // it names the theme that comes next
    if (next) root.dataset.theme = { dark: 'light', system: 'dark', light: 'system' }[next.value];
    const told = $('[data-say]')?.dataset.say;
    if (told && told !== said) say(told);
    said = told;
  });
  document.addEventListener('DOMContentLoaded', () => {
    setUp(document);
    if (rowFields().length) restoreRows();
    const complaint = $('#complaints');
    if (complaint) complaint.focus();
  });
})();
