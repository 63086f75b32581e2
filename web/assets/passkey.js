// A form marked data-passkey is filled in by the browser's passkeys, then sent like
// any other.
(() => {
  'use strict';
  const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON && window.PublicKeyCredential.parseCreationOptionsFromJSON;
  const field = (form) => form.elements['secret.assertion'];

  const say = (form, text) => {
    const at = form.querySelector('[data-passkey-says]');
    at.textContent = text;
    at.hidden = !text;
  };

  const words = {
    NotAllowedError: 'Nothing came of it: it was cancelled, took too long, or there is no passkey for this site. Try again, or use another way.',
    InvalidStateError: 'This device or key has a passkey for you already.',
    SecurityError: 'Passkeys don\'t work at this address. Tell your operator.',
    AbortError: '',
  };

  const ask = async (form) => {
    const options = JSON.parse(form.dataset.options);
    const key = form.dataset.passkey === 'create'
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    return JSON.stringify(key.toJSON());
  };

  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (!form.matches('form[data-passkey]') || field(form).value) return;
    event.preventDefault(); // before others think that it is being sent
    if (form.dataset.asking) return;
    form.dataset.asking = '1';
    say(form, '');
    try {
      field(form).value = await ask(form);
      form.requestSubmit();
    } catch (error) {
      say(form, words[error.name] ?? 'The browser could not use a passkey here.');
    }
    delete form.dataset.asking;
  }, true);

  const setUp = () => {
    for (const form of document.querySelectorAll('form[data-passkey]')) {
      field(form).value = '';
      form.querySelector('[data-passkey-button]').hidden = !can;
      if (!can) say(form, 'This browser has no passkeys. Use another way.');
    }
  };
  document.addEventListener('DOMContentLoaded', setUp);
  addEventListener('pageshow', setUp);
})();
