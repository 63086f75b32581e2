// Makes Composio's published description usable for validation: drops "nullable"
// where no "type" stands beside it (the validator refuses such schemas and then
// skips bodies in silence), serves the newer path version too, and applies the
// differences listed in published-differences.json, each with its reason.
//
//   node published.mjs FROM TO
import fs from 'node:fs';

const [from, to] = process.argv.slice(2);
const spec = JSON.parse(fs.readFileSync(from, 'utf8'));

const walk = (node) => {
  if (node === null || typeof node !== 'object') return;
  if (node.nullable === true && !('type' in node)) delete node.nullable;
  Object.values(node).forEach(walk);
};
walk(spec.paths);
walk(spec.components);

// at finds the object that a JSON pointer's parent names, and the last key.
const at = (pointer) => {
  const keys = pointer.split('/').slice(1).map((k) => k.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop();
  let node = spec;
  for (const k of keys) {
    if (!(k in node)) throw new Error(`${pointer}: there is no ${k}`);
    node = node[k];
  }
  return [node, last];
};

for (const { op, path, value, why } of JSON.parse(fs.readFileSync(new URL('published-differences.json', import.meta.url), 'utf8'))) {
  if (!why) throw new Error(`${path} has no reason`);
  const [node, key] = at(path);
  if (op === 'add') {
    if (Array.isArray(node) && key === '-') node.push(value);
    else node[key] = value;
  } else if (op === 'remove') {
    if (!(key in node)) throw new Error(`${path} is not there`);
    if (Array.isArray(node)) node.splice(Number(key), 1);
    else delete node[key];
  } else throw new Error(`${path}: ${op}?`);
}

for (const path of Object.keys(spec.paths)) {
  if (path.startsWith('/api/v3/')) spec.paths[path.replace('/api/v3/', '/api/v3.1/')] = spec.paths[path];
}
fs.writeFileSync(to, JSON.stringify(spec));
