// What a team's scripts do today, with the official SDK, against the address and
// key in the environment. Prints what it made as JSON.
import { Composio } from '@composio/core';

const composio = new Composio({
  apiKey: process.env.COMPOSIO_API_KEY,
  baseURL: process.env.COMPOSIO_BASE_URL,
  allowTracking: false,
  disableVersionCheck: true,
});
const configs = composio.authConfigs;

const all = async (query = {}) => {
  const found = [];
  let cursor;
  do {
    const page = await configs.list({ limit: 50, ...query, ...(cursor ? { cursor } : {}) });
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor);
  return found;
};

const steps = {
  async make() {
    const managed = await configs.create('slack', { type: 'use_composio_managed_auth', name: 'sdk-managed' });
    const own = await configs.create('github', {
      type: 'use_custom_auth', name: 'sdk-own', authScheme: 'OAUTH2',
      credentials: { client_id: 'Iv1.sdk', client_secret: 'sdk-secret-value', scopes: 'repo,user' },
    });
    const key = await configs.create('openai', { type: 'use_custom_auth', name: 'sdk-key', authScheme: 'API_KEY', credentials: { api_key: 'sk-sdk-value-1' } });
    const got = await configs.get(own.id);
    return { managed: managed.id, own: own.id, key: key.id, got: { name: got.name, status: got.status, authScheme: got.authScheme } };
  },
  async change([own, key]) {
    await configs.update(own, { type: 'custom', credentials: { client_secret: 'sdk-secret-other', scopes: 'repo' } });
    await configs.disable(own);
    await configs.enable(own);
    await configs.disable(own);
    await configs.delete(key);
    return { list: (await all()).length };
  },
  async look([id]) {
    const got = await configs.get(id);
    return { name: got.name, status: got.status, list: (await all()).length };
  },
};

const [step, ...args] = process.argv.slice(2);
console.log(JSON.stringify(await steps[step](args)));
