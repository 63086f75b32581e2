// An OpenID Connect provider for the tests: whoever gives a name is signed in as it.
//
//   node op.mjs PORT CLIENT SECRET REDIRECT_URI
import { Provider } from 'oidc-provider';

const [port, client_id, client_secret, redirect] = process.argv.slice(2);
const groups = { olga: ['7f3c-operations'] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  conformIdTokenClaims: false, // they are in the ID token
  pkce: { required: () => true },
  cookies: { keys: ['of the tests'] },
  features: { devInteractions: { enabled: true } },
  async findAccount(_ctx, id) {
    const claims = { sub: id, name: id[0].toUpperCase() + id.slice(1), email: `${id}@example.com`, email_verified: true, groups: groups[id] ?? [] };
    return { accountId: id, async claims() { return claims; } };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
