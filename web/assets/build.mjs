// Builds web/static/dist: the style sheet, the scripts, the font, and a sprite of
// the icons that templates name. Compressed copies lie beside each text file.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const dist = '../static/dist';
fs.mkdirSync(dist, { recursive: true });
for (const old of fs.readdirSync(dist)) {
  if (!old.startsWith('.')) fs.rmSync(path.join(dist, old));
}

const write = (name, data) => {
  const file = path.join(dist, name);
  fs.writeFileSync(file, data);
  if (name.endsWith('.woff2')) return;
  const bytes = fs.readFileSync(file);
  fs.writeFileSync(file + '.gz', zlib.gzipSync(bytes, { level: 9 }));
  fs.writeFileSync(file + '.br', zlib.brotliCompressSync(bytes));
};

const pkg = (name) => path.join('node_modules', name);

// htmx and our own few lines travel together: one request less.
const scripts = [pkg('htmx.org/dist/htmx.min.js'), 'app.js', 'live.js', 'draft.js', 'search.js', 'passkey.js'].map((f) => fs.readFileSync(f, 'utf8').replace(/\/\/# sourceMappingURL=.*$/m, ''));
write('app.js', scripts.join('\n;\n'));
write('inter-latin.woff2', fs.readFileSync(pkg('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')));

const css = path.join(dist, 'app.css');
execFileSync(pkg('.bin/tailwindcss'), ['-i', 'app.css', '-o', css, '--minify'], { stdio: ['ignore', 'ignore', 'inherit'] });
write('app.css', fs.readFileSync(css));

const names = new Set();
for (const file of fs.readdirSync('../templates', { recursive: true })) {
  if (!file.endsWith('.templ')) continue;
  const text = fs.readFileSync(path.join('../templates', file), 'utf8');
  for (const m of text.matchAll(/@Icon\("([a-z0-9-]+)"/g)) names.add(m[1]);
}
for (const m of fs.readFileSync('icons.txt', 'utf8').matchAll(/^[a-z0-9-]+$/gm)) names.add(m[0]);
const symbols = [...names].sort().map((name) => {
  const svg = fs.readFileSync(pkg(`lucide-static/icons/${name}.svg`), 'utf8');
  const inner = svg.replace(/<!--[\s\S]*?-->/g, '').match(/<svg[^>]*>([\s\S]*)<\/svg>/)[1].replace(/\s+/g, ' ').trim();
  return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round">${inner}</symbol>`;
});
write('icons.svg', `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join('')}</svg>`);

// The sign of the house, as the browser's icon.
write('mark.svg', fs.readFileSync('mark.svg'));
